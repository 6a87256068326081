"""`omoi events`: what happened, and what happens."""

from __future__ import annotations

import json
import sys
import threading
from typing import Annotated

from cyclopts import Parameter

from omoi_os import logs
from omoi_os.api.schemas.events import event_out
from omoi_os.cli.exits import Exit
from omoi_os.cli.lists import AsJson, Limit, moment
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.show import LONGEST_CELL, print_plain, visible
from omoi_os.domain.events import StoredEvent, event_filter, read_position


def events(
    *,
    ticket: str | None = None,
    type_: Annotated[list[str] | None, Parameter(name="--type", negative="")] = None,
    after: str | None = None,
    limit: Limit = 20,
    follow: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> int:
    """Show the newest events, or those after a cursor; with --json one object per line.

    Parameters
    ----------
    ticket
        Only those about this ticket.
    type_
        Only this type, such as gate.decided; "gate." means all that begin so. May be given several times.
    after
        Go on after this cursor of an event; 0 is the beginning.
    follow
        Stay and show what happens, until Ctrl-C.
    """
    asked = event_filter(ticket, type_ or ())
    place = None if after is None else read_position(after)
    with opened(read_settings()) as services:
        record = services.events
        page = record.newest(asked, limit) if place is None else record.page(place, asked, limit)
        for event in page.events:
            print_plain(_line(event, as_json=as_json))
        if follow:
            logs.configure(json_lines=not sys.stderr.isatty())
            for event in record.follow(page.reached, asked, threading.Event()):
                if not print_plain(_line(event, as_json=as_json)):
                    break
    return Exit.PASSED


def _line(event: StoredEvent, *, as_json: bool) -> str:
    if as_json:
        return event_out(event).model_dump_json()
    payload = {name: value for name, value in (event.payload or {}).items() if value is not None}
    told = json.dumps(payload, ensure_ascii=False) if payload else ""
    told = told if len(told) <= LONGEST_CELL else f"{told[:LONGEST_CELL]}…"
    line = f"{moment(event.created_at)}  {event.event_type}  {event.entity_type} {event.entity_id}  {told}"
    return visible(line.rstrip())
