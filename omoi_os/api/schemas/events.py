from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from omoi_os.api.schemas.base import Answer
from omoi_os.domain.events import StoredEvent


class EventOut(Answer):
    """Something that happened."""

    id: str
    seq: int
    cursor: Annotated[str, Field(description="Goes on after this event: `after`, or Last-Event-ID.")]
    event_type: str
    entity_type: str
    entity_id: str
    ticket_id: str | None
    payload: dict[str, Any] | None
    created_at: datetime


class EventList(Answer):
    """Some events in their order."""

    events: list[EventOut]
    next_cursor: Annotated[
        str, Field(description="Goes on from here, now or later. A page may be empty before the end.")
    ]
    more: Annotated[bool, Field(description="Whether there may be more to read now.")]


def event_out(event: StoredEvent) -> EventOut:
    """The event as doors show it."""
    return EventOut(**event.as_dict())
