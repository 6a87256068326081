"""SQL that changes the status of tasks. Each statement writes its event, and returns what it moved.

Which moves are allowed stands in the `WHERE` of the statement: of several callers one wins, and the others
get no row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.domain.statuses import TaskStatus
from omoi_os.domain.tasks import BACKOFF_SECONDS, BLOCKED_BY, LONGEST_BACKOFF_SECONDS, TASK_MOVES
from omoi_os.domain.tasks import IN_FLIGHT as IN_FLIGHT_STATUSES
from omoi_os.models.task import IN_FLIGHT, LATE, RETRYABLE, WAITING, Task
from omoi_os.store.queue import DEPENDS_ON, OPEN_DEPENDENCIES
from omoi_os.store.rows import fetch_one

# Half of the delay is certain and half is drawn, so that tasks that failed together do not return together.
BACKOFF: Final = f"""
clock_timestamp() + (0.5 + random() / 2)
* make_interval(secs => least({BACKOFF_SECONDS} * 2.0 ^ least(retry_count, 30), {LONGEST_BACKOFF_SECONDS}))
"""

_FREED: Final = "assigned_agent_id = NULL, assigned_at = NULL, started_at = NULL, completed_at = NULL"
_AGAIN: Final = f"status = 'pending', retry_count = retry_count + 1, not_before = {BACKOFF}, {_FREED}"
_FAILED: Final = "status = 'failed', completed_at = clock_timestamp()"
_ID: Final = "id = %(id)s::text"

# Asked one by one (OFFSET 0 keeps it so): as a join, all pending or failed tasks would be read at each step.
# What a status is not is asked, as for what it is the planner would add the index of that status.
_NEEDS: Final = "dependencies @> jsonb_build_object('depends_on', jsonb_build_array({}))"


def _moving(event: str, changes: str, where: str, *, first: str = "", returned: str = "*") -> str:
    return f"""
    WITH RECURSIVE {first} moved AS (UPDATE tasks SET {changes} WHERE {where} RETURNING tasks.*),
    told AS (
        INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
        SELECT gen_random_uuid()::text, '{event}', 'task', id,
               jsonb_build_object('ticket_id', ticket_id, 'phase_id', phase_id, 'status', status)
               || %(told)s::jsonb,
               clock_timestamp()
        FROM moved
    )
    SELECT {returned} FROM moved
    """  # noqa: S608


def _some(which: str) -> str:
    """Ids of up to a thousand tasks that nobody else is moving."""
    return f"ARRAY(SELECT id FROM tasks WHERE {which} ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED)"  # noqa: S608


_ASSIGN: Final = _moving(
    "task.assigned",
    "status = 'assigned', assigned_agent_id = %(agent)s::text, assigned_at = clock_timestamp(), "
    "not_before = NULL",
    f"{_ID} AND status = 'pending' AND NOT EXISTS (SELECT {OPEN_DEPENDENCIES})",
)

_SET_STATUS: Final = _moving(
    "task.moved",
    """status = %(status)s::text,
       result = coalesce(%(result)s::jsonb, result),
       error_message = CASE WHEN %(status)s IN ('failed', 'pending') THEN %(error)s::text
                            ELSE coalesce(%(error)s::text, error_message) END,
       conversation_id = coalesce(%(conversation)s::text, conversation_id),
       assigned_agent_id = CASE WHEN %(status)s <> 'pending' THEN assigned_agent_id END,
       assigned_at = CASE WHEN %(status)s <> 'pending' THEN coalesce(assigned_at, clock_timestamp()) END,
       started_at = CASE %(status)s WHEN 'running' THEN coalesce(started_at, clock_timestamp())
                                    WHEN 'pending' THEN NULL ELSE started_at END,
       completed_at = CASE WHEN %(status)s IN ('completed', 'failed') THEN clock_timestamp() END,
       not_before = CASE WHEN %(status)s = 'pending'
                         THEN clock_timestamp() + make_interval(secs => %(pause)s::float) END""",
    f"""{_ID} AND status = ANY (%(from)s::text[])
        AND (%(agent)s::text IS NULL OR assigned_agent_id = %(agent)s)
        AND (status <> 'pending' OR %(status)s IN ('pending', 'failed')
             OR NOT EXISTS (SELECT {OPEN_DEPENDENCIES}))""",
)

_CANCEL: Final = _moving(
    "task.cancelled",
    f"{_FAILED}, error_message = %(error)s::text",
    f"{_ID} AND status IN ('pending', 'assigned', 'running')",
)

_TIMED_OUT: Final = f"""{_FAILED}, error_message = format('Task timed out after %%ss: %%s',
    coalesce(timeout_seconds, extract(epoch FROM
             clock_timestamp() - coalesce(started_at, assigned_at))::bigint, 0), %(reason)s::text)"""

_TIME_OUT: Final = _moving(
    "task.timed_out",
    _TIMED_OUT,
    f"{_ID} AND {IN_FLIGHT} AND (NOT %(late)s OR {LATE})",
)

_TIME_OUT_LATE: Final = _moving(
    "task.timed_out", _TIMED_OUT, f"id = ANY ({_some(LATE)}) AND {LATE}", returned="id"
)

_RETRY: Final = _moving("task.retried", f"{_AGAIN}, error_message = NULL", f"{_ID} AND {RETRYABLE}")

_RETRY_ALL: Final = _moving(
    "task.retried",
    f"{_AGAIN}, error_message = NULL",
    f"id = ANY ({_some(RETRYABLE)})",
    returned="id",
)

_RESET: Final = _moving(
    "task.reset",
    f"status = 'pending', retry_count = 0, not_before = NULL, error_message = NULL, {_FREED}",
    "status = 'failed' AND id IN (SELECT id FROM revived)",
    first=f"""revived (id) AS (
        SELECT %(id)s::text
        UNION
        SELECT next.id FROM revived CROSS JOIN LATERAL (
            SELECT id FROM tasks WHERE {WAITING} AND status <> 'pending' AND {_NEEDS.format("revived.id")}
              AND starts_with(error_message, '{BLOCKED_BY}' || %(id)s::text || ' ') OFFSET 0
        ) AS next
    ),""",  # noqa: S608
    returned="id",
)

# Of agents that went silent. The agents' rows are locked by the caller: none of them can finish meanwhile.
_REQUEUE: Final = _moving(
    "task.requeued",
    f"""{_AGAIN}, error_message = NULL""",
    f"assigned_agent_id = ANY (%(agents)s::text[]) AND {IN_FLIGHT} AND retry_count < max_retries",
    returned="id",
)
_GIVE_UP: Final = _moving(
    "task.failed",
    f"""{_FAILED}, error_message = format('Agent %%s was silent, and the task has no retry left',
                                          assigned_agent_id)""",
    f"assigned_agent_id = ANY (%(agents)s::text[]) AND {IN_FLIGHT} AND retry_count >= max_retries",
    returned="id",
)

# The task that failed is named to all that wait for it, also through others.
_FAIL_DEPENDENTS: Final = _moving(
    "task.blocked",
    f"""{_FAILED}, error_message = left(format('{BLOCKED_BY}%%s (%%s), which failed: %%s', cause.id,
            cause.task_type, coalesce(cause.error_message, 'no reason was given')), 2000)
        FROM doomed, tasks AS cause""",
    "tasks.status = 'pending' AND tasks.id = doomed.id AND cause.id = doomed.cause",
    first=f"""asked (id) AS (
        SELECT unnest(%(ids)s::text[])
        UNION
        SELECT needed.id FROM tasks CROSS JOIN LATERAL {DEPENDS_ON}
        WHERE tasks.id = ANY (%(ids)s::text[]) AND tasks.status = 'pending'
    ), failing (id, cause) AS (
        SELECT asked.id, asked.id FROM asked JOIN tasks ON tasks.id = asked.id
        WHERE status = 'failed' AND NOT ({RETRYABLE})
        UNION
        SELECT next.id, failing.cause FROM failing CROSS JOIN LATERAL (
            SELECT id FROM tasks
            WHERE {WAITING} AND status <> 'failed' AND {_NEEDS.format("failing.id")} OFFSET 0
        ) AS next
    ), doomed AS (SELECT id, min(cause) AS cause FROM failing WHERE id <> cause GROUP BY id),""",  # noqa: S608
    returned="id",
)


@dataclass(frozen=True, slots=True)
class StatusChange:
    """What a task becomes; None leaves a value as it is.

    Attributes:
        pause: Seconds before one that is pending can be taken; None for at once.
    """

    status: TaskStatus
    result: Mapping[str, Any] | None = None
    error_message: str | None = None
    conversation_id: str | None = None
    pause: float | None = None


def assign(connection: Connection[TupleRow], task_id: str, agent_id: str) -> Task | None:
    """Give a pending task whose dependencies are completed to an agent."""
    return _one(connection, _ASSIGN, {"agent_id": agent_id}, id=task_id, agent=agent_id)


def set_status(
    connection: Connection[TupleRow], task_id: str, change: StatusChange, *, agent_id: str | None = None
) -> Task | None:
    """Move a task; with `agent_id` only while that agent has it."""
    came_from = [status for status, targets in TASK_MOVES.items() if change.status in targets]
    values = {
        "id": task_id,
        "agent": agent_id,
        "status": change.status.value,
        "from": [*(IN_FLIGHT_STATUSES if agent_id is not None else came_from)],
        "result": None if change.result is None else _json(change.result),
        "error": change.error_message,
        "conversation": change.conversation_id,
        "pause": change.pause,
    }
    told = {} if agent_id is None else {"agent_id": agent_id}
    return _one(connection, _SET_STATUS, told, **values)


def cancel(connection: Connection[TupleRow], task_id: str, error: str) -> Task | None:
    """End a task that is not over."""
    return _one(connection, _CANCEL, {"error": error}, id=task_id, error=error)


def time_out(
    connection: Connection[TupleRow], task_id: str, reason: str, *, only_if_late: bool
) -> Task | None:
    """End a task in flight; with `only_if_late` only if its time is used up."""
    values = {"id": task_id, "reason": reason, "late": only_if_late}
    return _one(connection, _TIME_OUT, {"reason": reason}, **values)


def retry(connection: Connection[TupleRow], task_id: str) -> Task | None:
    """Put a failed task back into the queue, after its backoff."""
    return _one(connection, _RETRY, {}, id=task_id)


def time_out_late(connection: Connection[TupleRow], reason: str) -> list[str]:
    """`time_out` for up to a thousand tasks whose time is used up; returns their ids."""
    return _ids(connection, _TIME_OUT_LATE, {"reason": reason}, reason=reason)


def retry_all(connection: Connection[TupleRow]) -> list[str]:
    """`retry` for up to a thousand failed tasks, whose ids it returns."""
    return _ids(connection, _RETRY_ALL, {})


def reset(connection: Connection[TupleRow], task_id: str) -> list[str]:
    """Begin a failed task anew, and those that failed only because it did; returns their ids."""
    return _ids(connection, _RESET, {}, id=task_id)


def take_back(connection: Connection[TupleRow], agent_ids: Sequence[str]) -> list[str]:
    """Take their tasks from agents that went silent; returns the ids of those that had no retry left."""
    _ids(connection, _REQUEUE, {"agents": list(agent_ids)}, agents=list(agent_ids))
    return _ids(connection, _GIVE_UP, {"agents": list(agent_ids)}, agents=list(agent_ids))


def fail_dependents(connection: Connection[TupleRow], task_ids: Sequence[str]) -> list[str]:
    """Fail what waits for tasks that failed for good, through any number of steps; returns the ids.

    A statement after the one that failed them: it must see tasks that were enqueued while that one waited.

    Args:
        task_ids: Of tasks that failed, or that are pending again and may wait for one that did.
    """
    return _ids(connection, _FAIL_DEPENDENTS, {}, ids=list(task_ids))


def _ids(
    connection: Connection[TupleRow], statement: str, told: Mapping[str, Any], **values: object
) -> list[str]:
    rows = connection.execute(statement, {**values, "told": _json(told)}, prepare=True)
    return [row[0] for row in rows.fetchall()]


def _one(
    connection: Connection[TupleRow], statement: str, told: Mapping[str, Any], **values: object
) -> Task | None:
    return fetch_one(connection, Task, statement, {**values, "told": _json(told)})


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
