"""Phases in which all that is left are tasks that failed for good: nobody goes on with them by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.models.task import RETRYABLE

# A review that was asked for after the failure has seen it, whatever came of it.
_FIND: Final = f"""
SELECT DISTINCT t.id, t.phase_id
FROM tasks AS failed
JOIN tickets AS t ON t.id = failed.ticket_id AND t.phase_id = failed.phase_id
CROSS JOIN LATERAL (SELECT coalesce((
    SELECT created_at FROM phase_history WHERE ticket_id = t.id AND t.phase_id = ANY (took_back)
    ORDER BY seq DESC LIMIT 1), '-infinity') AS began) AS visit
WHERE failed.status = 'failed' AND failed.created_at > visit.began
  AND t.phase_id = ANY (%(phases)s::text[]) {{of_ticket}}
  AND NOT EXISTS (
      SELECT FROM phase_gate_results AS r WHERE r.ticket_id = t.id AND r.phase_id = t.phase_id
      AND (r.gate_status = 'pending' OR r.requested_at > coalesce(failed.completed_at, failed.created_at)))
  AND NOT EXISTS (
      SELECT FROM tasks WHERE ticket_id = t.id AND phase_id = t.phase_id AND created_at > visit.began
      AND status <> 'completed' AND (status <> 'failed' OR {RETRYABLE}))
LIMIT %(limit)s::bigint
"""  # noqa: S608 - composed of constants
ANYWHERE: Final = _FIND.format(of_ticket="")
_OF_TICKET: Final = _FIND.format(of_ticket="AND failed.ticket_id = %(ticket)s::text")


def find(connection: Connection[TupleRow], phases: Sequence[str], limit: int) -> list[tuple[str, str]]:
    """Tickets and their phases, of those phases, that no review was asked for since the failure."""
    rows = connection.execute(ANYWHERE, {"phases": list(phases), "limit": limit}, prepare=True)
    return [(str(ticket), str(phase)) for ticket, phase in rows]


def is_one(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> bool:
    """Whether it still holds of a ticket; asked with the ticket locked."""
    values = {"phases": [phase_id], "limit": 1, "ticket": ticket_id}
    return connection.execute(_OF_TICKET, values).fetchone() is not None
