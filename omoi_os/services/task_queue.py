"""The queue of tasks, in PostgreSQL: what can be done next, and who does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from omoi_os.domain.phases import parse_phase
from omoi_os.domain.statuses import Priority, TaskStatus
from omoi_os.domain.tasks import NewTask, read_dependencies, read_status
from omoi_os.models.base import check_json, check_text, new_id
from omoi_os.models.task import Task
from omoi_os.services.database import driver_connection
from omoi_os.services.paging import check_limit, read_cursor, write_cursor
from omoi_os.services.queue.base import check_agent, existing, is_id, refuse_move, settle
from omoi_os.services.queue.dependencies import Dependencies
from omoi_os.services.queue.enqueue import check_capabilities, enqueue
from omoi_os.services.queue.handover import LONGEST_ERROR, Handover
from omoi_os.services.queue.retries import Retries, Revived
from omoi_os.services.queue.timeouts import Timeouts
from omoi_os.services.tickets import LONGEST_ID
from omoi_os.store import queue, task_lists, task_moves
from omoi_os.store.task_moves import StatusChange

__all__ = ["Revived", "TaskFilter", "TaskPage", "TaskQueueService"]


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; None for any."""

    ticket_id: str | None = None
    phase_id: str | None = None
    status: str | None = None
    agent_id: str | None = None

    def columns(self) -> dict[str, str]:
        """The asked columns and their values.

        Raises:
            InvalidInput: A phase or status is unknown, or an id cannot be one.
        """
        phase = None if self.phase_id is None else parse_phase(self.phase_id).value
        status = None if self.status is None else read_status(self.status).value
        for name, id_ in (("ticket_id", self.ticket_id), ("agent_id", self.agent_id)):
            if id_ is not None:
                check_text(name, id_, LONGEST_ID)
        asked = {
            "ticket_id": self.ticket_id,
            "phase_id": phase,
            "status": status,
            "assigned_agent_id": self.agent_id,
        }
        return {column: value for column, value in asked.items() if value is not None}


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some tasks, the newest first, and the cursor of the next page; None at the end."""

    tasks: list[Task]
    next_cursor: str | None


class TaskQueueService(Dependencies, Retries, Timeouts, Handover):
    """Tasks of tickets: enqueued, chosen by priority and age, taken by agents, ended.

    Methods that move a task raise `NotFound` for an unknown one, and `TaskMoveNotAllowed` where it cannot
    go there; those that answer with a bool answer False.
    """

    def enqueue_task(  # noqa: PLR0913, PLR0917 - the specification's signature
        self,
        ticket_id: str,
        phase_id: str,
        task_type: str,
        description: str | None,
        priority: str = Priority.MEDIUM,
        dependencies: Mapping[str, Any] | Sequence[str] | None = None,
        *,
        capabilities: Sequence[str] = (),
        max_retries: int = 3,
        timeout_seconds: int | None = None,
    ) -> Task:
        """Add a pending task.

        Args:
            dependencies: `{"depends_on": [task id, …]}`, or the list alone.
            capabilities: What an agent must offer to take it.
            timeout_seconds: From being taken; None for no limit.

        Raises:
            NotFound: There is no such ticket.
            InvalidInput: Priority, phase or a number is not usable, or a dependency is unknown
                (`UnknownDependency`), failed for good (`DependencyFailed`) or waits for this task
                (`DependencyCycle`).
        """
        check_capabilities(capabilities)
        new = NewTask(
            new_id(),
            ticket_id,
            phase_id,
            task_type,
            description,
            priority,
            read_dependencies(dependencies),
            tuple(dict.fromkeys(capabilities)),
            max_retries,
            timeout_seconds,
        )
        return self.enqueue_many([new])[0]

    def enqueue_many(self, tasks: Sequence[NewTask], *, session: Session | None = None) -> list[Task]:
        """Add tasks that may depend on one another, all or none.

        Returns:
            The new ones; a task whose generation key its ticket's phase has already is left out.

        Raises:
            NotFound, InvalidInput: As `enqueue_task`.
            Conflict: There is a task with one of the ids already; nothing else can be done in `session`.
        """
        if session is not None:
            return enqueue(driver_connection(session), tasks)
        with self._transaction() as connection:
            return enqueue(connection, tasks)

    def get_next_task(self, phase_id: str | None = None) -> Task | None:
        """The task that a claim would take now: most urgent, then oldest, nothing it waits for.

        Nothing of a ticket in BLOCKED: that one waits for a person.
        """
        phase = None if phase_id is None else parse_phase(phase_id)
        with self.db.single_statements() as connection:
            return queue.next_task(connection, phase)

    def claim_next_task(
        self, agent_id: str, phase_id: str | None = None, capabilities: Sequence[str] | None = None
    ) -> Task | None:
        """Take the next task for an agent, atomically: two callers never get one task.

        Args:
            capabilities: What the agent offers now; None for what it was registered with. An agent that
                named none takes any task.

        Returns:
            The task, assigned; None where nothing is ready.
        """
        check_agent(agent_id)
        if capabilities is not None:
            check_capabilities(capabilities)
        phase = None if phase_id is None else parse_phase(phase_id)
        with self.db.single_statements() as connection:
            return queue.claim(connection, agent_id, phase, capabilities)

    def claim_alone(self, agent_id: str, *, session: Session) -> Task | None:
        """`claim_next_task` in the caller's transaction, for an agent that writes in the ticket's workspace.

        Nothing of a ticket, or in a workspace, of which another task is in flight.
        """
        check_agent(agent_id)
        return queue.claim_alone(driver_connection(session), agent_id)

    def assign_task(self, task_id: str, agent_id: str) -> Task:
        """Give a pending task to an agent."""
        check_agent(agent_id)
        with self._transaction() as connection:
            task = task_moves.assign(connection, task_id, agent_id) if is_id(task_id) else None
            if task is None:
                raise refuse_move(connection, task_id, TaskStatus.ASSIGNED)
            return task

    def get_assigned_tasks(self, agent_id: str) -> list[Task]:
        """The tasks that the agent has now, the oldest assignment first."""
        check_agent(agent_id)
        with self.db.single_statements() as connection:
            return task_lists.in_flight(connection, agent_id)

    def update_task_status(
        self,
        task_id: str,
        status: str,
        result: dict[str, Any] | None = None,
        error_message: str | None = None,
        conversation_id: str | None = None,
    ) -> Task:
        """Move a task; its times come from the database's clock.

        A failed task is retried by `increment_retry`; what waits for one that failed for good fails as well.
        """
        target = read_status(status)
        check_json("result", result)
        if error_message is not None:
            check_text("error_message", error_message, LONGEST_ERROR)
        if conversation_id is not None:
            check_text("conversation_id", conversation_id)
        change = StatusChange(target, result, error_message, conversation_id)
        failing, completing = target is TaskStatus.FAILED, target is TaskStatus.COMPLETED
        with self._taking_away(task_id, failing=failing, completing=completing) as connection:
            task = task_moves.set_status(connection, task_id, change) if is_id(task_id) else None
            if task is None:
                raise refuse_move(connection, task_id, target)
            if target is TaskStatus.FAILED:
                settle(connection, [task.id])
            return task

    def get_task(self, task_id: str) -> Task:
        """The task."""
        with self.db.single_statements() as connection:
            return existing(connection, task_id)

    def list_tasks(
        self, asked: TaskFilter = TaskFilter(), *, limit: int = 50, cursor: str | None = None
    ) -> TaskPage:
        """Tasks without their results (which may be large), the newest first.

        Raises:
            InvalidInput: A filter is unknown, or the cursor is not one that was handed out.
        """
        check_limit(limit)
        with self.db.single_statements() as connection:
            found = task_lists.page(connection, asked.columns(), limit, read_cursor(cursor))
        more = len(found) > limit
        page = found[:limit]
        return TaskPage(page, write_cursor(page[-1].created_at, page[-1].id) if more else None)
