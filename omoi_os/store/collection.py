"""SQL that turns what completed tasks handed in into artifacts."""

from __future__ import annotations

from typing import Final

from psycopg import Connection, errors
from psycopg.rows import TupleRow

from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.task import RESULT_DIGEST, UNCOLLECTED
from omoi_os.store.rows import fetch_all

MAX_ENTRIES: Final = 1000
"""Artifacts of one result; what follows is left aside and told."""

MAX_ENTRY_CHARACTERS: Final = 16 * 1024 * 1024

_ATTEMPTS: Final = 3

# A result is untyped input: an entry that is no object with a usable type and something in it is left aside
# and told in an event, and never stops the others. Locking the tasks makes a second collector wait, and
# then see that there is nothing left.
#
# Of a result that was collected before, only the last entry of each type counts, and only where it differs
# from what the same task brought last: touching an old result must not bring its artifacts back before
# those of other tasks. The time is the database's: the worker's clock could hide a failure behind a pass.
_COLLECT: Final = f"""
WITH todo AS (
    SELECT id, result, assigned_agent_id, completed_at, collected_digest, {RESULT_DIGEST} AS digest FROM tasks
    WHERE ticket_id = %(ticket)s AND phase_id = %(phase)s AND {UNCOLLECTED}
    ORDER BY completed_at NULLS FIRST, id FOR UPDATE
), entries AS (
    SELECT t.id AS task_id, e.entry, e.place, t.completed_at, t.collected_digest,
           left(coalesce(nullif(t.assigned_agent_id, ''), 'task:' || t.id), 255) AS author,
           coalesce(e.entry -> 'artifact_type', e.entry -> 'type') AS type,
           nullif(coalesce(e.entry -> 'artifact_path', e.entry -> 'path'), '""') AS path,
           coalesce(e.entry -> 'artifact_content', e.entry -> 'content') AS content
    FROM todo t
    CROSS JOIN LATERAL (
        SELECT jsonb_typeof(t.result -> 'artifacts') = 'object'
               AND t.result -> 'artifacts' ?| '{{type,artifact_type}}' AS alone
    ) a
    CROSS JOIN LATERAL (
        SELECT item AS entry, place FROM jsonb_array_elements(
            CASE jsonb_typeof(t.result -> 'artifacts') WHEN 'array' THEN t.result -> 'artifacts' ELSE '[]' END
        ) WITH ORDINALITY AS list (item, place)
        UNION ALL
        SELECT CASE jsonb_typeof(value) WHEN 'string' THEN jsonb_build_object('type', key, 'path', value)
                    ELSE jsonb_build_object('type', key, 'content', value) END, place
        FROM jsonb_each(
            CASE WHEN jsonb_typeof(t.result -> 'artifacts') = 'object' AND NOT a.alone
                 THEN t.result -> 'artifacts' ELSE '{{}}' END
        ) WITH ORDINALITY AS pairs (key, value, place)
        UNION ALL
        SELECT t.result -> 'artifacts', 1
        WHERE a.alone OR jsonb_typeof(t.result -> 'artifacts') NOT IN ('array', 'object', 'null')
    ) e
), shaped AS (
    SELECT task_id, place, completed_at, collected_digest, author,
           CASE jsonb_typeof(type) WHEN 'string' THEN btrim(type #>> '{{}}') END AS type,
           CASE jsonb_typeof(path) WHEN 'string' THEN path #>> '{{}}' END AS path,
           CASE jsonb_typeof(content)
               WHEN 'object' THEN content
               WHEN 'string' THEN jsonb_build_object('content', content)
           END AS content,
           coalesce(jsonb_typeof(path), 'null') IN ('string', 'null')
           AND coalesce(jsonb_typeof(content), 'null') IN ('object', 'string', 'null')
           AND place <= {MAX_ENTRIES} AND length(entry::text) <= {MAX_ENTRY_CHARACTERS} AS plausible
    FROM entries
), judged AS (
    SELECT *, row_number() OVER (PARTITION BY task_id, type, usable ORDER BY place DESC) = 1 AS last
    FROM (
        SELECT *, coalesce(plausible AND char_length(type) BETWEEN 1 AND 100
                           AND (path IS NOT NULL OR content IS NOT NULL)
                           AND coalesce(char_length(path), 0) <= 4096, false) AS usable
        FROM shaped
    ) s
), inserted AS (
    INSERT INTO phase_gate_artifacts
        (id, ticket_id, phase_id, artifact_type, artifact_path, artifact_content, collected_at,
         collected_by, task_id)
    SELECT gen_random_uuid()::text, %(ticket)s, %(phase)s, j.type, j.path, j.content, clock_timestamp(),
           j.author, j.task_id
    FROM judged j
    LEFT JOIN LATERAL (
        SELECT id, artifact_path, artifact_content FROM phase_gate_artifacts
        WHERE task_id = j.task_id AND artifact_type = j.type
        ORDER BY collected_at DESC, seq DESC LIMIT 1
    ) before ON j.collected_digest IS NOT NULL
    WHERE j.usable AND (j.collected_digest IS NULL OR (j.last AND (
        before.id IS NULL OR before.artifact_path IS DISTINCT FROM j.path
        OR before.artifact_content IS DISTINCT FROM j.content)))
    ORDER BY j.completed_at NULLS FIRST, j.task_id, j.place
    RETURNING *
), marked AS (
    UPDATE tasks SET collected_digest = todo.digest FROM todo WHERE tasks.id = todo.id
), told AS (
    INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
    SELECT gen_random_uuid()::text, 'artifact.unusable', 'task', task_id,
           jsonb_build_object('ticket_id', %(ticket)s::text, 'phase_id', %(phase)s::text,
                              'entries', count(*)),
           now()
    FROM judged WHERE NOT usable GROUP BY task_id
    UNION ALL
    SELECT gen_random_uuid()::text, 'artifact.added', 'ticket', %(ticket)s,
           jsonb_build_object('artifact_id', id, 'artifact_type', artifact_type,
                              'phase_id', phase_id, 'task_id', task_id),
           now()
    FROM inserted
)
"""  # noqa: S608 - composed of constants

_COUNT: Final = "SELECT count(*) FROM inserted"

_ROWS: Final = """
SELECT id, ticket_id, phase_id, artifact_type, artifact_path, artifact_content, collected_at, collected_by,
       task_id, content_digest, seq
FROM inserted ORDER BY seq
"""


def collect(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> list[PhaseGateArtifact]:
    """Turn what completed tasks handed in into artifacts; each form of a result once."""
    values = {"ticket": ticket_id, "phase": phase_id}
    return fetch_all(connection, PhaseGateArtifact, _COLLECT + _ROWS, values)


def collect_quietly(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> None:
    """`collect` for callers that read the artifacts afterwards anyway.

    Each call is its own transaction, so it can be tried again where somebody who corrects several results
    at once locked them in another order.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            connection.execute(_COLLECT + _COUNT, {"ticket": ticket_id, "phase": phase_id})
        except errors.DeadlockDetected:
            if attempt == _ATTEMPTS:
                raise
        else:
            return
