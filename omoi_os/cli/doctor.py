"""`omoi doctor`: does this machine have what reviews need?"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Final

from rich.table import Table
from rich.text import Text

from omoi_os.bootstrap import Services, open_services
from omoi_os.cli.exits import Exit
from omoi_os.cli.lists import AsJson
from omoi_os.cli.opening import read_settings
from omoi_os.cli.show import console, print_plain, progress, visible
from omoi_os.services.doctor import Check, State, examine

_MARKS: Final = {
    State.OK: Text("ok", "green"),
    State.FAIL: Text("FAIL", "bold red"),
    State.SKIPPED: Text("-", "dim"),
}


def doctor(*, as_json: AsJson = False) -> int:
    """Check what omoi needs on this machine, and say what is wrong and what to do.

    Where a judge is configured, its model is asked one small question. Exit code 1 says that something
    is wrong.
    """
    settings = read_settings()

    def database() -> AbstractContextManager[Services]:
        return open_services(settings)

    with progress("looking around"):
        checks = list(examine(settings, database))
    if as_json:
        print_plain(json.dumps([check.as_dict() for check in checks], indent=2))
    else:
        console().print(_table(checks))
    return Exit.BLOCKED if any(check.state is State.FAIL for check in checks) else Exit.PASSED


def _table(checks: list[Check]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for check in checks:
        said = f"{check.found.rstrip('. ')}. {check.fix}".strip()
        grid.add_row(_MARKS[check.state], check.name, Text(visible(said)))
    return grid
