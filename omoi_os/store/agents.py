"""SQL of the agents. The database's clock alone decides who has been silent for too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow, dict_row

from omoi_os.domain.statuses import AgentStatus
from omoi_os.models.agent import WORKING, Agent
from omoi_os.models.base import new_id
from omoi_os.models.task import IN_FLIGHT
from omoi_os.store.rows import fetch_all, fetch_one, loaded

MOST: Final = 1000
"""Agents that one statement changes at most."""

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
# given up may have been handed a task since, which would otherwise stay with it for ever; it is found from
# the tasks, as those given up are many. The silence is asked again of the row as it is when it is locked.
_TAKE_SILENT: Final = f"""
WITH lost AS (
    SELECT id FROM agents WHERE {WORKING} AND status <> %(mark)s::text AND {_SILENCE} > %(timeout)s
    UNION
    SELECT id FROM agents
    WHERE id IN (SELECT assigned_agent_id FROM tasks WHERE {IN_FLIGHT}) AND {_SILENCE} > %(timeout)s
), silent AS (
    SELECT id FROM agents WHERE id IN (SELECT id FROM lost) AND {_SILENCE} > %(timeout)s
    ORDER BY id LIMIT {MOST} FOR UPDATE SKIP LOCKED
), marked AS (
    UPDATE agents SET status = CASE status WHEN 'failed' THEN status ELSE %(mark)s::text END,
                      last_heartbeat = coalesce(last_heartbeat, created_at)
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
SELECT * FROM agents WHERE {WORKING} AND {_SILENCE} > %(timeout)s
ORDER BY last_heartbeat NULLS FIRST, id LIMIT {MOST}
"""  # noqa: S608

# The moment in a query of its own: compared with a volatile function, no index would be used.
_FORGET: Final = f"""
WITH ended AS (
    SELECT id FROM agents
    WHERE status IN ('stale', 'timeout', 'failed') AND NOT {_HAS_TASK}
      AND last_heartbeat < (SELECT clock_timestamp() - make_interval(secs => %(silence)s))
    ORDER BY last_heartbeat LIMIT {MOST} FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM agents USING ended WHERE agents.id = ended.id RETURNING agents.id, agent_type, status
), told AS (
    INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
    SELECT gen_random_uuid()::text, 'agent.forgotten', 'agent', id,
           jsonb_build_object('agent_type', agent_type, 'status', status), clock_timestamp()
    FROM gone
)
SELECT count(*) FROM gone
"""  # noqa: S608

_COUNTS: Final = f"""
SELECT CASE WHEN grouping(status) = 0 THEN 'by_status' WHEN grouping(agent_type) = 0 THEN 'by_type'
            ELSE 'total' END,
       coalesce(status, agent_type), count(*),
       count(*) FILTER (WHERE {_SILENCE} <= %(timeout)s AND status NOT IN ('stale', 'timeout', 'failed')),
       count(*) FILTER (WHERE {_SILENCE} > %(timeout)s)
FROM agents GROUP BY GROUPING SETS ((status), (agent_type), ())
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
    """Call a running agent idle where it has no task in flight any more; to be asked with the agent locked.

    Without the lock, it could claim a task that this statement does not see.
    """
    _rest(connection, [agent_id])


def _rest(connection: Connection[TupleRow], agent_ids: Sequence[str]) -> int:
    statement = f"""UPDATE agents SET status = 'idle'
                    WHERE id = ANY (%(ids)s::text[]) AND status = 'running' AND NOT {_HAS_TASK}"""  # noqa: S608
    return connection.execute(statement, {"ids": list(agent_ids)}).rowcount


def rest_all(connection: Connection[TupleRow]) -> int:
    """`rest` for up to a thousand agents that nobody is using; returns how many."""
    rows = connection.execute(
        f"""SELECT id FROM agents WHERE status = 'running' AND NOT {_HAS_TASK}
            ORDER BY id LIMIT {MOST} FOR UPDATE SKIP LOCKED"""  # noqa: S608
    ).fetchall()
    return _rest(connection, [row[0] for row in rows]) if rows else 0


def hold_holder(connection: Connection[TupleRow], task_id: str) -> str | None:
    """Lock the agent that has the task, before the task itself is locked; None where it has none.

    Agents come before their tasks wherever both are locked, so that nobody waits in a circle.
    """
    row = connection.execute(
        f"""SELECT id FROM agents
            WHERE id = (SELECT assigned_agent_id FROM tasks WHERE id = %(task)s AND {IN_FLIGHT})
            FOR NO KEY UPDATE""",  # noqa: S608
        {"task": task_id},
    ).fetchone()
    return None if row is None else row[0]


def take_silent(connection: Connection[TupleRow], timeout: float, mark: AgentStatus) -> list[str]:
    """Mark up to a thousand agents that were silent for more than `timeout` seconds; they stay locked."""
    rows = connection.execute(_TAKE_SILENT, {"timeout": timeout, "mark": mark.value})
    return [row[0] for row in rows.fetchall()]


def silent(connection: Connection[TupleRow], timeout: float) -> list[Agent]:
    """Agents that have been silent for more than `timeout` seconds, the longest first."""
    return fetch_all(connection, Agent, _SILENT, {"timeout": timeout})


def forget(connection: Connection[TupleRow], silence: float) -> int:
    """Delete up to a thousand ended registrations without a task that were silent for so many seconds."""
    row = connection.execute(_FORGET, {"silence": silence}).fetchone()
    return 0 if row is None else row[0]


def silence_of(connection: Connection[TupleRow], agent_id: str) -> AgentSilence | None:
    """One agent."""
    return next(iter(_silences(connection, "WHERE id = %(id)s", {"id": agent_id})), None)


def page(
    connection: Connection[TupleRow], limit: int, after: tuple[datetime, str] | None
) -> list[AgentSilence]:
    """Agents registered before `after`, the newest first, one more than `limit` where there are more."""
    where = "WHERE (created_at, id) < (%(moment)s, %(id)s)" if after is not None else ""
    moment, id_ = after or (None, None)
    values = {"moment": moment, "id": id_, "limit": limit + 1}
    return _silences(connection, f"{where} ORDER BY created_at DESC, id DESC LIMIT %(limit)s", values)


def _silences(
    connection: Connection[TupleRow], which: str, values: Mapping[str, object]
) -> list[AgentSilence]:
    statement = f"SELECT *, {_SILENCE}::float AS silence FROM agents {which}"  # noqa: S608
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statement, values).fetchall()
    return [AgentSilence(loaded(Agent, row), row.pop("silence")) for row in rows]


def statistics(connection: Connection[TupleRow], timeout: float) -> dict[str, Any]:
    """`total_agents`, `by_status`, `by_type`, `healthy`, and `stale`: silent for more than `timeout`."""
    rows = connection.execute(_COUNTS, {"timeout": timeout}).fetchall()
    found: dict[str, Any] = {"by_status": {}, "by_type": {}}
    for kind, name, count, healthy, stale in rows:
        if kind == "total":
            found |= {"total_agents": count, "healthy": healthy, "stale": stale}
        else:
            found[kind][name] = count
    return found
