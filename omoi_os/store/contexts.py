"""SQL of what phases hand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.domain.handing_on import GateNotes, TaskResult
from omoi_os.domain.storable import MAX_TEXT
from omoi_os.domain.templates import handed_on
from omoi_os.models.base import new_id

# Tasks that a visit of the phase completed; the time at which the newest visit began decides.
_RESULTS: Final = """
SELECT phase_id, id, task_type, completed_at, result FROM tasks
WHERE ticket_id = %(ticket)s AND phase_id = ANY (%(phases)s::text[]) AND status = 'completed'
  AND jsonb_typeof(result) = 'object'
ORDER BY completed_at NULLS FIRST, created_at, id
"""

# Being blocked does not end a visit, as in `domain.templates.visit_of`.
_VISITS: Final = """
SELECT to_phase, array_agg(created_at ORDER BY seq)
FROM (
    SELECT to_phase, created_at, seq, lag(to_phase, 1, %(began_in)s) OVER (ORDER BY seq) AS before
    FROM phase_history WHERE ticket_id = %(ticket)s AND to_phase <> 'PHASE_BLOCKED'
) moves
WHERE to_phase = ANY (%(phases)s::text[]) AND before <> to_phase
GROUP BY to_phase
"""

_BEGAN_IN: Final = """
SELECT coalesce((SELECT from_phase FROM phase_history WHERE ticket_id = t.id ORDER BY seq LIMIT 1), phase_id)
FROM tickets t WHERE id = %(ticket)s
"""

_GATES: Final = """
SELECT DISTINCT ON (phase_id)
       phase_id, gate_status, blocking_reasons, validation_result ->> 'feedback', validated_at
FROM phase_gate_results
WHERE ticket_id = %(ticket)s AND phase_id = ANY (%(phases)s::text[]) AND gate_status <> 'pending'
ORDER BY phase_id, validated_at DESC NULLS LAST, seq DESC
"""


@dataclass(frozen=True, slots=True)
class Phases:
    """What the database knows of some phases of a ticket.

    Attributes:
        entered: By phase, when each of its visits began, the first one first.
    """

    results: Mapping[str, Sequence[TaskResult]]
    entered: Mapping[str, Sequence[datetime]]
    gates: Mapping[str, GateNotes]


def of_phases(connection: Connection[TupleRow], ticket_id: str, phases: Sequence[str]) -> Phases:
    """Results of completed tasks, visits and last verdicts."""
    values = {"ticket": ticket_id, "phases": list(phases)}
    results: dict[str, list[TaskResult]] = {}
    for phase, *row in connection.execute(_RESULTS, values).fetchall():
        results.setdefault(phase, []).append(TaskResult(*row))
    entered: dict[str, list[datetime]] = {}
    for (began_in,) in connection.execute(_BEGAN_IN, values).fetchall():
        entered = dict(connection.execute(_VISITS, {**values, "began_in": began_in}).fetchall())
        # Nothing moved the ticket to the phase in which it began.
        entered[began_in] = [datetime.min.replace(tzinfo=UTC), *entered.get(began_in, ())]
    gates = {
        phase: GateNotes(status, reasons or (), feedback, decided_at)
        for phase, status, reasons, feedback, decided_at in connection.execute(_GATES, values).fetchall()
    }
    return Phases(results, entered, gates)


def lock_context(connection: Connection[TupleRow], ticket_id: str) -> tuple[dict[str, Any] | None] | None:
    """The ticket's context, in a tuple; None where there is no ticket. Others who update it wait."""
    row = connection.execute(
        "SELECT context FROM tickets WHERE id = %(ticket)s FOR NO KEY UPDATE", {"ticket": ticket_id}
    ).fetchone()
    return None if row is None else (row[0],)


def read_context(
    connection: Connection[TupleRow], ticket_id: str
) -> tuple[dict[str, Any] | None, str | None] | None:
    """The ticket's context and its summary; None where there is no ticket."""
    row = connection.execute(
        "SELECT context, context_summary FROM tickets WHERE id = %(ticket)s", {"ticket": ticket_id}
    ).fetchone()
    return None if row is None else (row[0], row[1])


