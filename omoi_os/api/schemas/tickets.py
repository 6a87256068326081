from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from omoi_os.api.schemas.base import Answer, Body
from omoi_os.domain.storable import MAX_TEXT


class TicketIn(Body):
    """A ticket to create."""

    title: Annotated[str, Field(min_length=1, max_length=500)]
    description: Annotated[str | None, Field(max_length=MAX_TEXT)] = None
    phase_id: Annotated[str, Field(max_length=60)] = "PHASE_BACKLOG"
    priority: Annotated[str, Field(max_length=20)] = "MEDIUM"
    workspace_path: Annotated[
        Path | None, Field(description="Folder of the work on the server, under one of its allowed roots.")
    ] = None


class TicketOut(Answer):
    """A ticket."""

    id: str
    title: str
    description: str | None
    phase_id: str
    previous_phase_id: str | None
    status: str
    priority: str
    workspace_path: str | None
    created_at: datetime
    updated_at: datetime


class TicketPage(Answer):
    """Some tickets, the newest first."""

    tickets: list[TicketOut]
    next_cursor: str | None = None


class ArtifactIn(Body):
    """An artifact to attach: a path in the workspace, or its content."""

    artifact_type: Annotated[str, Field(min_length=1, max_length=100)]
    artifact_path: Annotated[str | None, Field(max_length=4096)] = None
    artifact_content: dict[str, Any] | None = None
    phase_id: Annotated[str | None, Field(max_length=60)] = None


class ArtifactOut(Answer):
    """An artifact."""

    id: str
    ticket_id: str
    phase_id: str
    artifact_type: str
    artifact_path: str | None
    artifact_content: dict[str, Any] | None
    content_digest: str | None
    collected_at: datetime
    collected_by: str


class ContextOut(Answer):
    """What a ticket's phases hand on, and its summary."""

    ticket_id: str
    full_context: dict[str, Any]
    summary: str | None


class ContextUpdated(Answer):
    """That a phase's context was merged into the ticket's; `changed` is false where nothing was new."""

    status: str = "updated"
    changed: bool
