"""SQL of the gates. Written by hand: these statements run on every validation.

Each is one round trip whatever the number of artifacts and tasks: the newest artifact per type and the
open and the uncollected tasks come from indexes of exactly those rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from sqlalchemy.orm import make_transient_to_detached

from omoi_os.domain.rules import Artifact, OpenTask, TaskFacts
from omoi_os.domain.verdict import Verdict
from omoi_os.models.base import new_id
from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.task import RESULT_DIGEST, UNCOLLECTED

READ_GATE: Final = f"""
SELECT t.workspace_path,
       EXISTS (SELECT FROM tasks WHERE ticket_id = t.id AND phase_id = %(phase)s AND {UNCOLLECTED}),
       EXISTS (SELECT FROM tasks WHERE ticket_id = t.id AND phase_id = %(phase)s),
       open.count, open.first,
       a.id, a.artifact_type, a.artifact_path, a.artifact_content, a.content_digest
FROM tickets t
CROSS JOIN LATERAL (
    SELECT count(*) AS count,
           (array_agg(ARRAY[id, task_type, status] ORDER BY created_at, id))[1:3] AS first
    FROM tasks WHERE ticket_id = t.id AND phase_id = %(phase)s AND status <> 'completed'
) open
LEFT JOIN LATERAL (
    SELECT newest.*
    FROM unnest(%(types)s::text[]) AS wanted (artifact_type)
    CROSS JOIN LATERAL (
        SELECT * FROM phase_gate_artifacts
        WHERE ticket_id = t.id AND phase_id = %(phase)s AND artifact_type = wanted.artifact_type
        ORDER BY collected_at DESC, seq DESC LIMIT 1
    ) newest
) a ON true
WHERE t.id = %(ticket)s
"""  # noqa: S608 - composed of constants

RECORD_RESULT: Final = """
WITH result AS (
    INSERT INTO phase_gate_results
        (id, ticket_id, phase_id, gate_status, validation_result, validated_at, validated_by,
         blocking_reasons)
    VALUES (%(id)s, %(ticket_id)s, %(phase_id)s, %(gate_status)s, %(result)s::jsonb, clock_timestamp(),
            %(validated_by)s, %(blocking_reasons)s::text[])
    RETURNING validated_at, seq
), recorded AS (
    INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
    SELECT %(event)s, 'gate.decided', 'ticket', %(ticket_id)s,
           jsonb_build_object('result_id', %(id)s::text, 'phase_id', %(phase_id)s::text,
                              'gate_status', %(gate_status)s::text),
           validated_at
    FROM result
)
SELECT validated_at, seq FROM result
"""

# A task's result is untyped input: everything that is not a list of objects with a usable type is left
# aside here and told in an event, and never stops the others. Locking the tasks makes a second
# collector wait, and then see that there is nothing left to collect. An entry that equals the newest
# artifact of its type is the same artifact, handed in again with a corrected result.
COLLECT: Final = f"""
WITH todo AS (
    SELECT id, result, assigned_agent_id, completed_at, collected_digest, {RESULT_DIGEST} AS digest FROM tasks
    WHERE ticket_id = %(ticket)s AND phase_id = %(phase)s AND {UNCOLLECTED}
    ORDER BY completed_at NULLS FIRST, id FOR UPDATE
), entries AS (
    SELECT t.id AS task_id, e.entry, e.place, t.completed_at, t.collected_digest,
           coalesce(nullif(t.assigned_agent_id, ''), 'task:' || t.id) AS author,
           coalesce(e.entry ->> 'artifact_type', e.entry ->> 'type') AS type,
           coalesce(e.entry ->> 'artifact_path', e.entry ->> 'path') AS path,
           coalesce(e.entry -> 'artifact_content', e.entry -> 'content') AS content,
           coalesce(jsonb_typeof(coalesce(e.entry -> 'artifact_type', e.entry -> 'type')) = 'string'
                    AND char_length(coalesce(e.entry ->> 'artifact_type', e.entry ->> 'type'))
                        BETWEEN 1 AND 100, false)
           AND coalesce(jsonb_typeof(coalesce(e.entry -> 'artifact_path', e.entry -> 'path')), 'null')
               IN ('string', 'null') AS usable
    FROM todo t
    CROSS JOIN LATERAL (
        SELECT item AS entry, place FROM jsonb_array_elements(
            CASE jsonb_typeof(t.result -> 'artifacts') WHEN 'array' THEN t.result -> 'artifacts' ELSE '[]' END
        ) WITH ORDINALITY AS list (item, place)
        UNION ALL
        SELECT CASE jsonb_typeof(value) WHEN 'string' THEN jsonb_build_object('type', key, 'path', value)
                    ELSE jsonb_build_object('type', key, 'content', value) END, place
        FROM jsonb_each(
            CASE jsonb_typeof(t.result -> 'artifacts') WHEN 'object' THEN t.result -> 'artifacts'
                 ELSE '{{}}' END
        ) WITH ORDINALITY AS pairs (key, value, place)
        UNION ALL
        SELECT t.result -> 'artifacts', 1
        WHERE jsonb_typeof(t.result -> 'artifacts') NOT IN ('array', 'object', 'null')
    ) e
), shaped AS (
    SELECT task_id, place, completed_at, collected_digest, left(author, 255) AS author, type, path,
           CASE jsonb_typeof(content)
               WHEN 'object' THEN content
               WHEN 'string' THEN jsonb_build_object('content', content)
           END AS content
    FROM entries WHERE usable
), inserted AS (
    INSERT INTO phase_gate_artifacts
        (id, ticket_id, phase_id, artifact_type, artifact_path, artifact_content, collected_at,
         collected_by, task_id)
    SELECT gen_random_uuid()::text, %(ticket)s, %(phase)s, s.type, s.path, s.content,
           CASE WHEN s.collected_digest IS NULL THEN least(s.completed_at, now()) ELSE now() END,
           s.author, s.task_id
    FROM (SELECT *, coalesce(completed_at, now()) AS known_at FROM shaped) s
    LEFT JOIN LATERAL (
        SELECT artifact_path, artifact_content, task_id FROM phase_gate_artifacts p
        WHERE p.ticket_id = %(ticket)s AND p.phase_id = %(phase)s AND p.artifact_type = s.type
        ORDER BY collected_at DESC, seq DESC LIMIT 1
    ) newest ON s.collected_digest IS NOT NULL
    WHERE newest.task_id IS DISTINCT FROM s.task_id
       OR newest.artifact_path IS DISTINCT FROM s.path
       OR newest.artifact_content IS DISTINCT FROM s.content
    ORDER BY s.known_at, s.task_id, s.place
    RETURNING *
), marked AS (
    UPDATE tasks SET collected_digest = todo.digest FROM todo WHERE tasks.id = todo.id
), told AS (
    INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
    SELECT gen_random_uuid()::text, 'artifact.unusable', 'task', task_id,
           jsonb_build_object('ticket_id', %(ticket)s::text, 'phase_id', %(phase)s::text,
                              'entries', count(*)),
           now()
    FROM entries WHERE NOT usable GROUP BY task_id
)
SELECT id, ticket_id, phase_id, artifact_type, artifact_path, artifact_content, collected_at, collected_by,
       task_id, content_digest, seq
