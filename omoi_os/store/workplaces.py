"""SQL of agents at work: who is alone in a folder, who still has a task, how often it was begun."""

from __future__ import annotations

from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.models.task import IN_FLIGHT

_KEY: Final = "hashtextextended('omoi workplace ' || %(name)s::text, 0)"

# Of a machine that vanished, the server would keep the lock for two hours.
_NOTICE_DEATH: Final = """
SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
       set_config('tcp_keepalives_count', '4', false)
"""


def hold(connection: Connection[TupleRow], name: str) -> bool:
    """Be the only one in the workplace called `name` for as long as the connection lives, or `let_go`."""
    connection.execute(_NOTICE_DEATH)
    row = connection.execute(f"SELECT pg_try_advisory_lock({_KEY})", {"name": name}).fetchone()
    return row is not None and row[0]


def let_go(connection: Connection[TupleRow], name: str) -> None:
    """Let others in."""
    connection.execute(f"SELECT pg_advisory_unlock({_KEY})", {"name": name})


def still_has(connection: Connection[TupleRow], task_id: str, agent_id: str) -> bool:
    """Whether the agent has the task; if so, this is a sign of its life."""
    cursor = connection.execute(
        f"""UPDATE agents SET last_heartbeat = clock_timestamp(), status = 'running'
            WHERE id = %(agent)s::text AND status <> 'failed'
              AND EXISTS (SELECT FROM tasks WHERE id = %(task)s::text AND assigned_agent_id = %(agent)s::text
                          AND {IN_FLIGHT})""",  # noqa: S608
        {"task": task_id, "agent": agent_id},
    )
    return cursor.rowcount > 0


def begun(connection: Connection[TupleRow], task_id: str) -> int:
    """How often somebody who has the task now began to work on it."""
    row = connection.execute(
        """SELECT count(*) FROM events JOIN tasks ON tasks.id = events.entity_id
           WHERE entity_type = 'task' AND entity_id = %(task)s AND event_type = 'task.progress'
             AND events.created_at >= tasks.assigned_at""",
        {"task": task_id},
    ).fetchone()
    return 0 if row is None else row[0]


def resets(connection: Connection[TupleRow], task_id: str) -> int:
    """How often the task was begun anew with all its retries."""
    row = connection.execute(
        """SELECT count(*) FROM events
           WHERE entity_type = 'task' AND entity_id = %(task)s AND event_type = 'task.reset'""",
        {"task": task_id},
    ).fetchone()
    return 0 if row is None else row[0]
