"""The command `omoi demo`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final, Protocol

from rich.text import Text

from omoi_os import logs
from omoi_os.cli.demo.record import Differs
from omoi_os.cli.demo.script import script
from omoi_os.cli.demo.story import Story
from omoi_os.cli.demo.told import Told
from omoi_os.cli.demo.workshop import workshop
from omoi_os.cli.exits import Exit
from omoi_os.cli.show import console

BEGINNING: Final = """\
One ticket from requirements to done, in a temporary folder, without a key and without a network. The agents \
that work and judge are real OpenHands agents with their tools; what their models answer is a script. \
Reviews, findings, tasks and moves are the product's own. Agents of OmoiOS run nothing: \
reports come from real runs of the same files."""

NEXT: Final = """\
What to try next:
  omoi review .   may the work in this git working tree leave its phase?
  omoi init       write a policy of your own, to be changed
  omoi up         the HTTP API with a database and a worker: reviews run by themselves as here
                  (name a model in OMOI_JUDGE_MODEL; --execute lets agents do tasks)
The README says more. This demo leaves nothing behind."""


def demo() -> int:
    """Bring a ticket from requirements to done: agents work, and what they call done is reviewed.

    A gate fails and its findings become a task, an injected text directs nobody, a claim is measured, and a
    verdict becomes stale. It needs no key, no network and no set-up. Exit code 0 says that everything came
    out as it must, 1 that something did not.
    """
    logs.configure(json_lines=not sys.stderr.isatty())
    out = console()
    told = Told(out)
    out.print("OmoiOS finds out whether work that is called done is done.", style="bold")
    out.print(BEGINNING)
    with workshop(script()) as shop:
        code = tell(Story(shop, script(), told), told)
    if code is Exit.PASSED:
        out.print(f"All of it came out as it must, in {told.seconds:.0f} seconds.", style="bold")
        out.print()
        out.print(NEXT)
    return code


class Chapters(Protocol):
    """A story; each chapter is told when the name of the next one is asked for."""

    def chapters(self) -> Iterator[str]:
        """The names."""


def tell(story: Chapters, told: Told) -> Exit:
    """Tell it to its end, or to where it goes on in another way than it must."""
    try:
        for name in story.chapters():
            told.heading(name)
    except Differs as differs:
        told.out.print(Text(f"The story came out otherwise: {differs}. This is a bug of omoi.", "red"))
        return Exit.BLOCKED
    return Exit.PASSED
