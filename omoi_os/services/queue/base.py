"""What the parts of the queue share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy.orm import Session

from omoi_os import faults
from omoi_os.domain.statuses import TaskStatus
from omoi_os.domain.storable import problem_in_text
from omoi_os.errors import InvalidInput, NotFound, TaskMoveNotAllowed
from omoi_os.models.base import check_text
from omoi_os.models.task import Task
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.tickets import LONGEST_ID
from omoi_os.store import agents, queue, task_lists, task_moves


class Completions(Protocol):
    """Who wants to know that a task is completed, in the transaction that completes it."""

    def hold_phase_of(self, session: Session, task_id: str) -> None:
        """Lock what is looked at afterwards; before the task itself is locked."""

    def phase_worked_on(self, session: Session, task: Task) -> None:
        """The task is completed."""


class QueuePart:
    """A part of the queue on a database.

    Args:
        completions: Told of each completed task; None tells nobody.
    """

    def __init__(self, db: DatabaseService, *, completions: Completions | None = None) -> None:
        self.db = db
        self.completions = completions

    @contextmanager
    def _transaction(
        self, *, failing: bool = False, completing: str | None = None
    ) -> Iterator[Connection[TupleRow]]:
        """A transaction.

        Args:
            failing: It may fail tasks.
            completing: Id of the task that it may complete.
        """
        with self.db.get_session() as session:
            connection = driver_connection(session)
            if failing:
                queue.hold_failing(connection)
            if completing is None or self.completions is None:
                yield connection
                return
            # The ticket before the agent and the task, as a move of the ticket locks them.
            self.completions.hold_phase_of(session, completing)
            before = task_lists.find(connection, completing)
            yield connection
            after = task_lists.find(connection, completing)
            if (
                after is not None
                and before is not None
                and before.status != after.status == TaskStatus.COMPLETED
            ):
                self.completions.phase_worked_on(session, after)
            faults.reached("request.before_commit", completing)
        faults.reached("request.after_commit", completing)

    @contextmanager
    def _taking_away(
        self, task_id: str, *, failing: bool = False, completing: bool = False
    ) -> Iterator[Connection[TupleRow]]:
        """A transaction that ends a task or gives it back; whoever had it rests if that was its last one."""
        ending = task_id if completing and is_id(task_id) else None
        with self._transaction(failing=failing, completing=ending) as connection:
            holder = agents.hold_holder(connection, task_id) if is_id(task_id) else None
            yield connection
            if holder is not None:
                agents.rest(connection, holder)


def no_task(task_id: str) -> NotFound:
    """The error for a task that is not there."""
    return NotFound(f"there is no task {task_id[:60]!r}", task_id=task_id[:60])


def is_id(task_id: str) -> bool:
    """Whether a row can have this id; the driver refuses others."""
    return problem_in_text(task_id, LONGEST_ID) is None


def check_agent(agent_id: str) -> None:
    """Raise `InvalidInput` where no agent can be called so."""
    if not agent_id.strip():
        raise InvalidInput("agent_id: name the agent", field="agent_id")
    check_text("agent_id", agent_id, LONGEST_ID)


def existing(connection: Connection[TupleRow], task_id: str) -> Task:
    """The task.

    Raises:
        NotFound: There is no such task.
    """
    task = task_lists.find(connection, task_id) if is_id(task_id) else None
    if task is None:
        raise no_task(task_id)
    return task


def refuse_move(connection: Connection[TupleRow], task_id: str, target: TaskStatus) -> TaskMoveNotAllowed:
    """The error that says why a task did not move.

    Raises:
        NotFound: There is no such task.
    """
    task = existing(connection, task_id)
    open_ones = queue.open_dependencies(connection, task_id) or []
    if task.status == TaskStatus.PENDING and open_ones:
        return TaskMoveNotAllowed(
            f"the task cannot be {target.value}: it waits for {', '.join(open_ones[:3])}",
            waits_for=open_ones[:20],
        )
    why = (
        f"the task is {task.status} already"
        if task.status == target
        else f"a task that is {task.status} cannot become {target.value}"
    )
    return TaskMoveNotAllowed(why, task_status=task.status)


def settle(connection: Connection[TupleRow], task_ids: Sequence[str]) -> list[str]:
    """What follows when tasks failed or are pending again: what waits for one that failed for good fails.

    Returns:
        Ids of what failed here; `queue.hold_failing` comes before whatever moved the given ones.
    """
    return task_moves.fail_dependents(connection, task_ids) if task_ids else []
