from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from omoi_os.api.schemas.base import Answer, Body
from omoi_os.api.schemas.gates import TicketWaiver
from omoi_os.api.schemas.tasks import ShortText


class TransitionIn(Body):
    """Where a ticket shall go."""

    to_phase: Annotated[str, Field(min_length=1, max_length=60)]
    reason: ShortText = ""


class TransitionOut(Answer):
    """A move that was made."""

    ticket_id: str
    previous_phase: str
    current_phase: str
    transitioned_at: datetime
    transitioned_by: str | None


class HistoryOut(Answer):
    """One move of a ticket."""

    id: str
    from_phase: str | None
    to_phase: str
    transition_reason: str | None
    transitioned_by: str | None
    forced: bool
    gate_result_id: str | None
    artifacts: dict[str, Any] | list[Any] | None
    created_at: datetime


class HistoryList(Answer):
    """Moves of a ticket, the first one first; what was waived on its way stands on the first page."""

    ticket_id: str
    current_phase: str
    history: list[HistoryOut]
    waivers: list[TicketWaiver]
    next_cursor: str | None = None


class ValidTransitions(Answer):
    """Where a ticket may go, as far as the map knows; its gate may still be closed."""

    ticket_id: str
    current_phase: str
    valid_transitions: list[str]
