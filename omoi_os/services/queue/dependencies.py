from __future__ import annotations

from collections.abc import Sequence

from omoi_os.domain.tasks import find_cycle
from omoi_os.models.task import Task
from omoi_os.services.queue.base import QueuePart, is_id, settle
from omoi_os.store import queue, task_lists


class Dependencies(QueuePart):
    """What a task waits for, and what waits for it."""

    def check_dependencies_complete(self, task_id: str) -> bool:
        """Whether nothing keeps the task waiting; False for an unknown task."""
        if not is_id(task_id):
            return False
        with self.db.single_statements() as connection:
            return queue.open_dependencies(connection, task_id) == []

    def get_open_dependencies(self, task_id: str) -> list[str]:
        """Ids of what the task still waits for; empty for an unknown task."""
        if not is_id(task_id):
            return []
        with self.db.single_statements() as connection:
            return queue.open_dependencies(connection, task_id) or []

    def get_blocked_tasks(self, task_id: str) -> list[Task]:
        """The pending tasks that name this one as a dependency, the first 1,000 in the order of the queue."""
        if not is_id(task_id):
            return []
        with self.db.single_statements() as connection:
            return task_lists.blocked_by(connection, task_id)

    def get_blocked_ids(self, task_id: str, most: int = 100) -> tuple[list[str], int]:
        """Ids of the first `most` of the tasks that this one blocks, and how many it blocks altogether."""
        if not is_id(task_id):
            return [], 0
        with self.db.single_statements() as connection:
            return task_lists.blocked_ids(connection, task_id, most)

    def fail_blocked_tasks(self) -> int:
        """Fail pending tasks that wait for one that failed for good; returns how many.

        Whoever fails a task through this service has done so already. This is for rows that others wrote,
        so it looks before it makes others wait; what it found is asked again when nobody else can fail.
        """
        with self.db.single_statements() as connection:
            blocked = queue.blocked_for_good(connection)
        if not blocked:
            return 0
        with self._transaction(failing=True) as connection:
            return len(settle(connection, blocked))

    def detect_circular_dependencies(self, task_id: str, depends_on: Sequence[str]) -> list[str] | None:
        """The circle that would arise if `task_id` depended on these; None where there is none.

        Returns:
            Ids in order; the first one of the circle stands at its end again.
        """
        usable = [item for item in depends_on if is_id(item)]
        with self.db.single_statements() as connection:
            waits_for = queue.waits_for(connection, usable)
        return find_cycle(task_id, {**waits_for, task_id: list(depends_on)})
