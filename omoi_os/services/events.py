"""The record of everything that happened, for readers: pages, the newest, and what comes next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from omoi_os.domain.events import EVERYTHING, EventFilter, Position, StoredEvent
from omoi_os.judge.environment import without_secrets
from omoi_os.logs import redact_json
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.event_feed import read_on
from omoi_os.services.paging import check_limit
from omoi_os.store import events

MOST: Final = 1000
"""Events of one page."""

LONGEST_LOOK: Final = 10 * MOST
"""Events that one call looks at; a rare type may need several calls."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events in their order.

    Attributes:
        reached: The place up to which the record was looked at, and from which the next page goes on.
        more: Whether there may be more to read now.
    """

    events: list[StoredEvent]
    reached: Position
    more: bool


class EventService:
    """Reads the record. What is handed out holds no secrets.

    Args:
        secrets: Texts that are never shown, beside everything that looks like a secret.
    """

    def __init__(self, db: DatabaseService, secrets: tuple[str, ...] = ()) -> None:
        self.db = db
        self._secrets = secrets

    def page(self, after: Position, asked: EventFilter = EVERYTHING, limit: int = 100) -> EventPage:
        """The first events after a place.

        Raises:
            InvalidInput: The limit is not from 1 to 1,000.
        """
        return self._look(events.after, after, asked, limit)

    def newest(self, asked: EventFilter = EVERYTHING, limit: int = 100) -> EventPage:
        """The last events, the oldest of them first; `reached` is the end of the record.

        Raises:
            InvalidInput: The limit is not from 1 to 1,000.
        """
        end = self.end()
        page = self._look(events.before, end, asked, limit)
        return EventPage(page.events[::-1], end, more=False)

    def end(self) -> Position:
        """The place after everything that can be read now."""
        with self.db.single_statements() as connection:
            return events.end(connection)

    def follow(self, after: Position, asked: EventFilter, stop: threading.Event) -> Iterator[StoredEvent]:
        """Every event after a place, as it comes, until `stop` is set, through outages of the database."""
        for _, found in read_on(self.db, after, stop):
            yield from self.shown(found, asked)

    def shown(self, found: list[StoredEvent], asked: EventFilter) -> Iterator[StoredEvent]:
        """Those of `found` that are asked for, without secrets."""
        for event in found:
            if asked.matches(event):
                yield replace(event, payload=redact_json(event.payload, self._without_secrets))

    def settle(self) -> int | None:
        """Begin a new era of the record if the database was restored from elsewhere; returns it."""
        with self.db.single_statements() as connection:
            cluster = events.cluster(connection)
            if events.era_of(connection, cluster) is not None:
                return None
        with self.db.get_session() as session:
            return events.begin_era(driver_connection(session), cluster)

    def _look(
        self, read: Callable[..., list[StoredEvent]], place: Position, asked: EventFilter, limit: int
    ) -> EventPage:
        check_limit(limit, MOST)
        wanted: list[StoredEvent] = []
        looked, more = 0, True
        batch = limit if not asked.types else MOST
        with self.db.single_statements() as connection:
            while more and len(wanted) < limit and looked < LONGEST_LOOK:
                found = read(connection, place, batch, ticket_id=asked.ticket_id)
                looked, more = looked + len(found), len(found) == batch
                for event in found:
                    place = event.position
                    if asked.matches(event):
                        wanted.append(event)
                    if len(wanted) == limit:
                        more = more or event is not found[-1]
                        break
        return EventPage(list(self.shown(wanted, asked)), place, more)

    def _without_secrets(self, text: str) -> str:
        return without_secrets(text, *self._secrets)
