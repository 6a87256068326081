"""The `omoi` command. Commands are imported when they are called: `omoi --help` imports none of them."""

from __future__ import annotations

import sys
from typing import Final

from cyclopts import App

from omoi_os import __version__
from omoi_os.errors import OmoiError

app: Final = App(
    name="omoi",
    version=__version__,
    help="Finds out whether work that is called done is done.",
    help_epilogue="Exit codes: 0 passed, 1 blocked, 2 wrong usage, 3 inconclusive.",
)
app.command("omoi_os.cli.review:review", name="review", help="Review a working tree.")
app.command("omoi_os.cli.demo:demo", name="demo", help="Review three sample tickets.")
app.command("omoi_os.cli.serve:serve", name="serve", help="Serve the HTTP API on this machine.")
app.command("omoi_os.cli.database:app", name="db", help="Look after the database.")


def main() -> None:
    """Run the command line; errors that a person can mend are one sentence and exit code 2."""
    try:
        sys.exit(app())
    except OmoiError as error:
        print(f"omoi: {error.message}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
