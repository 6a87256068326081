"""SQL of the queue: what is added, what is chosen, what waits.

Every statement here reads a partial index of tasks that are still to be done, so its cost does not grow with
the number of finished ones. `clock_timestamp()` is the only clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.domain.phases import Phase
from omoi_os.domain.tasks import NewTask
from omoi_os.models.task import PENDING, RETRYABLE, WAITING, Task
from omoi_os.store.rows import fetch_all, fetch_one

FAILING: Final = 0x6F6D6F69
"""Key of the advisory lock that is shared by those who add tasks that wait, and alone with those who fail."""

CLAIMING: Final = 0x6F6D6F63
"""Key of the advisory lock of those who claim alone."""

DEPENDS_ON: Final = """
jsonb_array_elements_text(CASE jsonb_typeof(tasks.dependencies -> 'depends_on') WHEN 'array'
                          THEN tasks.dependencies -> 'depends_on' ELSE '[]' END) AS needed (id)
"""

OPEN_DEPENDENCIES: Final = f"""
FROM {DEPENDS_ON} LEFT JOIN tasks done ON done.id = needed.id WHERE done.status IS DISTINCT FROM 'completed'
"""

_OFFERED: Final = """
coalesce(%(capabilities)s::jsonb, (
    SELECT CASE jsonb_typeof(capabilities) WHEN 'array' THEN capabilities WHEN 'object' THEN
                    coalesce((SELECT jsonb_agg(name) FROM jsonb_object_keys(capabilities) name), '[]')
                ELSE '[]' END
    FROM agents WHERE id = %(agent)s::text AND capabilities IS NOT NULL))
"""

_READY: Final = f"""
{PENDING} AND coalesce(not_before <= clock_timestamp(), true) AND NOT EXISTS (SELECT {OPEN_DEPENDENCIES})
AND NOT EXISTS (SELECT FROM tickets WHERE id = tasks.ticket_id AND phase_id = '{Phase.BLOCKED}')
"""  # noqa: S608

_IN_ORDER: Final = "ORDER BY priority_rank, created_at, id LIMIT 1"
_OF_PHASE: Final = "phase_id = %(phase)s::text AND"  # a statement of its own: a generic plan cannot choose

# Two that write in one folder would spoil each other's work, whoever they are.
_ALONE: Final = """
AND NOT EXISTS (
    SELECT FROM tasks AS busy JOIN tickets AS theirs ON theirs.id = busy.ticket_id
    JOIN tickets AS ours ON ours.id = tasks.ticket_id
    WHERE busy.status IN ('assigned', 'running')
      AND (theirs.id = ours.id OR theirs.workspace_path = ours.workspace_path))
