"""SQL of the agents. The database's clock alone decides who has been silent for too long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow, dict_row

from omoi_os.domain.statuses import AgentStatus
from omoi_os.models.agent import Agent
from omoi_os.models.base import new_id
from omoi_os.models.task import IN_FLIGHT
from omoi_os.store.rows import fetch_all, fetch_one, loaded

_SILENCE: Final = "extract(epoch FROM clock_timestamp() - coalesce(last_heartbeat, created_at))"
_HAS_TASK: Final = f"EXISTS (SELECT FROM tasks WHERE assigned_agent_id = agents.id AND {IN_FLIGHT})"

_REGISTER: Final = """
WITH made AS (
    INSERT INTO agents (id, agent_type, phase_id, status, capabilities, last_heartbeat, created_at)
    SELECT %(id)s, %(type)s, %(phase)s, 'idle', %(capabilities)s::jsonb, moment, moment
    FROM clock_timestamp() AS moment RETURNING *
), told AS (
    INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
    SELECT gen_random_uuid()::text, 'agent.registered', 'agent', id,
           jsonb_build_object('agent_type', agent_type, 'phase_id', phase_id), created_at
    FROM made
)
SELECT * FROM made
"""

# Locked rows are left to whoever has them: an agent that beats right now, or another sweep. One that was
# given up may have been handed a task since, which would otherwise stay with it for ever.
_TAKE_SILENT: Final = f"""
WITH silent AS (
    SELECT id FROM agents
    WHERE {_SILENCE} > %(timeout)s
      AND (status IN ('idle', 'running', 'stale') AND status <> %(mark)s::text OR {_HAS_TASK})
    ORDER BY id FOR UPDATE SKIP LOCKED
), marked AS (
    UPDATE agents SET status = CASE status WHEN 'failed' THEN status ELSE %(mark)s::text END
    FROM silent WHERE agents.id = silent.id RETURNING agents.id, agents.status
), told AS (
    INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
    SELECT gen_random_uuid()::text, 'agent.silent', 'agent', id, jsonb_build_object('status', status),
           clock_timestamp()
    FROM marked
)
SELECT id FROM marked ORDER BY id
"""  # noqa: S608

_SILENT: Final = f"""
SELECT * FROM agents WHERE status IN ('idle', 'running', 'stale') AND {_SILENCE} > %(timeout)s
ORDER BY last_heartbeat NULLS FIRST, id
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class AgentSilence:
    """An agent, and for how many seconds it has been silent."""

    agent: Agent
    seconds: float


def register(
    connection: Connection[TupleRow], agent_type: str, phase_id: str | None, capabilities: list[str] | None
) -> Agent:
    """Make an agent; registering is its first sign of life."""
    values = {
        "id": new_id(),
        "type": agent_type,
        "phase": phase_id,
        "capabilities": None if capabilities is None else msgspec.json.encode(capabilities).decode(),
    }
    made = fetch_one(connection, Agent, _REGISTER, values)
    assert made is not None  # noqa: S101 - an insert of one row
    return made


def beat(connection: Connection[TupleRow], agent_id: str) -> bool:
    """Note a sign of life; False where there is no such agent. Locks the agent until the commit."""
    cursor = connection.execute(
        """UPDATE agents SET last_heartbeat = clock_timestamp(),
                  status = CASE WHEN status IN ('stale', 'timeout') THEN 'idle' ELSE status END
           WHERE id = %(id)s""",
        {"id": agent_id},
    )
    return cursor.rowcount > 0


def rest(connection: Connection[TupleRow], agent_id: str) -> None:
    """Call a running agent idle where it has no task in flight any more."""
    connection.execute(
        f"UPDATE agents SET status = 'idle' WHERE id = %(id)s AND status = 'running' AND NOT {_HAS_TASK}",  # noqa: S608
        {"id": agent_id},
    )


def take_silent(connection: Connection[TupleRow], timeout: float, mark: AgentStatus) -> list[str]:
    """Mark the agents that have been silent for more than `timeout` seconds; they stay locked."""
    rows = connection.execute(_TAKE_SILENT, {"timeout": timeout, "mark": mark.value})
    return [row[0] for row in rows.fetchall()]


def silent(connection: Connection[TupleRow], timeout: float) -> list[Agent]:
    """Agents that have been silent for more than `timeout` seconds, the longest first."""
    return fetch_all(connection, Agent, _SILENT, {"timeout": timeout})


def silences(connection: Connection[TupleRow], agent_id: str | None = None) -> list[AgentSilence]:
    """One agent or all, the newest registration first."""
    where = "WHERE id = %(id)s" if agent_id is not None else ""
    statement = f"SELECT *, {_SILENCE}::float AS silence FROM agents {where} ORDER BY created_at DESC, id"  # noqa: S608
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statement, {"id": agent_id}).fetchall()
    return [AgentSilence(loaded(Agent, row), row.pop("silence")) for row in rows]


def counts(connection: Connection[TupleRow]) -> Mapping[str, Mapping[str, int]]:
    """How many agents there are, by status and by type."""
    rows = connection.execute(
        "SELECT grouping(status) = 0, coalesce(status, agent_type), count(*) FROM agents "
        "GROUP BY GROUPING SETS ((status), (agent_type))"
    ).fetchall()
    return {
        "by_status": {name: count for is_status, name, count in rows if is_status},
        "by_type": {name: count for is_status, name, count in rows if not is_status},
    }
