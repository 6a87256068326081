"""The life of a task: allowed moves, retries, what it waits for. Nothing here reads a clock or a database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from omoi_os.domain.statuses import Priority, TaskStatus
from omoi_os.errors import DependencyCycle, InvalidInput

TASK_MOVES: Final[Mapping[TaskStatus, frozenset[TaskStatus]]] = {
    TaskStatus.PENDING: frozenset(
        {TaskStatus.ASSIGNED, TaskStatus.RUNNING, TaskStatus.COMPLETED, TaskStatus.FAILED}
    ),
    TaskStatus.ASSIGNED: frozenset(
        {TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED, TaskStatus.FAILED}
    ),
    TaskStatus.RUNNING: frozenset(
        {TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.COMPLETED, TaskStatus.FAILED}
    ),
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.FAILED: frozenset(),
}
"""Where a status may go when somebody sets it. A failed task comes back by a retry only, which is counted;
a completed one never does."""

IN_FLIGHT: Final = (TaskStatus.ASSIGNED, TaskStatus.RUNNING)

BACKOFF_SECONDS: Final = 2
LONGEST_BACKOFF_SECONDS: Final = 600

CANCELLED: Final = "Task cancelled: "
PERMANENT: Final = "Permanent error: "
BLOCKED_BY: Final = "Blocked by task "

# One pattern for Python and PostgreSQL (an index and several statements use it): only what both read alike,
# in lower case, without word boundaries and back-references. Both fold A-Z alone: what a server makes of
# other letters (a dotted I, the Kelvin sign) depends on its locale.
PERMANENT_ERROR: Final = (
    "^(task cancelled: |permanent error: |blocked by task )"
    "|permission denied|access denied|not permitted|unauthori[sz]ed|forbidden|authentication"
    "|invalid (argument|input|request|parameter|configuration|credential|api key|token)"
    "|syntax ?error|not found|no such (file|module|command|table|column)|does not exist"
    "|not implemented|unsupported|(status|http|code|error)[ :=]*(400|401|403|404|405|410|422)([^0-9]|$)"
)
"""Errors that the next attempt would meet again."""

_PERMANENT_ERROR: Final = re.compile(PERMANENT_ERROR, re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to enqueue.

    Attributes:
        id: Chosen by the caller, so that tasks enqueued together can name one another.
        depends_on: Ids of tasks that must be completed before it can be taken.
        capabilities: What an agent must offer to take it; empty for any agent.
        timeout_seconds: From being taken; None for no limit.
        generation_key: Of tasks that a template made: a ticket's phase has each key once.
    """

    id: str
    ticket_id: str
    phase_id: str
    task_type: str
    description: str | None
    priority: str = Priority.MEDIUM
    depends_on: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    max_retries: int = 3
    timeout_seconds: int | None = None
    generation_key: str | None = None


def is_permanent(message: str | None) -> bool:
    """Whether a retry would meet the same error again."""
    return message is not None and _PERMANENT_ERROR.search(message) is not None


def read_priority(name: str) -> Priority:
    """The priority called `name`, in any case.

    Raises:
        InvalidInput: The message lists the priorities.
    """
    try:
        return Priority(name.upper())
    except ValueError:
        raise InvalidInput(
            f"priority: {name[:40]!r} is not one of {', '.join(Priority)}", field="priority"
        ) from None


def read_status(name: str) -> TaskStatus:
    """The task status called `name`.

    Raises:
        InvalidInput: The message lists them.
    """
    try:
        return TaskStatus(name)
    except ValueError:
        raise InvalidInput(
            f"status: {name[:40]!r} is not one of {', '.join(TaskStatus)}", field="status"
        ) from None


def read_dependencies(given: Mapping[str, Any] | Sequence[str] | None) -> tuple[str, ...]:
    """Task ids out of `{"depends_on": [id, …]}` or a list of ids, each once, in order.

    Raises:
        InvalidInput: It is neither.
    """
    if isinstance(given, Mapping):
        if unknown := [key for key in given if key != "depends_on"]:
            raise InvalidInput(
                f'dependencies: write {{"depends_on": [task id, …]}}; {unknown[0]!r} is not known',
                field="dependencies",
            )
        given = given.get("depends_on")
    if given is None:
        return ()
    if not isinstance(given, list | tuple) or not all(isinstance(item, str) and item for item in given):
        raise InvalidInput('dependencies: write {"depends_on": [task id, …]}', field="dependencies")
    return tuple(dict.fromkeys(given))


def find_cycle(start: str, waits_for: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The way from `start` back to itself, or into a circle; None where every way ends.

    Args:
        waits_for: By task id, the ids of the tasks that it depends on.

    Returns:
        Ids in order; the first one of the circle stands at its end again.
    """
    done: set[str] = set()
    path: dict[str, None] = {start: None}  # in order, and quick to ask
    ways = [iter(waits_for.get(start, ()))]
    while ways:
        step = next(ways[-1], None)
        if step is None:
            ways.pop()
            done.add(path.popitem()[0])
        elif step in path:
            circle = list(path)
            return [*circle[circle.index(step) :], step]
        elif step not in done:
            path[step] = None
            ways.append(iter(waits_for.get(step, ())))
    return None


def refuse_cycle(circle: Sequence[str] | None) -> None:
    """Raise `DependencyCycle` where there is one."""
    if circle:
        shown = " -> ".join(item[:60] for item in circle[:10]) + (" -> …" if len(circle) > 10 else "")
        raise DependencyCycle(
            f"dependencies: these tasks would wait for one another for ever: {shown}", cycle=list(circle)
        )
