"""Where a reader of the record of events stands, and what it asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from omoi_os.domain.storable import problem_in_text
from omoi_os.errors import InvalidInput

_CURSOR: Final = re.compile(r"(\d{1,10})\.(\d{1,19})\.(\d{1,19})", re.ASCII)
_LARGEST: Final = (2**31 - 1, 2**63 - 1, 2**63 - 1)
_LONGEST_ID: Final = 200

TYPES: Final = (
    *("agent.forgotten", "agent.registered", "agent.silent"),
    *("artifact.added", "artifact.unusable"),
    *("gate.decided", "gate.waived", "gate.waiver_revoked"),
    *("review.requested", "review.stage", "review.waiting"),
    *("task.assigned", "task.blocked", "task.cancelled", "task.created", "task.failed", "task.moved"),
    *("task.progress", "task.released", "task.requeued", "task.reset", "task.retried", "task.timed_out"),
    *("task_templates.replaced", "task_templates.reset"),
    *("ticket.context_condensed", "ticket.context_updated", "ticket.created", "ticket.moved"),
    *("webhook.added", "webhook.delivery_failed", "webhook.disabled", "webhook.removed", "webhook.test"),
)
"""What happens, all of it."""

MOST_TYPES: Final = 20
"""Kinds of events that one reader names."""


class Position(NamedTuple):
    """A place in the record; tuples compare as the record is ordered.

    Attributes:
        era: Which numbering of transactions `xid` belongs to.
        xid: The transaction that wrote the event.
        seq: Number of the event.
    """

    era: int
    xid: int
    seq: int

    def __str__(self) -> str:
        return f"{self.era}.{self.xid}.{self.seq}"


BEGINNING: Final = Position(0, 0, 0)


def read_position(cursor: str) -> Position:
    """The place that a cursor names; "0" is the beginning.

    Raises:
        InvalidInput: It is not a cursor that was handed out.
    """
    if cursor == "0":
        return BEGINNING
    if found := _CURSOR.fullmatch(cursor):
        era, xid, seq = map(int, found.groups())
        if all(number <= most for number, most in zip((era, xid, seq), _LARGEST, strict=True)):
            return Position(era, xid, seq)
    raise InvalidInput(
        "after (or Last-Event-ID): use the id of an event, or a next_cursor, unchanged; 0 is the beginning",
        field="after",
    )


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event of the record.

    Attributes:
        ticket_id: The ticket that it is about, if it is about one.
    """

    position: Position
    id: str
    event_type: str
    entity_type: str
    entity_id: str
    ticket_id: str | None
    payload: dict[str, Any] | None
    created_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """The event as it is told to others."""
        return {
            "id": self.id,
            "seq": self.position.seq,
            "cursor": str(self.position),
            "event_type": self.event_type,
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "ticket_id": self.ticket_id,
            "payload": self.payload,
            "created_at": self.created_at,
        }


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events somebody asks for.

    Attributes:
        ticket_id: Only those about this ticket.
        types: Only of these types; one that ends in a dot, such as "gate.", means all that begin so.
    """

    ticket_id: str | None = None
    types: tuple[str, ...] = ()

    def matches(self, event: StoredEvent) -> bool:
        if self.ticket_id is not None and event.ticket_id != self.ticket_id:
            return False
        return not self.types or any(_is_of(event.event_type, type_) for type_ in self.types)


EVERYTHING: Final = EventFilter()


def event_filter(ticket_id: str | None, types: Sequence[str] = ()) -> EventFilter:
    """A filter from what somebody wrote.

    Raises:
        InvalidInput: No event can have such a ticket or type, or there are too many types.
    """
    if ticket_id is not None and (not ticket_id or problem_in_text(ticket_id, _LONGEST_ID)):
        raise InvalidInput("ticket_id: write the id of a ticket", field="ticket_id")
    if len(types) > MOST_TYPES:
        raise InvalidInput(f"event_type: name {MOST_TYPES} types at most", field="event_type")
    for type_ in types:
        if not any(_is_of(known, type_) for known in TYPES):
            raise InvalidInput(
                f"event_type: there is no {type_[:60]!r}, the nearest is {_nearest(type_[:60])}; write "
                "a type such as gate.decided, or its beginning with the dot: gate.",
                field="event_type",
            )
    return EventFilter(ticket_id, tuple(types))


def _nearest(type_: str) -> str:
    beginnings = sorted({f"{known.partition('.')[0]}." for known in TYPES})
    return get_close_matches(type_.lower(), [*beginnings, *TYPES], n=1, cutoff=0)[0]


def _is_of(event_type: str, wanted: str) -> bool:
    return event_type.startswith(wanted) if wanted.endswith(".") else event_type == wanted
