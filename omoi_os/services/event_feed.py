"""Reading on in the record of events, through outages: woken by writers, and looking by itself as well."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Final

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy.exc import SQLAlchemyError

from omoi_os.domain.events import Position, StoredEvent
from omoi_os.errors import OmoiError
from omoi_os.services.database import DatabaseService
from omoi_os.store import events

log = structlog.get_logger(__name__)

BATCH: Final = 500
"""Events that are read at once."""

PERIOD: Final = 1.0
"""Seconds after which the reader looks without having been woken: one writer may wake for several."""

HELD_PERIOD: Final = 0.05
"""The same while events wait for an older transaction to end, which wakes nobody."""

GATHERING: Final = 0.02
"""Seconds after a wake-up in which others join it: however many write, this bounds how often is read."""

OUTAGES: Final = (OmoiError, psycopg.Error, SQLAlchemyError, OSError)
"""What a reader survives: the database is away, or its connection was."""


def read_on(
    db: DatabaseService, after: Position | None, stop: threading.Event
) -> Iterator[tuple[Position, list[StoredEvent]]]:
    """All events after a place, in order, each once; every round yields, also where there is nothing new.

    Args:
        after: Where to begin; None for what is written from now on.
        stop: Ends it, within a second.

    Yields:
        The place that was reached, and the events up to there.
    """
    while not stop.is_set():
        try:
            with db.own_connection() as connection:
                events.listen(connection)
                while not stop.is_set():
                    place = events.end(connection) if after is None else after
                    found = events.after(connection, place, BATCH)
                    after = found[-1].position if found else place
                    yield after, found
                    if len(found) < BATCH:
                        _rest(connection)
        except OUTAGES as error:
            log.warning("events_not_readable", error=type(error).__name__)
            stop.wait(PERIOD)


def _rest(connection: Connection[TupleRow]) -> None:
    if events.wait(connection, HELD_PERIOD if events.some_wait(connection) else PERIOD):
        time.sleep(GATHERING)
        while events.wait(connection, 0):
            pass
