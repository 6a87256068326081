"""SQL of the waivers. Rows are added and never changed; the database's clock says which still hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.models.base import new_id
from omoi_os.models.gate_waiver import GateWaiver
from omoi_os.store.rows import fetch_all, fetch_one

_ADD: Final = """
WITH made AS (
    INSERT INTO gate_waivers (id, ticket_id, phase_id, criterion, reason, waived_by, result_id, inputs,
                              expires_at, revokes, created_at)
    SELECT %(id)s, %(ticket)s, %(phase)s, %(criterion)s, %(reason)s, %(by)s, %(result)s, %(inputs)s::jsonb,
           %(until)s::timestamptz, %(revokes)s::text, moment
    FROM clock_timestamp() AS moment
    WHERE %(revokes)s::text IS NOT NULL
       OR (%(until)s::timestamptz > moment
           AND %(until)s::timestamptz <= moment + make_interval(days => %(days)s::int))
    RETURNING *
), told AS (
    INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
    SELECT gen_random_uuid()::text,
           CASE WHEN revokes IS NULL THEN 'gate.waived' ELSE 'gate.waiver_revoked' END, 'ticket', ticket_id,
           jsonb_build_object('waiver_id', coalesce(revokes, id), 'phase_id', phase_id,
                              'criterion', criterion, 'by', waived_by),
           created_at
    FROM made
)
SELECT * FROM made
"""

_WORKED_ON_IT: Final = """
SELECT EXISTS (SELECT FROM phase_gate_artifacts WHERE ticket_id = %(ticket)s AND phase_id = %(phase)s
               AND collected_by = %(who)s)
    OR EXISTS (SELECT FROM tasks WHERE ticket_id = %(ticket)s AND phase_id = %(phase)s
               AND (assigned_agent_id = %(who)s
                    OR EXISTS (SELECT FROM events WHERE entity_type = 'task' AND entity_id = tasks.id
                               AND event_type = 'task.assigned' AND payload ->> 'agent_id' = %(who)s)))
"""


def add(
    connection: Connection[TupleRow],
    waiver: Mapping[str, Any],
    *,
    days: int = 0,
    revokes: str | None = None,
) -> GateWaiver | None:
    """Add a waiver, or the end of one; None where it would end now, or more than `days` from now.

    Args:
        waiver: ticket, phase, criterion, reason, by, result, inputs (a mapping), until.
    """
    values = {**waiver, "id": new_id(), "days": days, "revokes": revokes}
    values["inputs"] = msgspec.json.encode(waiver["inputs"]).decode()
    return fetch_one(connection, GateWaiver, _ADD, values)


def of_ticket(connection: Connection[TupleRow], ticket_id: str) -> list[GateWaiver]:
    """All waivers of a ticket and their ends, the first one first."""
    statement = "SELECT * FROM gate_waivers WHERE ticket_id = %(ticket)s ORDER BY seq"
    return fetch_all(connection, GateWaiver, statement, {"ticket": ticket_id})


def find(connection: Connection[TupleRow], waiver_id: str) -> GateWaiver | None:
    """The waiver."""
    statement = "SELECT * FROM gate_waivers WHERE id = %(id)s AND revokes IS NULL"
    return fetch_one(connection, GateWaiver, statement, {"id": waiver_id})


def has_worked(connection: Connection[TupleRow], ticket_id: str, phase_id: str, who: str) -> bool:
    """Whether somebody handed in artifacts of the phase, or took a task of it, be it lost since."""
    row = connection.execute(_WORKED_ON_IT, {"ticket": ticket_id, "phase": phase_id, "who": who}).fetchone()
    return row != (False,)