def read_summary(
    connection: Connection[TupleRow], ticket_id: str, without: Sequence[str]
) -> tuple[str | None, dict[str, Any] | None] | None:
    """The ticket's summary, and its context where that tells of a phase that is to be left out.

    None where there is no ticket.
    """
    row = connection.execute(
        """SELECT context_summary, CASE WHEN context -> 'phases' ?| %(without)s::text[] THEN context END
           FROM tickets WHERE id = %(ticket)s""",
        {"ticket": ticket_id, "without": list(without)},
    ).fetchone()
    return None if row is None else (row[0], row[1])


def keep(
    connection: Connection[TupleRow],
    ticket_id: str,
    phase_id: str,
    *,
    whole: tuple[Mapping[str, Any], str],
    of_phase: tuple[Mapping[str, Any], str],
) -> None:
    """Store the ticket's context and summary, those of one phase, and the event."""
    connection.execute(
        """WITH changed AS (
               UPDATE tickets SET context = %(context)s::jsonb, context_summary = %(summary)s,
                                  updated_at = clock_timestamp()
               WHERE id = %(ticket)s
           ), kept AS (
               INSERT INTO phase_context (id, ticket_id, phase_id, context_data, context_summary, created_at)
               VALUES (%(id)s, %(ticket)s, %(phase)s, %(data)s::jsonb, %(phase_summary)s, clock_timestamp())
           )
           INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
           VALUES (gen_random_uuid()::text, 'ticket.context_updated', 'ticket', %(ticket)s,
                   jsonb_build_object('phase_id', %(phase)s::text), clock_timestamp())""",
        {
            "id": new_id(),
            "ticket": ticket_id,
            "phase": phase_id,
            "context": _json(whole[0]),
            "summary": whole[1],
            "data": _json(of_phase[0]),
            "phase_summary": of_phase[1],
        },
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """A ticket's context while it is condensed.

    Attributes:
        digest: Of the context's text.
    """

    context: dict[str, Any]
    summary: str
    digest: str


def read_to_condense(connection: Connection[TupleRow], ticket_id: str) -> Stored | None:
    """The ticket's context, its summary, and what tells whether either has changed; None for no ticket."""
    row = connection.execute(
        """SELECT coalesce(context, '{}'), coalesce(context_summary, ''), md5(coalesce(context, '{}')::text)
           FROM tickets WHERE id = %(ticket)s""",
        {"ticket": ticket_id},
    ).fetchone()
    return None if row is None else Stored(row[0] if isinstance(row[0], dict) else {}, row[1], row[2])


def keep_condensed(
    connection: Connection[TupleRow],
    ticket_id: str,
    stored: Stored,
    summary: str,
    used: Mapping[str, Any],
) -> bool:
    """Put `summary` in the place of the stored one, with the event; False if the context has changed.

    Tasks that nobody has claimed were told the old one, and are told the new one.
    """
    done = connection.execute(
        """WITH changed AS (
               UPDATE tickets SET context_summary = %(summary)s, updated_at = clock_timestamp()
               WHERE id = %(ticket)s AND context_summary = %(before)s
                 AND md5(coalesce(context, '{}')::text) = %(digest)s
               RETURNING id
           ), told AS (
               UPDATE tasks
               SET description = left(description, -length(%(old)s::text)) || %(new)s::text
               FROM changed
               WHERE ticket_id = changed.id AND status = 'pending'
                 AND right(description, length(%(old)s::text)) = %(old)s::text
                 AND length(description) - length(%(old)s::text) + length(%(new)s::text) <= %(longest)s
           )
           INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
           SELECT gen_random_uuid()::text, 'ticket.context_condensed', 'ticket', id, %(used)s::jsonb,
                  clock_timestamp()
           FROM changed""",
        {
            "ticket": ticket_id,
            "before": stored.summary,
            "digest": stored.digest,
            "summary": summary,
            "old": handed_on(stored.summary),
            "new": handed_on(summary),
            "longest": MAX_TEXT,
            "used": _json(used),
        },
    )
    return done.rowcount == 1


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
