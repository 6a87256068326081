"""The `omoi` command. Commands are imported when they are called: `omoi --help` imports none of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Final

from cyclopts import App, CycloptsError

from omoi_os import __version__
from omoi_os.cli.signals import Ended, end_in_order
from omoi_os.errors import Conflict, DatabaseUnavailable, OmoiError

USAGE: Final = 2
NOT_ALLOWED: Final = 4
NO_VERDICT: Final = 5
"""As in `exits.Exit`, which is imported with the domain, and so only by commands."""


app: Final = App(
    name="omoi",
    version=__version__,
    help="Finds out whether work that is called done is done.",
    help_epilogue="Exit codes: 0 passed or done, 1 blocked, 2 wrong usage, 3 inconclusive, 4 not allowed, "
    "5 no verdict, 8 nothing yet.",
    suppress_keyboard_interrupt=False,
)
app.command("omoi_os.cli.review:review", name="review", help="Review a working tree.")
app.command(
    "omoi_os.cli.demo.command:demo", name="demo", help="Bring a sample ticket from requirements to done."
)
app.command("omoi_os.cli.ticket:app", name="ticket", help="Make, list and move tickets.")
app.command("omoi_os.cli.task:app", name="task", help="List, take and end tasks.")
app.command(
    "omoi_os.cli.gate:app", name="gate", help="Look at a ticket's gate, have it reviewed, waive a criterion."
)
app.command("omoi_os.cli.events:events", name="events", help="Show what happened, or what happens.")
app.command("omoi_os.cli.webhook:app", name="webhook", help="Send events to other programs.")
app.command("omoi_os.cli.serve:serve", name="serve", help="Serve the HTTP API on this machine.")
app.command("omoi_os.cli.worker:worker", name="worker", help="Do the reviews that are asked for.")
app.command("omoi_os.cli.up:up", name="up", help="Serve the API, with a database and workers.")
app.command("omoi_os.cli.init:init", name="init", help="Write a policy file to begin with.")
app.command("omoi_os.cli.policy:app", name="policy", help="Check, explain and compare policies.")
app.command("omoi_os.cli.judge:app", name="judge", help="Find out how far the judge can be relied on.")
app.command("omoi_os.cli.doctor:doctor", name="doctor", help="Check what omoi needs on this machine.")
app.command("omoi_os.cli.database:app", name="db", help="Look after the database.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors that a person can mend are one sentence and exit code 2.

    Args:
        arguments: Instead of those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        _never_fail(stream)
    end_in_order()
    try:
        sys.exit(app(arguments, exit_on_error=False, print_error=False))
    except CycloptsError as error:
        print(_sentence(f"{error} See `omoi --help`."), file=sys.stderr)
        sys.exit(USAGE)
    except OmoiError as error:
        print(_sentence(error.message), file=sys.stderr)
        sys.exit(_code(error))
    except Ended as ended:
        sys.exit(ended.code)
    except Exception:  # noqa: BLE001 - Python would end with 1, and 1 says that the work is blocked
        sys.excepthook(*sys.exc_info())
        print("omoi: this is a bug of omoi; there is no verdict", file=sys.stderr)
        sys.exit(NO_VERDICT)


def _code(error: OmoiError) -> int:
    match error:
        case DatabaseUnavailable():
            return NO_VERDICT
        case Conflict():
            return NOT_ALLOWED
        case _:
            return USAGE


def _sentence(message: str) -> str:
    # A message may quote a file name or an argument; neither may steer the terminal.
    return "omoi: " + "".join(letter if letter.isprintable() else "?" for letter in " ".join(message.split()))


def _never_fail(stream: object) -> None:
    """Show what the terminal's encoding does not have as an escape, instead of failing."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
