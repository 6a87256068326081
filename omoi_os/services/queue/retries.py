from __future__ import annotations

from dataclasses import dataclass

from omoi_os.domain.phases import parse_phase
from omoi_os.domain.statuses import TaskStatus
from omoi_os.domain.tasks import is_permanent
from omoi_os.errors import TaskMoveNotAllowed
from omoi_os.models.task import Task
from omoi_os.services.queue.base import QueuePart, existing, is_id, refuse_move, settle
from omoi_os.store import task_lists, task_moves


@dataclass(frozen=True, slots=True)
class Revived:
    """A task that begins anew, and the ids of those that had failed only because it did."""

    task: Task
    others: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return self.task.id, *self.others


class Retries(QueuePart):
    """Failed tasks that are tried again."""

    def is_retryable_error(self, message: str | None) -> bool:
        """Whether another attempt may help: not where access, input or the thing itself is missing."""
        return not is_permanent(message)

    def should_retry(self, task_id: str) -> bool:
        """Whether the task failed, has a retry left, and its error is not a permanent one."""
        if not is_id(task_id):
            return False
        with self.db.single_statements() as connection:
            task = task_lists.find(connection, task_id)
        return (
            task is not None
            and task.status == TaskStatus.FAILED
            and task.retry_count < task.max_retries
            and not is_permanent(task.error_message)
        )

    def increment_retry(self, task_id: str) -> bool:
        """Put a failed task back into the queue; its error and assignment are cleared.

        It becomes available after about 2, 4, 8 … seconds (at most ten minutes), a random half of it less.

        Returns:
            False where `should_retry` is False.
        """
        if not is_id(task_id):
            return False
        with self._transaction(failing=True) as connection:
            if (task := task_moves.retry(connection, task_id)) is not None:
                settle(connection, [task.id])
            return task is not None

    def get_retryable_tasks(self, phase_id: str | None = None) -> list[Task]:
        """Failed tasks that may be tried again, the 1,000 oldest failures first."""
        phase = None if phase_id is None else parse_phase(phase_id)
        with self.db.single_statements() as connection:
            return task_lists.retryable(connection, phase)

    def retry_failed_tasks(self) -> int:
        """`increment_retry` for all that may be tried again, up to a thousand; returns how many."""
        with self._transaction(failing=True) as connection:
            tasks = task_moves.retry_all(connection)
            settle(connection, tasks)
            return len(tasks)

    def reset_task(self, task_id: str) -> Revived:
        """Begin a failed task anew with all its retries, and those that failed only because it did.

        Raises:
            NotFound: There is no such task.
            TaskMoveNotAllowed: It did not fail, or it waits for one that failed for good.
        """
        with self._transaction(failing=True) as connection:
            existing(connection, task_id)
            if not (tasks := task_moves.reset(connection, task_id)):
                raise refuse_move(connection, task_id, TaskStatus.PENDING)
            again = set(settle(connection, tasks))
            if task_id in again:
                raise TaskMoveNotAllowed("the task waits for one that failed for good; reset that one first")
            others = tuple(id_ for id_ in tasks if id_ != task_id and id_ not in again)
            return Revived(existing(connection, task_id), others)
