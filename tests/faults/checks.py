"""What must hold in the database when everything has come to its end, whatever was lost on the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from omoi_os.domain.inputs import digest_of
from omoi_os.domain.phases import PHASE_SEQUENCE, Phase
from tests.faults.fleet import Fleet
from tests.faults.load import START, Story

STATEMENTS: Final = {
    "reviews that are open": "SELECT id FROM phase_gate_results WHERE gate_status = 'pending'",
    "verdicts that were not followed": """
        SELECT id FROM phase_gate_results WHERE carry_on AND followed_at IS NULL""",
    "reviews that were decided twice, or of which nobody was told": """
        SELECT r.id, count(e.id) FROM phase_gate_results r
        LEFT JOIN events e ON e.event_type = 'gate.decided' AND e.payload ->> 'result_id' = r.id
        GROUP BY r.id HAVING count(e.id) <> 1""",
    "decisions of reviews that do not exist": """
        SELECT e.id FROM events e WHERE event_type = 'gate.decided'
        AND NOT EXISTS (SELECT FROM phase_gate_results r WHERE r.id = e.payload ->> 'result_id')""",
    "tickets that did not end where their story ends": """
        SELECT id, title, phase_id FROM tickets
        WHERE phase_id <> CASE title WHEN 'hopeless' THEN 'PHASE_BLOCKED' ELSE 'PHASE_DONE' END""",
    "moves that were made twice": """
        SELECT ticket_id, to_phase, count(*) FROM phase_history GROUP BY 1, 2 HAVING count(*) <> 1""",
    "moves without a verdict that passed before": """
        SELECT h.id, h.to_phase FROM phase_history h
        WHERE from_phase IS NOT NULL AND to_phase <> 'PHASE_BLOCKED' AND NOT EXISTS (
            SELECT FROM phase_gate_results r WHERE r.id = h.gate_result_id AND r.ticket_id = h.ticket_id
            AND r.phase_id = h.from_phase AND r.gate_status = 'passed' AND r.validated_at <= h.created_at)""",
    "phases with no task, or with two from one template": """
        SELECT t.id, h.phase, count(k.id) FROM tickets t
        CROSS JOIN LATERAL (
            SELECT %(start)s AS phase UNION ALL SELECT to_phase FROM phase_history WHERE ticket_id = t.id
            AND to_phase NOT IN ('PHASE_DONE', 'PHASE_BLOCKED')) h
        LEFT JOIN tasks k ON k.ticket_id = t.id AND k.phase_id = h.phase AND k.task_type = 'work'
        GROUP BY 1, 2 HAVING count(k.id) <> 1""",
    "fix tasks that no failed verdict asked for": """
        SELECT k.id FROM tasks k WHERE k.task_type LIKE 'fix%%' AND NOT EXISTS (
            SELECT FROM phase_gate_results r WHERE r.id = substr(k.generation_key, 5)
            AND r.gate_status = 'failed' AND r.ticket_id = k.ticket_id AND r.phase_id = k.phase_id)""",
    "phases whose number of fix tasks is not that of their story": """
        SELECT t.id, t.title, k.phase_id, count(*) FROM tasks k JOIN tickets t ON t.id = k.ticket_id
        WHERE k.task_type LIKE 'fix%%' GROUP BY 1, 2, 3
        HAVING count(*) <> CASE title WHEN 'mended' THEN 1 WHEN 'hopeless' THEN 2 ELSE 0 END""",
    "workflows that are not over": """
        SELECT workflow_uuid, status FROM dbos.workflow_status
        WHERE status IN ('PENDING', 'ENQUEUED', 'DELAYED')""",
}

_EVIDENCE: Final = """
SELECT r.id, r.ticket_id, r.phase_id, r.validated_at, r.validation_result,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'type', artifact_type, 'path', artifact_path,
                'digest', content_digest, 'at', extract(epoch FROM collected_at), 'seq', a.seq)
                ORDER BY collected_at, a.seq), '[]')
        FROM phase_gate_artifacts a WHERE a.ticket_id = r.ticket_id AND a.phase_id = r.phase_id
          AND a.collected_at <= r.validated_at)
FROM phase_gate_results r WHERE gate_status IN ('passed', 'failed')
"""

_WRITING: Final = timedelta(seconds=2).total_seconds()
"""Of a writer that is stopped between its statement's clock and its commit, a verdict sees nothing."""


def violations(fleet: Fleet) -> list[str]:
    """What does not hold; empty if all is well."""
    found = []
    for what, statement in STATEMENTS.items():
        if rows := fleet.rows(statement, {"start": START.value}):
            found.append(f"{len(rows)} {what}: {rows[:3]}")
    if rows := [row[0] for row in fleet.rows(_EVIDENCE) if not decided_on_what_was_there(row)]:
        found.append(f"{len(rows)} verdicts on other evidence than recorded: {rows[:3]}")
    if left := [str(path) for path in snapshots(fleet)]:
        found.append(f"{len(left)} snapshots that are left: {left[:3]}")
    return found


def decided_on_what_was_there(row: tuple[Any, ...]) -> bool:
    """Whether a verdict names the digests of the newest artifacts of its moment, and no others."""
    _, _, _, decided_at, details, artifacts = row
    recorded = details["inputs"]["artifacts"]
    reviewed = {item["type"]: item for item in details["reviewed"]}
    if {type_: _digest(item) for type_, item in reviewed.items()} != recorded:
        return False
    by_id = {item["id"]: item for item in artifacts}
    for type_, item in reviewed.items():
        there = by_id.get(item["id"])
        if there is None or there["digest"] != item["digest"] or there["type"] != type_:
            return False
        newer = [
            a for a in artifacts if a["type"] == type_ and (a["at"], a["seq"]) > (there["at"], there["seq"])
        ]
        if any(a["at"] < decided_at.timestamp() - _WRITING for a in newer):
            return False
    return {item["type"] for item in artifacts} <= set(reviewed)


def _digest(item: dict[str, Any]) -> str:
    return digest_of([item["path"], item["digest"], False])


def snapshots(fleet: Fleet) -> list[Any]:
    """Folders of snapshots that nobody reads any more."""
    folder = fleet.folder / ".omoi" / "workspaces"
    return [path for path in folder.glob("*") if path.is_dir()] if folder.exists() else []


def steps(to: Phase) -> int:
    """Moves that lead from the start to a phase."""
    return PHASE_SEQUENCE.index(to) - PHASE_SEQUENCE.index(START)


def reviews(fleet: Fleet) -> int:
    """Verdicts that passed or failed."""
    return int(
        fleet.rows("SELECT count(*) FROM phase_gate_results WHERE gate_status IN ('passed', 'failed')")[0][0]
    )


__all__ = ["Story", "reviews", "violations"]
