"""What an agent says about a task that it has. An agent that lost a task is told so, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.domain.statuses import TaskStatus
from omoi_os.domain.tasks import PERMANENT
from omoi_os.errors import InvalidInput, NotYourTask
from omoi_os.models.base import check_json, check_text
from omoi_os.models.task import Task
from omoi_os.services.queue.base import QueuePart, check_agent, existing, is_id, no_task, settle
from omoi_os.store import agents, events, task_lists, task_moves
from omoi_os.store.task_moves import StatusChange

LONGEST_MESSAGE: Final = 2000
LONGEST_ERROR: Final = 20_000


class Handover(QueuePart):
    """Progress, completion, failure and release by the agent that has the task; each is a sign of life."""

    def report_progress(
        self, task_id: str, agent_id: str, message: str = "", *, percent: float | None = None
    ) -> Task:
        """Say that the task is being worked on; the first report starts it.

        Raises:
            NotFound: There is no such task.
            NotYourTask: The agent does not have it.
            InvalidInput: The message is too long, or percent is not from 0 to 100.
        """
        check_text("message", message, LONGEST_MESSAGE)
        if percent is not None and not 0 <= percent <= 100:  # NaN compares as false
            raise InvalidInput("percent: write a number from 0 to 100", field="percent")
        with self._handover(task_id, agent_id) as connection:
            task = _move(connection, task_id, agent_id, StatusChange(TaskStatus.RUNNING))
            told = {
                "ticket_id": task.ticket_id,
                "agent_id": agent_id,
                "message": message,
                "percent": percent,
            }
            events.tell(connection, "task.progress", "task", task_id, told)
            return task

    def complete_task(self, task_id: str, agent_id: str, result: Mapping[str, Any] | None = None) -> Task:
        """Hand in a result; saying it twice is answered like the first time.

        Raises:
            NotFound, NotYourTask: As `report_progress`.
            InvalidInput: The result cannot be stored.
        """
        check_json("result", result)
        with self._handover(task_id, agent_id, completing=True) as connection:
            change = StatusChange(TaskStatus.COMPLETED, result)
            task = task_moves.set_status(connection, task_id, change, agent_id=agent_id)
            if task is None:
                return _completed_before(connection, task_id, agent_id, result)
            agents.rest(connection, agent_id)
            return task

    def fail_task(self, task_id: str, agent_id: str, error: str, *, permanent: bool = False) -> Task:
        """Say that the task could not be done; it is tried again where that may help.

        Args:
            permanent: Another attempt would fail in the same way.

        Raises:
            NotFound, NotYourTask: As `report_progress`.
            InvalidInput: The error is empty or too long.
        """
        if not error.strip():
            raise InvalidInput("error: say what went wrong", field="error")
        message = f"{PERMANENT}{error}" if permanent else error
        check_text("error", message, LONGEST_ERROR)
        with self._handover(task_id, agent_id, failing=True) as connection:
            failed = _move(
                connection, task_id, agent_id, StatusChange(TaskStatus.FAILED, error_message=message)
            )
            agents.rest(connection, agent_id)
            if (again := task_moves.retry(connection, task_id)) is not None:
                return again
            settle(connection, [failed.id])
            return failed

    def release_task(self, task_id: str, agent_id: str, reason: str = "") -> Task:
        """Give the task back unfinished; it is available at once, and no retry is counted.

        Raises:
            NotFound, NotYourTask: As `report_progress`.
        """
        check_text("reason", reason, LONGEST_MESSAGE)
        with self._handover(task_id, agent_id) as connection:
            task = _move(connection, task_id, agent_id, StatusChange(TaskStatus.PENDING))
            told = {"ticket_id": task.ticket_id, "agent_id": agent_id, "reason": reason}
            events.tell(connection, "task.released", "task", task_id, told)
            agents.rest(connection, agent_id)
            return task

    @contextmanager
    def _handover(
        self, task_id: str, agent_id: str, *, failing: bool = False, completing: bool = False
    ) -> Iterator[Connection[TupleRow]]:
        # The agent first, then its task: a sweep for silent agents locks them in the same order.
        check_agent(agent_id)
        if not is_id(task_id):
            raise no_task(task_id)
        ending = task_id if completing else None
        with self._transaction(failing=failing, completing=ending) as connection:
            agents.beat(connection, agent_id)
            yield connection


def _move(connection: Connection[TupleRow], task_id: str, agent_id: str, change: StatusChange) -> Task:
    task = task_moves.set_status(connection, task_id, change, agent_id=agent_id)
    if task is None:
        existing(connection, task_id)
        raise NotYourTask(task_id=task_id)
    return task


def _completed_before(
    connection: Connection[TupleRow], task_id: str, agent_id: str, result: Mapping[str, Any] | None
) -> Task:
    task = existing(connection, task_id)
    if task.status != TaskStatus.COMPLETED or task.assigned_agent_id != agent_id:
        raise NotYourTask(task_id=task_id)
    given = None if result is None else msgspec.json.encode(result).decode()
    if not task_lists.has_result(connection, task_id, given):
        raise NotYourTask("the task is completed, with another result", task_id=task_id)
    return task
