from __future__ import annotations

from typing import Any, Final

from omoi_os.domain.statuses import TaskStatus
from omoi_os.domain.tasks import CANCELLED, IN_FLIGHT
from omoi_os.errors import NotFound, TaskMoveNotAllowed
from omoi_os.models.base import check_text
from omoi_os.models.task import Task
from omoi_os.services.queue.base import QueuePart, check_agent, is_id, refuse_move, settle
from omoi_os.store import task_lists, task_moves

LONGEST_REASON: Final = 2000
TIMEOUT: Final = "timeout_exceeded"


class Timeouts(QueuePart):
    """Tasks that take too long, and tasks that nobody wants any more. The clock is the database's."""

    def check_task_timeout(self, task_id: str) -> bool:
        """Whether the task is in flight and has used up its time."""
        return bool(self.get_task_timeout_status(task_id)["is_timed_out"])

    def get_timed_out_tasks(self) -> list[Task]:
        """Tasks in flight that have used up their time, the 1,000 longest first.

        A task without a limit that somebody has who never registered has 24 hours.
        """
        with self.db.single_statements() as connection:
            return task_lists.late(connection)

    def mark_task_timeout(self, task_id: str, reason: str = TIMEOUT, *, only_if_late: bool = False) -> bool:
        """End a task in flight as timed out; it may be retried.

        Args:
            only_if_late: Leave it alone unless its time is used up, as somebody else may have taken it
                anew since it was looked at.

        Returns:
            Whether it was ended.
        """
        check_text("reason", reason, LONGEST_REASON)
        if not is_id(task_id):
            return False
        with self._taking_away(task_id, failing=True) as connection:
            task = task_moves.time_out(connection, task_id, reason, only_if_late=only_if_late)
            if task is not None:
                settle(connection, [task.id])
            return task is not None

    def time_out_late_tasks(self) -> int:
        """End up to 1,000 tasks in flight that have used up their time; returns how many."""
        with self._transaction(failing=True) as connection:
            late = task_moves.time_out_late(connection, TIMEOUT)
            settle(connection, late)
            return len(late)

    def cancel_task(self, task_id: str, reason: str = "cancelled_by_request") -> bool:
        """End a task that is not over; it is not retried, and what waits for it fails.

        Returns:
            Whether it was ended; False also where there is no such task.
        """
        try:
            self.cancel(task_id, reason)
        except (NotFound, TaskMoveNotAllowed):
            return False
        return True

    def cancel(self, task_id: str, reason: str = "cancelled_by_request") -> Task:
        """`cancel_task` for callers that want to know why not.

        Raises:
            NotFound: There is no such task.
            TaskMoveNotAllowed: It is over already.
        """
        check_text("reason", reason, LONGEST_REASON)
        with self._taking_away(task_id, failing=True) as connection:
            error = f"{CANCELLED}{reason}"
            task = task_moves.cancel(connection, task_id, error) if is_id(task_id) else None
            if task is None:
                raise refuse_move(connection, task_id, TaskStatus.FAILED)
            settle(connection, [task.id])
            return task

    def get_cancellable_tasks(self, agent_id: str | None = None) -> list[Task]:
        """Tasks that agents have now: all of one agent, or the first 1,000 of all agents."""
        if agent_id is not None:
            check_agent(agent_id)
        with self.db.single_statements() as connection:
            return task_lists.in_flight(connection, agent_id)

    def get_task_elapsed_time(self, task_id: str) -> float | None:
        """Seconds from the task's start to its end, or to now; None where it was not started."""
        elapsed: float | None = self.get_task_timeout_status(task_id)["elapsed_time"]
        return elapsed

    def get_task_timeout_status(self, task_id: str) -> dict[str, Any]:
        """How much of its time a task has used.

        Returns:
            `exists`, `task_id`, `status`, `timeout_seconds`, `elapsed_time` (seconds), `time_remaining`
            (seconds, not below 0), `is_timed_out` and `can_cancel`; None where something is not known.
        """
        found = None
        if is_id(task_id):
            with self.db.single_statements() as connection:
                found = task_lists.elapsed(connection, task_id)
        if found is None:
            return _status(task_id)
        task, elapsed, late = found
        return _status(task_id, task, elapsed, late=late)


def _status(
    task_id: str, task: Task | None = None, elapsed: float | None = None, *, late: bool = False
) -> dict[str, Any]:
    limit = None if task is None else task.timeout_seconds
    remaining = None if limit is None or elapsed is None else limit - elapsed
    in_flight = task is not None and task.status in IN_FLIGHT
    return {
        "exists": task is not None,
        "task_id": task_id,
        "status": None if task is None else task.status,
        "timeout_seconds": limit,
        "elapsed_time": elapsed,
        "time_remaining": None if remaining is None else max(remaining, 0.0),
        "is_timed_out": late,
        "can_cancel": in_flight or (task is not None and task.status == TaskStatus.PENDING),
    }