"""

_NEXT: Final = f"SELECT * FROM tasks WHERE {{phase}} {_READY} {_IN_ORDER}"  # noqa: S608

# The agent's row is touched after the task's. A sweep that finds the agent silent locks the agent first, but
# then only tasks that the agent has already: the two never wait for each other.
_CLAIM: Final = f"""
WITH offer AS MATERIALIZED (SELECT {_OFFERED} AS capabilities), chosen AS (
    SELECT id FROM tasks
    WHERE {{phase}} {_READY} {{alone}}
      AND (required_capabilities IS NULL OR (SELECT capabilities IS NULL FROM offer)
           OR required_capabilities <@ (SELECT capabilities FROM offer))
      AND NOT EXISTS (SELECT FROM agents WHERE id = %(agent)s::text AND status = 'failed')
    {_IN_ORDER} FOR UPDATE OF tasks SKIP LOCKED
), moved AS (
    UPDATE tasks SET status = 'assigned', assigned_agent_id = %(agent)s::text,
                     assigned_at = clock_timestamp(), started_at = NULL, not_before = NULL
    FROM chosen WHERE tasks.id = chosen.id RETURNING tasks.*
), told AS (
    INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
    SELECT gen_random_uuid()::text, 'task.assigned', 'task', id,
           jsonb_build_object('ticket_id', ticket_id, 'phase_id', phase_id, 'status', status,
                              'agent_id', assigned_agent_id),
           assigned_at
    FROM moved
), seen AS (
    UPDATE agents SET last_heartbeat = clock_timestamp(),
                      status = CASE WHEN EXISTS (SELECT FROM moved) THEN 'running'
                                    WHEN status IN ('stale', 'timeout') THEN 'idle' ELSE status END
    WHERE id = %(agent)s::text AND status <> 'failed'
)
SELECT * FROM moved
"""  # noqa: S608

_INSERT: Final = """
WITH made AS (
    INSERT INTO tasks (id, ticket_id, phase_id, task_type, description, priority, status, dependencies,
                       required_capabilities, max_retries, timeout_seconds, generation_key, created_at)
    SELECT id, ticket_id, phase_id, task_type, description, priority, 'pending',
           CASE WHEN jsonb_array_length(depends_on) > 0 THEN jsonb_build_object('depends_on', depends_on) END,
           CASE WHEN jsonb_array_length(capabilities) > 0 THEN capabilities END,
           max_retries, timeout_seconds, generation_key,
           clock_timestamp() + place * interval '1 microsecond' -- the clock may not tick between two rows
    FROM ROWS FROM (jsonb_to_recordset(%(tasks)s::jsonb) AS (
        id text, ticket_id text, phase_id text, task_type text, description text, priority text,
        depends_on jsonb, capabilities jsonb, max_retries int, timeout_seconds int, generation_key text
    )) WITH ORDINALITY AS given (id, ticket_id, phase_id, task_type, description, priority, depends_on,
                                 capabilities, max_retries, timeout_seconds, generation_key, place)
    ORDER BY place
    RETURNING *
), told AS (
    INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
    SELECT gen_random_uuid()::text, 'task.created', 'task', id,
           jsonb_build_object('ticket_id', ticket_id, 'phase_id', phase_id, 'status', status,
                              'task_type', task_type),
           created_at
    FROM made
)
SELECT * FROM made ORDER BY created_at, id
"""

# Completed tasks wait for nothing any more, so the walk ends there.
_WAITS_FOR: Final = f"""
WITH RECURSIVE reached (id) AS (
    SELECT unnest(%(ids)s::text[])
    UNION
    SELECT needed.id FROM reached JOIN tasks ON tasks.id = reached.id AND tasks.status <> 'completed'
    CROSS JOIN LATERAL {DEPENDS_ON}
)
SELECT open.id, open.needs FROM reached CROSS JOIN LATERAL (
    SELECT tasks.id, ARRAY(SELECT needed.id FROM {DEPENDS_ON}) AS needs
    FROM tasks WHERE tasks.id = reached.id AND tasks.status <> 'completed' OFFSET 0 -- each by its key
) AS open
"""  # noqa: S608


def next_task(connection: Connection[TupleRow], phase_id: str | None) -> Task | None:
    """The task that a claim would take, untouched."""
    return fetch_one(connection, Task, _NEXT.format(phase=_OF_PHASE if phase_id else ""), {"phase": phase_id})


def claim(
    connection: Connection[TupleRow],
    agent_id: str,
    phase_id: str | None,
    capabilities: Sequence[str] | None,
) -> Task | None:
    """Take the next task for an agent; two callers never get one task."""
    offered = None if capabilities is None else msgspec.json.encode(list(capabilities)).decode()
    values = {"agent": agent_id, "phase": phase_id, "capabilities": offered}
    statement = _CLAIM.format(phase=_OF_PHASE if phase_id else "", alone="")
    return fetch_one(connection, Task, statement, values)


def claim_alone(connection: Connection[TupleRow], agent_id: str) -> Task | None:
    """`claim` what nobody else works beside: no other task of its ticket or workspace is in flight.

    Those who claim like this do it one after the other until the commit, so that two never begin beside each
    other.
    """
    connection.execute(f"SELECT pg_advisory_xact_lock({CLAIMING})")
    values = {"agent": agent_id, "phase": None, "capabilities": None}
    return fetch_one(connection, Task, _CLAIM.format(phase="", alone=_ALONE), values)


def insert(connection: Connection[TupleRow], tasks: Sequence[NewTask]) -> list[Task]:
    """Add pending tasks, in order."""
    given = msgspec.json.encode(tasks).decode()
    return fetch_all(connection, Task, _INSERT, {"tasks": given})


def generated(connection: Connection[TupleRow], tasks: Iterable[NewTask]) -> dict[str, str]:
    """By the id of a given task, the id of one that was made before under the same generation key."""
    keyed = [task for task in tasks if task.generation_key is not None]
    rows = connection.execute(
        """SELECT given.id, tasks.id FROM unnest(%(ids)s::text[], %(tickets)s::text[], %(phases)s::text[],
                                                 %(keys)s::text[]) AS given (id, ticket, phase, key)
           JOIN tasks ON tasks.ticket_id = given.ticket AND tasks.phase_id = given.phase
                     AND tasks.generation_key = given.key""",
        {
            "ids": [task.id for task in keyed],
            "tickets": [task.ticket_id for task in keyed],
            "phases": [task.phase_id for task in keyed],
            "keys": [task.generation_key for task in keyed],
        },
    )
    return dict(rows.fetchall())


def hold_dependencies(
    connection: Connection[TupleRow], ids: Sequence[str]
) -> Mapping[str, tuple[str | None, bool]]:
    """Error, and whether it failed for good, of each task; none of them can fail until the commit.

    Without the lock a dependency could fail between this look and the insert, and the one who fails it would
    not see the task that is about to wait for it.
    """
    connection.execute(f"SELECT pg_advisory_xact_lock_shared({FAILING})")
    rows = connection.execute(
        f"""SELECT id, error_message, status = 'failed' AND NOT ({RETRYABLE}) FROM tasks
            WHERE id = ANY (%(ids)s::text[])""",  # noqa: S608
        {"ids": list(ids)},
    )
    return {row[0]: (row[1], row[2]) for row in rows.fetchall()}


def hold_failing(connection: Connection[TupleRow]) -> None:
    """Be the only one until the commit who fails, retries or resets tasks; to be asked before any row.

    A failure fails what waits for it, in whatever order the rows are found: two of them, or one and a
    cancellation of what waits, would wait for each other's rows for ever.
    """
    connection.execute(f"SELECT pg_advisory_xact_lock({FAILING})")


def blocked_for_good(connection: Connection[TupleRow]) -> list[str]:
    """Ids of pending tasks that wait for one that failed for good."""
    rows = connection.execute(
        f"""SELECT id FROM tasks WHERE {WAITING} AND {PENDING} AND EXISTS (
                SELECT FROM {DEPENDS_ON} JOIN tasks AS cause ON cause.id = needed.id
                WHERE cause.status = 'failed' AND NOT ({RETRYABLE}))
            ORDER BY id LIMIT 1000"""  # noqa: S608
    )
    return [row[0] for row in rows.fetchall()]


def waits_for(connection: Connection[TupleRow], ids: Iterable[str]) -> dict[str, list[str]]:
    """What the open tasks among `ids` depend on, and what those depend on, and so on."""
    return dict(connection.execute(_WAITS_FOR, {"ids": list(ids)}).fetchall())


def open_dependencies(connection: Connection[TupleRow], task_id: str) -> list[str] | None:
    """Ids of the dependencies that are not completed, or do not exist; None for an unknown task."""
    statement = f"SELECT ARRAY(SELECT needed.id {OPEN_DEPENDENCIES}) FROM tasks WHERE id = %(id)s"  # noqa: S608
    row = connection.execute(statement, {"id": task_id}).fetchone()
    return None if row is None else row[0]
