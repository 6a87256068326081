"""Phases in which all that is left are tasks that failed for good: nobody goes on with them by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.domain.tasks import BLOCKED_BY, CANCELLED
from omoi_os.models.task import RETRYABLE

WINDOW: Final = "1 day"
"""How long after a failure it is looked for. Later ends of other work are noticed as they happen."""

# Not what somebody cancelled, who knows of it, nor what only failed because another task did: that one's
# ticket is told, and its retry revives both. A review that is to be acted on and was asked for after the last
# task ended has seen all of it, whatever came of it.
_FIND: Final = f"""
SELECT DISTINCT t.id, t.phase_id
FROM tasks AS failed
JOIN tickets AS t ON t.id = failed.ticket_id AND t.phase_id = failed.phase_id
CROSS JOIN LATERAL (SELECT coalesce((
    SELECT created_at FROM phase_history WHERE ticket_id = t.id AND t.phase_id = ANY (took_back)
    ORDER BY seq DESC LIMIT 1), '-infinity') AS began) AS visit
WHERE failed.status = 'failed' AND failed.created_at > visit.began AND {{where}}
  AND coalesce(failed.error_message, '') !~ '^({CANCELLED}|{BLOCKED_BY})'
  AND t.phase_id = ANY (%(phases)s::text[])
  AND NOT EXISTS (
      SELECT FROM tasks WHERE ticket_id = t.id AND phase_id = t.phase_id AND created_at > visit.began
      AND status <> 'completed' AND (status <> 'failed' OR {RETRYABLE}))
  AND NOT EXISTS (
      SELECT FROM phase_gate_results AS r WHERE r.ticket_id = t.id AND r.phase_id = t.phase_id
      AND (r.gate_status = 'pending' AND (r.requested_at IS NOT NULL OR r.lease_until > clock_timestamp())
           OR r.carry_on AND r.requested_at > (
               SELECT max(coalesce(completed_at, created_at)) FROM tasks
               WHERE ticket_id = t.id AND phase_id = t.phase_id)))
"""  # noqa: S608 - composed of constants
_NEWLY: Final = (
    _FIND.format(where=f"failed.completed_at > clock_timestamp() - interval '{WINDOW}'")
    + "LIMIT %(limit)s::bigint"
)
_OF_TICKET: Final = _FIND.format(where="failed.ticket_id = %(ticket)s::text") + "LIMIT 1"


def find(connection: Connection[TupleRow], phases: Sequence[str], limit: int) -> list[tuple[str, str]]:
    """Tickets and their phases, of those phases, that nobody was told of since their last task ended."""
    rows = connection.execute(_NEWLY, {"phases": list(phases), "limit": limit}, prepare=True)
    return [(str(ticket), str(phase)) for ticket, phase in rows]


def is_one(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> bool:
    """Whether it holds of a ticket; asked with the ticket locked."""
    values = {"phases": [phase_id], "ticket": ticket_id}
    return connection.execute(_OF_TICKET, values).fetchone() is not None
