"""Rows for people, and the same as JSON for programs: the shapes of the HTTP API."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number
from pydantic import BaseModel
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from omoi_os.cli.show import print_plain, visible
from omoi_os.domain.phases import Phase, allowed_moves
from omoi_os.models.ticket import Ticket

LEAST_REST: Final = 16
"""Columns without which the last column of a table cannot be read."""

type AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
type Limit = Annotated[int, Parameter(validator=Number(gte=1, lte=1000), help="How many, up to 1,000.")]


def actor() -> str:
    """Who is at this command line, as the operating system knows them."""
    try:
        return f"cli:{getpass.getuser()}"[:255]
    except (KeyError, OSError):  # a user id without a name
        return "cli"


def print_json(value: BaseModel | Sequence[BaseModel]) -> None:
    """One object, or a list of them."""
    if isinstance(value, BaseModel):
        print_plain(value.model_dump_json(indent=2))
    else:
        print_plain(json.dumps([item.model_dump(mode="json") for item in value], indent=2))


def print_rows(
    out: Console, names: Sequence[str], rows: Iterable[Sequence[object]], *, whole: bool = False
) -> None:
    """A table whose last column takes the rest of the line.

    Where too little rests, the last one stands below the others instead: an id that is cut cannot be used.

    Args:
        whole: The last column holds such ids.
    """
    cells = [list(map(cell, row)) for row in rows]
    widths = [max(len(name), *(row[place].cell_len for row in cells)) for place, name in enumerate(names)]
    rest = widths[-1] if whole else min(LEAST_REST, widths[-1])
    if sum(widths[:-1]) + 2 * (len(names) - 1) + rest > out.width:
        _print_stacked(out, cells)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in names[:-1]:
        table.add_column(name, no_wrap=True)
    table.add_column(names[-1], overflow="fold")
    for row in cells:
        table.add_row(*row)
    out.print(table)


def _print_stacked(out: Console, rows: Iterable[Sequence[Text]]) -> None:
    for *first, last in rows:
        out.print(Text("  ").join(part for part in first if part), overflow="fold")
        if last:
            out.print(Padding(last, (0, 0, 0, 2), expand=False), overflow="fold")


def print_fields(out: Console, fields: Iterable[tuple[str, object]]) -> None:
    """The fields that have a value; a text keeps its lines."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, value in fields:
        if value not in (None, "", [], ()):
            lines = value.splitlines() if isinstance(value, str) else [value]
            grid.add_row(name, Text("\n").join(map(cell, lines)))
    out.print(grid)


def cell(value: object) -> Text:
    """A value in one line, with nothing in it that could steer the terminal."""
    match value:
        case Text():
            return value
        case None:
            return Text("")
        case datetime():
            return Text(moment(value))
        case list() | tuple():
            return Text(", ".join(visible(str(item)) for item in value))
        case _:
            return Text(visible(str(value)))


def moment(value: datetime) -> str:
    """A time to the second, in UTC."""
    return f"{value:%Y-%m-%d %H:%M:%S}Z"


def short_phase(phase_id: str) -> str:
    """A phase as people type it."""
    return phase_id.removeprefix("PHASE_").lower()


def blocked(ticket: Ticket) -> str | None:
    """How a blocked ticket goes on, as a clause; None for any other."""
    back = allowed_moves(Phase.BLOCKED, ticket.previous_phase_id)
    if ticket.phase_id != Phase.BLOCKED or not back:
        return None
    return f"blocked; `omoi ticket move {ticket.id} {short_phase(back[0])}` goes on"


def print_more(out: Console, cursor: str | None) -> None:
    """How to see the rows that follow."""
    if cursor is not None:
        out.print(Text(f"More follow: --cursor {cursor}", "dim"), soft_wrap=True)
