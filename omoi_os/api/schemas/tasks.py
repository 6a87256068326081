from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, WithJsonSchema, field_validator

from omoi_os.api.schemas.base import Answer, Body
from omoi_os.domain.storable import MAX_TEXT
from omoi_os.domain.tasks import read_dependencies
from omoi_os.services.queue.enqueue import LONGEST_CAPABILITY, MOST_CAPABILITIES
from omoi_os.services.task_queue import Revived
from omoi_os.services.tickets import LONGEST_ID

type ShortText = Annotated[str, Field(max_length=2000)]
# The service checks these two, with an error of its own; the document tells their bounds.
type TaskId = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_ID})]
type Capability = Annotated[
    str, WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_CAPABILITY})
]


class TaskIn(Body):
    """A task to add to a ticket."""

    task_type: Annotated[str, Field(min_length=1, max_length=100)]
    description: Annotated[str | None, Field(max_length=MAX_TEXT)] = None
    phase_id: Annotated[str | None, Field(max_length=60, description="The ticket's if left out.")] = None
    priority: Annotated[str, Field(max_length=20)] = "MEDIUM"
    depends_on: Annotated[
        tuple[TaskId, ...], Field(max_length=1000, description="Ids of tasks that must be completed first.")
    ] = ()
    capabilities: Annotated[
        tuple[Capability, ...],
        Field(max_length=MOST_CAPABILITIES, description="What an agent must offer to take it."),
    ] = ()
    max_retries: Annotated[int, Field(ge=0, le=100, strict=True)] = 3
    timeout_seconds: Annotated[
        int | None, Field(ge=1, le=30 * 24 * 3600, strict=True, description="From being taken.")
    ] = None


class TaskOut(Answer):
    """A task; lists leave `result` out."""

    id: str
    ticket_id: str
    phase_id: str
    task_type: str
    description: str | None
    priority: str
    status: str
    assigned_agent_id: str | None
    conversation_id: str | None
    result: dict[str, Any] | None = None
    error_message: str | None
    depends_on: Annotated[list[str], Field(validation_alias="dependencies")]
    capabilities: Annotated[list[str], Field(validation_alias="required_capabilities")]
    retry_count: int
    max_retries: int
    timeout_seconds: int | None
    not_before: datetime | None
    created_at: datetime
    assigned_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None

    @field_validator("depends_on", mode="before")
    @classmethod
    def _ids(cls, value: dict[str, Any] | None) -> list[str]:
        return list(read_dependencies(value))

    @field_validator("capabilities", mode="before")
    @classmethod
    def _names(cls, value: list[str] | None) -> list[str]:
        return value or []


class TaskDetail(Answer):
    """A task, what it still waits for, and how much of its time it has used."""

    task: TaskOut
    waits_for: list[str]
    blocks: Annotated[list[str], Field(description="Ids of pending tasks that wait for it, at most 100.")]
    blocks_count: int
    elapsed_seconds: float | None
    is_timed_out: bool


class RetriedOut(Answer):
    """A task that begins anew, and those that had failed only because it did."""

    task: TaskOut
    count: Annotated[int, Field(description="Of all tasks that begin anew.")]
    task_ids: Annotated[list[str], Field(description="The first 100 of them.")]

    @classmethod
    def of(cls, revived: Revived) -> Self:
        """What is told of tasks that may be very many."""
        task = TaskOut.model_validate(revived.task)
        return cls(task=task, count=len(revived.ids), task_ids=list(revived.ids[:100]))


class TaskPageOut(Answer):
    """Some tasks, the newest first."""

    tasks: list[TaskOut]
    next_cursor: str | None = None


class GeneratedTask(Answer):
    """A task that a template made."""

    id: str
    task_type: str
    description: str | None
    priority: str
    phase_id: str


class CancelIn(Body):
    """Why a task is cancelled."""

    reason: ShortText = "cancelled_by_request"


class Claimed(Answer):
    """The task that was taken; null where nothing is ready."""

    task: TaskOut | None


class ClaimIn(Body):
    """What an agent wants to take; what is left out is as it was registered."""

    phase_id: Annotated[str | None, Field(max_length=60)] = None
    capabilities: Annotated[list[Capability] | None, Field(max_length=MOST_CAPABILITIES)] = None


class ProgressIn(Body):
    """How far a task is."""

    message: ShortText = ""
    percent: Annotated[float | None, Field(ge=0, le=100, strict=True)] = None


class CompleteIn(Body):
    """What came of a task; `artifacts` in it are collected by the gate."""

    result: dict[str, Any] | None = None


class FailIn(Body):
    """Why a task could not be done."""

    error: Annotated[str, Field(min_length=1, max_length=19_000)]
    permanent: Annotated[
        bool, Field(strict=True, description="Another attempt would fail in the same way.")
    ] = False


class ReleaseIn(Body):
    """Why a task is given back."""

    reason: ShortText = ""
