from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from omoi_os.api.dependencies import CursorQuery, LimitQuery, PhaseQuery, ServicesNow
from omoi_os.api.schemas.tasks import CancelIn, RetriedOut, TaskDetail, TaskIn, TaskOut, TaskPageOut
from omoi_os.api.strict import StrictRoute
from omoi_os.services.task_queue import TaskFilter

router = APIRouter(tags=["tasks"], route_class=StrictRoute)


@router.post("/tickets/{ticket_id}/tasks", status_code=201, operation_id="createTask")
def create_task(ticket_id: str, body: TaskIn, services: ServicesNow) -> TaskOut:
    """Add a task to a ticket."""
    ticket = services.tickets.get(ticket_id)
    task = services.queue.enqueue_task(
        ticket.id,
        ticket.phase_id if body.phase_id is None else body.phase_id,
        body.task_type,
        body.description,
        body.priority,
        body.depends_on,
        capabilities=body.capabilities,
        max_retries=body.max_retries,
        timeout_seconds=body.timeout_seconds,
    )
    return TaskOut.model_validate(task)


@router.get("/tasks", operation_id="listTasks")
def list_tasks(
    services: ServicesNow,
    ticket_id: Annotated[str | None, Query(max_length=200)] = None,
    phase_id: PhaseQuery = None,
    status: Annotated[str | None, Query(max_length=50)] = None,
    agent_id: Annotated[str | None, Query(max_length=200)] = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> TaskPageOut:
    """List tasks without their results, the newest first."""
    asked = TaskFilter(ticket_id, phase_id, status, agent_id)
    page = services.queue.list_tasks(asked, limit=limit, cursor=cursor)
    return TaskPageOut(
        tasks=[TaskOut.model_validate(task) for task in page.tasks], next_cursor=page.next_cursor
    )


@router.get("/tasks/{task_id}", operation_id="getTask")
def get_task(task_id: str, services: ServicesNow) -> TaskDetail:
    """Get one task, with what it waits for and what waits for it."""
    task = services.queue.get_task(task_id)
    blocks, blocks_count = services.queue.get_blocked_ids(task_id)
    used = services.queue.get_task_timeout_status(task_id)
    return TaskDetail(
        task=TaskOut.model_validate(task),
        waits_for=services.queue.get_open_dependencies(task_id),
        blocks=blocks,
        blocks_count=blocks_count,
        elapsed_seconds=used["elapsed_time"],
        is_timed_out=used["is_timed_out"],
    )


@router.post("/tasks/{task_id}/cancel", operation_id="cancelTask")
def cancel_task(task_id: str, services: ServicesNow, body: CancelIn | None = None) -> TaskOut:
    """End a task that is not over; it counts as failed, and what waits for it fails as well."""
    return TaskOut.model_validate(services.queue.cancel(task_id, (body or CancelIn()).reason))


@router.post("/tasks/{task_id}/retry", operation_id="retryTask")
def retry_task(task_id: str, services: ServicesNow) -> RetriedOut:
    """Begin a failed task anew, and those that failed only because it did."""
    return RetriedOut.of(services.queue.reset_task(task_id))