FROM inserted ORDER BY seq
"""  # noqa: S608 - composed of constants

LATEST_RESULT: Final = """
SELECT id, ticket_id, phase_id, gate_status, validation_result, validated_at, validated_by,
       blocking_reasons, seq
FROM phase_gate_results WHERE ticket_id = %(ticket)s AND phase_id = %(phase)s
ORDER BY seq DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict to be recorded, and who reached it on what."""

    ticket_id: str
    phase_id: str
    verdict: Verdict
    details: dict[str, Any]
    decided_by: str


@dataclass(frozen=True, slots=True)
class GateInput:
    """What a review starts from, as one statement saw it.

    Attributes:
        artifacts: The newest of each wanted type, by type.
        uncollected: Whether a completed task's result has not been searched for artifacts yet.
    """

    workspace_path: str | None
    uncollected: bool
    tasks: TaskFacts
    artifacts: dict[str, Artifact]


def read_gate(
    connection: Connection[TupleRow], ticket_id: str, phase_id: str, types: Sequence[str]
) -> GateInput | None:
    """Everything that the rules ask the database; None where there is no such ticket."""
    rows = connection.execute(
        READ_GATE, {"ticket": ticket_id, "phase": phase_id, "types": list(types)}, prepare=True
    ).fetchall()
    if not rows:
        return None
    workspace_path, uncollected, any_task, open_count, first = rows[0][:5]
    tasks = TaskFacts(any_task, open_count, tuple(OpenTask(*task) for task in first or ()))
    artifacts = {row[6]: Artifact(*row[5:10]) for row in rows if row[5] is not None}
    return GateInput(workspace_path, uncollected, tasks, artifacts)


def record_result(connection: Connection[TupleRow], decision: Decision) -> PhaseGateResult:
    """Write a verdict and its event in one statement."""
    values: dict[str, Any] = {
        "id": new_id(),
        "ticket_id": decision.ticket_id,
        "phase_id": decision.phase_id,
        "gate_status": decision.verdict.status.value,
        "validated_by": decision.decided_by,
        "blocking_reasons": [finding.sentence() for finding in decision.verdict.blocking],
    }
    result = msgspec.json.encode(decision.details).decode()
    [row] = connection.execute(RECORD_RESULT, {**values, "result": result, "event": new_id()}, prepare=True)
    validated_at, seq = row
    return loaded(
        PhaseGateResult,
        {**values, "validation_result": decision.details, "validated_at": validated_at, "seq": seq},
    )


def collect(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> list[PhaseGateArtifact]:
    """Turn what completed tasks handed in into artifacts; each form of a result once."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(COLLECT, {"ticket": ticket_id, "phase": phase_id}).fetchall()
    return [loaded(PhaseGateArtifact, row) for row in rows]


def latest_result(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> PhaseGateResult | None:
    """The verdict that was recorded last."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(LATEST_RESULT, {"ticket": ticket_id, "phase": phase_id}).fetchone()
    return None if row is None else loaded(PhaseGateResult, row)


def loaded[Row: (PhaseGateArtifact, PhaseGateResult)](model: type[Row], values: dict[str, Any]) -> Row:
    """A detached object as if a session had loaded it: no attribute event fires, nothing is pending."""
    row: Row = model.__mapper__.class_manager.new_instance()
    row.__dict__.update(values)
    make_transient_to_detached(row)
    return row
