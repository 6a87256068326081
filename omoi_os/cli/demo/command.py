"""The command `omoi demo`."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Final

from rich.text import Text

from omoi_os import logs
from omoi_os.cli.demo.models import JUDGE
from omoi_os.cli.demo.record import Differs
from omoi_os.cli.demo.script import script
from omoi_os.cli.demo.story import Story
from omoi_os.cli.demo.told import Told
from omoi_os.cli.demo.workshop import Workshop, workshop
from omoi_os.cli.exits import Exit
from omoi_os.cli.lists import print_rows, short_phase
from omoi_os.cli.show import console
from omoi_os.domain.phases import WORK_PHASES

BEGINNING: Final = """\
One ticket from requirements to done, in a temporary folder, without a key and without a network. The agents \
that work and judge are real OpenHands agents with their tools; what their models answer is a script. Reviews, \
findings, tasks and moves are the product's own, and agents of OmoiOS run nothing: test reports come from real \
runs of the same files."""

NEXT: Final = """\
What to try next:
  omoi review .   may the work in this git working tree leave its phase?
  omoi init       write a policy of your own, to be changed
  omoi up         the HTTP API with a database and a worker: reviews run by themselves as here
                  (--execute lets agents do tasks; OMOI_JUDGE_MODEL and OMOI_JUDGE_API_KEY name a model)
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
        try:
            story = Story(shop, script(), told)
            for number, chapter in enumerate(story.chapters(), start=1):
                told.heading(f"{number} of {len(WORK_PHASES)}: {chapter}")
            _print_end(shop, story, told)
        except Differs as differs:
            out.print(Text(f"The story came out otherwise: {differs}. This is a bug of omoi.", "red"))
            return Exit.BLOCKED
    out.print(f"All of it came out as it must, in {told.seconds:.0f} seconds.", style="bold")
    out.print()
    out.print(NEXT)
    return Exit.PASSED


def _print_end(shop: Workshop, story: Story, told: Told) -> None:
    told.heading("done")
    history = shop.services.phases.get_phase_history(story.record.ticket_id)
    reviews = story.record.reviews()
    rows = [
        (
            short_phase(move.from_phase or ""),
            ", ".join(item.gate_status for item in reviews if item.phase_id == move.from_phase) or "no gate",
            f"to {short_phase(move.to_phase)}, by {move.transitioned_by}",
        )
        for move in history
    ]
    print_rows(told.out, ("phase", "reviews", "then"), rows)
    told.out.print()
    asked = Counter(str(request.body["model"]) for request in shop.models.requests)
    judging = asked.pop(JUDGE, 0)
    told.out.print(
        f"{len(reviews)} reviews; {sum(asked.values()) + judging} model calls, {judging} of them by judges; "
        "the cost is unknown to the record, and nothing: the models are a script."
    )
