"""Bodies of requests and responses. Lengths come from the tables."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from omoi_os.domain.storable import MAX_TEXT


class Body(BaseModel):
    """A request's body: unknown fields are errors, so that a typing mistake is not lost silently."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """A response's body, read from an object's attributes."""

    model_config = ConfigDict(from_attributes=True)


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


class FindingOut(Answer):
    """What one rule found."""

    criterion: str
    outcome: str
    severity: str
    code: str
    found: str
    needed: str
    artifact: str
    fix: str


class GateResultOut(Answer):
    """What a review decided."""

    gate_status: str
    requirements_met: bool
    blocking_reasons: list[str]
    result_id: str
    phase_id: str
    code: str | None
    findings: list[FindingOut]
    validated_at: datetime


class GateStatusOut(Answer):
    """What a gate has, what it lacks, and how the last review ended."""

    requirements_met: bool
    missing_artifacts: list[str]
    validation_status: str
    stale: bool
    tasks_completed: bool
    open_tasks: list[str]
    blocking_reasons: list[str]
    validated_at: datetime | None


class Health(Answer):
    """That the process answers."""

    status: str
    version: str


class Readiness(Answer):
    """That the process can do its work."""

    status: str
    database: str
    schema_revision: str
