"""Adding tasks: everything is checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from psycopg import Connection
from psycopg.errors import UniqueViolation
from psycopg.rows import TupleRow

from omoi_os.domain.phases import Phase, parse_phase
from omoi_os.domain.tasks import NewTask, find_cycle, read_priority, refuse_cycle
from omoi_os.errors import Conflict, DependencyFailed, InvalidInput, UnknownDependency
from omoi_os.models.base import check_text, text_limit
from omoi_os.models.task import Task
from omoi_os.services.queue.base import is_id
from omoi_os.services.tickets import LONGEST_ID, no_ticket
from omoi_os.store import queue, tickets

MOST_RETRIES: Final = 100
LONGEST_TIMEOUT: Final = 30 * 24 * 3600
"""Seconds."""

MOST_DEPENDENCIES: Final = 1000
MOST_CAPABILITIES: Final = 100
LONGEST_CAPABILITY: Final = 100


def enqueue(connection: Connection[TupleRow], tasks: Sequence[NewTask]) -> list[Task]:
    """Add tasks within the caller's transaction; those whose generation key exists already are left out.

    Raises:
        NotFound: There is no such ticket.
        Conflict: There is a task with one of the ids already; the transaction cannot go on.
        InvalidInput: A field cannot be used; `UnknownDependency`, `DependencyFailed` and
            `DependencyCycle` say which dependency.
    """
    checked = [_checked(task) for task in tasks]
    if len({task.id for task in checked}) < len(checked):
        raise InvalidInput("id: two tasks have the same one", field="id")
    keyed = any(task.generation_key is not None for task in checked)
    for ticket_id in sorted({task.ticket_id for task in checked}):
        # Two who generate the same tasks must not both find that there are none yet.
        if not is_id(ticket_id) or not tickets.hold(connection, ticket_id, alone=keyed):
            raise no_ticket(ticket_id)
    made_before = queue.generated(connection, checked) if keyed else {}
    new = [_renamed(task, made_before) for task in checked if task.id not in made_before]
    _check_dependencies(connection, new)
    try:
        return queue.insert(connection, new) if new else []
    except UniqueViolation as error:
        raise Conflict("id: there is a task with one of these ids already", field="id") from error


def _renamed(task: NewTask, known: Mapping[str, str]) -> NewTask:
    return replace(task, depends_on=tuple(known.get(item, item) for item in task.depends_on))


def _check_dependencies(connection: Connection[TupleRow], tasks: Sequence[NewTask]) -> None:
    waits_for: dict[str, Sequence[str]] = {task.id: task.depends_on for task in tasks}
    outside = sorted({item for task in tasks for item in task.depends_on} - set(waits_for))
    if outside:
        _refuse_unusable(connection, outside)
        waits_for = queue.waits_for(connection, outside) | waits_for
    for task in tasks:
        refuse_cycle(find_cycle(task.id, waits_for))


def _refuse_unusable(connection: Connection[TupleRow], ids: Sequence[str]) -> None:
    if unusable := [item for item in ids if not is_id(item)]:
        raise UnknownDependency(f"dependencies: {unusable[0][:60]!r} is not the id of a task")
    known = queue.hold_dependencies(connection, ids)
    if missing := [item for item in ids if item not in known]:
        raise UnknownDependency(
            f"dependencies: there is no task {missing[0][:60]!r}; enqueue it first", missing=missing[:20]
        )
    for item in ids:
        error, for_good = known[item]
        if for_good:
            raise DependencyFailed(
                f"dependencies: task {item[:60]!r} failed for good ({(error or 'no reason given')[:300]}); "
                "reset it first",
                dependency=item,
            )


def _checked(task: NewTask) -> NewTask:
    check_text("id", task.id, LONGEST_ID)
    if task.generation_key is not None:
        check_text("generation_key", task.generation_key, text_limit(Task.generation_key))
    if not task.task_type.strip():
        raise InvalidInput("task_type: a task needs a type", field="task_type")
    check_text("task_type", task.task_type, text_limit(Task.task_type))
    if task.description is not None:
        check_text("description", task.description)
    _in_range("max_retries", task.max_retries, 0, MOST_RETRIES)
    if task.timeout_seconds is not None:
        _in_range("timeout_seconds", task.timeout_seconds, 1, LONGEST_TIMEOUT)
    if len(task.depends_on) > MOST_DEPENDENCIES:
        raise InvalidInput(f"dependencies: at most {MOST_DEPENDENCIES} are allowed", field="dependencies")
    check_capabilities(task.capabilities)
    phase, priority = parse_phase(task.phase_id), read_priority(task.priority)
    if phase in (Phase.DONE, Phase.BLOCKED):
        raise InvalidInput(f"phase_id: nothing is worked on in {phase.value}", field="phase_id")
    return replace(task, phase_id=phase.value, priority=priority.value)


def check_capabilities(capabilities: Sequence[str]) -> None:
    """Raise `InvalidInput` where these are not names of capabilities."""
    if isinstance(capabilities, str) or len(capabilities) > MOST_CAPABILITIES:
        raise InvalidInput(
            f"capabilities: give a list of at most {MOST_CAPABILITIES} names", field="capabilities"
        )
    for name in capabilities:
        if not isinstance(name, str) or not name.strip():
            raise InvalidInput("capabilities: a name is empty or not a text", field="capabilities")
        check_text("capabilities", name, LONGEST_CAPABILITY)


def _in_range(field: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInput(f"{field}: write a whole number from {least} to {most:,}", field=field)
