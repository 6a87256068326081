"""SQL of the gates. Written by hand: these statements run on every validation.

Each is one round trip whatever the number of artifacts and tasks: the newest artifact per type, and the
open and the uncollected tasks, come from indexes of exactly those rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.domain.inputs import Inputs
from omoi_os.domain.reviews import FailedTask, Stage, WorkLeft
from omoi_os.domain.rules import Artifact, OpenTask, TaskFacts
from omoi_os.domain.verdict import Verdict
from omoi_os.domain.waivers import Waiver
from omoi_os.models.base import new_id
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.task import RETRYABLE, UNCOLLECTED
from omoi_os.store import reviews
from omoi_os.store.rows import fetch_one, loaded

OPEN_COUNTED: Final = 1000
"""Open tasks are counted up to here; a phase with more says "at least"."""

_OF_PHASE: Final = "ticket_id = %(ticket)s::text AND phase_id = %(phase)s::text"
# A ticket that goes back takes back what was done and shown in the phases between: since then counts.
_SINCE: Final = """
coalesce((SELECT created_at FROM phase_history WHERE ticket_id = %(ticket)s::text
          AND %(phase)s::text = ANY (took_back) ORDER BY seq DESC LIMIT 1), '-infinity')
"""
_COUNTS: Final = f"tasks WHERE {_OF_PHASE} AND created_at > {_SINCE}"
_OPEN: Final = f"{_COUNTS} AND status <> 'completed'"
_HAS_UNCOLLECTED: Final = f"EXISTS (SELECT FROM tasks WHERE {_OF_PHASE} AND {UNCOLLECTED})"
_COUNT_OPEN: Final = f"(SELECT count(*) FROM (SELECT FROM {_OPEN} LIMIT {OPEN_COUNTED}) AS listed)"  # noqa: S608
_NEWEST: Final = f"""
    unnest(%(types)s::text[]) AS wanted (artifact_type)
    CROSS JOIN LATERAL (
        SELECT id, artifact_type, artifact_path, artifact_content, content_digest FROM phase_gate_artifacts
        WHERE {_OF_PHASE} AND artifact_type = wanted.artifact_type AND collected_at > {_SINCE}
          AND (%(only)s::text[] IS NULL OR id = ANY (%(only)s))
        ORDER BY collected_at DESC, seq DESC LIMIT 1
    ) newest
"""  # noqa: S608

_WAIVERS: Final = f"""
(SELECT jsonb_agg(jsonb_build_object('id', id, 'criterion', criterion, 'reason', reason,
                                     'waived_by', waived_by, 'expires_at', expires_at, 'inputs', inputs)
                  ORDER BY seq)
 FROM gate_waivers given WHERE {_OF_PHASE} AND revokes IS NULL AND expires_at > clock_timestamp()
   AND created_at > {_SINCE}
   AND NOT EXISTS (SELECT FROM gate_waivers ended WHERE ended.ticket_id = %(ticket)s::text
                   AND ended.phase_id = %(phase)s::text AND ended.revokes = given.id))::text
"""  # noqa: S608
_LATEST: Final = f"""
(SELECT jsonb_build_object('id', id, 'status', gate_status, 'inputs', validation_result -> 'inputs',
                           'findings', validation_result -> 'findings')
 FROM phase_gate_results WHERE {_OF_PHASE} AND gate_status <> 'pending' AND validated_at > {_SINCE}
 ORDER BY validated_at DESC, seq DESC LIMIT 1)::text
"""  # noqa: S608

# The content travels as text: a number or a depth that Python cannot read must spoil one artifact, and not
# every question about its ticket.
READ_GATE: Final = f"""
SELECT t.title, t.description, t.workspace_path, {_HAS_UNCOLLECTED},
       EXISTS (SELECT FROM {_COUNTS}), {_COUNT_OPEN},
       ARRAY(SELECT ARRAY[id, task_type, status] FROM {_OPEN} ORDER BY created_at, id LIMIT 3),
       {_WAIVERS}, {_LATEST},
       a.id, a.artifact_type, a.artifact_path, a.artifact_content::text, a.content_digest
FROM tickets t LEFT JOIN LATERAL (SELECT newest.* FROM {_NEWEST}) a ON true
WHERE t.id = %(ticket)s::text
"""  # noqa: S608

# Written only while what was read still holds: evidence that arrived in the meantime was not reviewed.
_HOLDS: Final = f"""
(%(seen)s::text[] IS NULL OR (
    ARRAY(SELECT newest.id::text FROM {_NEWEST} ORDER BY newest.id COLLATE "C") = %(seen)s::text[]
    AND {_COUNT_OPEN} = %(open)s::bigint AND NOT {_HAS_UNCOLLECTED}))
"""  # noqa: S608

_AT_ONCE: Final = f"""
INSERT INTO phase_gate_results
    (id, ticket_id, phase_id, gate_status, validation_result, validated_at, validated_by, blocking_reasons)
SELECT %(id)s::text, id, %(phase)s::text, %(status)s::text, %(result)s::jsonb, clock_timestamp(),
       %(by)s::text, %(reasons)s::text[]
FROM tickets WHERE id = %(ticket)s::text AND {_HOLDS}
RETURNING validated_at, seq
"""  # noqa: S608

# An open review is decided once, and only by whoever opened it: one that was taken over is not pending.
_OPEN_ONE: Final = f"""
UPDATE phase_gate_results
SET gate_status = %(status)s::text, validation_result = %(result)s::jsonb, validated_at = clock_timestamp(),
    validated_by = %(by)s::text, blocking_reasons = %(reasons)s::text[], lease_until = NULL, stage = NULL
WHERE id = %(id)s::text AND gate_status = 'pending' AND run = %(run)s::bigint AND {_HOLDS}
RETURNING *
"""  # noqa: S608

_RECORD: Final = """
WITH result AS ({write}), recorded AS (
    INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
    SELECT %(event)s::text, 'gate.decided', 'ticket', %(ticket)s::text,
           jsonb_build_object('result_id', %(id)s::text, 'phase_id', %(phase)s::text,
                              'gate_status', %(status)s::text, 'code', %(code)s::text),
           validated_at
    FROM result
)
SELECT {returned} FROM result
"""
RECORD_RESULT: Final = _RECORD.format(write=_AT_ONCE, returned="validated_at, seq")
DECIDE_OPEN: Final = _RECORD.format(write=_OPEN_ONE, returned="*")

_OPEN_REVIEW: Final = """
INSERT INTO phase_gate_results
    (id, ticket_id, phase_id, gate_status, validated_by, runner, run, stage, lease_until)
SELECT %(id)s::text, id, %(phase)s::text, 'pending', %(by)s::text, %(id)s::text, 1, 'measuring',
       clock_timestamp() + make_interval(secs => %(lease)s)
FROM tickets WHERE id = %(ticket)s::text
ON CONFLICT (ticket_id, phase_id) WHERE gate_status = 'pending' DO NOTHING
"""

_RENEW_LEASE: Final = """
UPDATE phase_gate_results SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE id = %(id)s AND gate_status = 'pending' AND run = %(run)s AND lease_until IS NOT NULL
"""

_IS_ABANDONED: Final = "gate_status = 'pending' AND lease_until < clock_timestamp() AND requested_at IS NULL"
_ABANDONED: Final = f"SELECT ticket_id, phase_id FROM phase_gate_results WHERE {_IS_ABANDONED} LIMIT %s"  # noqa: S608

_END_ABANDONED: Final = f"""
WITH ended AS (
    UPDATE phase_gate_results
    SET gate_status = 'inconclusive', validated_at = clock_timestamp(), lease_until = NULL,
        validation_result = %(result)s::jsonb, blocking_reasons = %(reasons)s::text[]
    WHERE {_OF_PHASE} AND {_IS_ABANDONED}
    RETURNING id, gate_status, validated_at
)
INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
SELECT gen_random_uuid()::text, 'gate.decided', 'ticket', %(ticket)s::text,
       jsonb_build_object('result_id', id, 'phase_id', %(phase)s::text, 'gate_status', gate_status,
                          'code', %(code)s::text),
       validated_at
FROM ended
"""  # noqa: S608

_AT_ONCE_VALUES: Final[Mapping[str, Any]] = {
    "lease_until": None,
    "requested_at": None,
    "cause": None,
    "carry_on": False,
    "force": False,
    "runner": None,
    "run": 0,
    "takes": 0,
    "stage": None,
    "attempt": 0,
    "waits": 0,
    "waits_for": None,
    "retry_at": None,
    "workflow_id": None,
    "followed_at": None,
}
"""What a verdict has that nobody had to wait for."""

LATEST_RESULT: Final = f"""
SELECT * FROM phase_gate_results WHERE {_OF_PHASE} AND gate_status <> 'pending'
ORDER BY validated_at DESC, seq DESC LIMIT 1
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class GateQuestion:
    """Which gate is asked.

    Attributes:
        types: The artifact types that its policy asks for.
        only: Ids of the only artifacts that may be looked at; None for all.
    """

    ticket_id: str
    phase_id: str
    types: Sequence[str]
    only: Sequence[str] | None = None

    def parameters(self) -> dict[str, Any]:
        only = None if self.only is None else list(self.only)
        return {"ticket": self.ticket_id, "phase": self.phase_id, "types": list(self.types), "only": only}


@dataclass(frozen=True, slots=True)
class LatestVerdict:
    """The verdict that was recorded last.

    Attributes:
        inputs: None for one that names nothing it was reached on.
        findings: As they are stored.
    """

    id: str
    status: str
    inputs: Inputs | None
    findings: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class GateInput:
    """What a review starts from, as one statement saw it.

    Attributes:
        artifacts: The newest of each wanted type, by type.
        uncollected: Whether a completed task's result has not been searched for artifacts yet.
        waivers: Those that have neither run out nor been revoked, whatever they were given for.
        latest: None before the first verdict.
    """

    workspace_path: str | None
    uncollected: bool
    tasks: TaskFacts
    artifacts: Mapping[str, Artifact]
    waivers: tuple[Waiver, ...] = ()
    latest: LatestVerdict | None = None
    ticket_id: str = ""
    title: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict to be recorded.

    Attributes:
        given: What it was reached on; None records it whatever there is now.
        review_id: The open review that it decides; None where none was opened.
        run: Of whoever has that review; another one's decision is not recorded.
    """

    question: GateQuestion
    verdict: Verdict
    decided_by: str
    given: GateInput | None
    details: dict[str, Any] = field(default_factory=dict)
    review_id: str | None = None
    run: int = 0


def read_gate(connection: Connection[TupleRow], question: GateQuestion) -> GateInput | None:
    """Everything that the rules ask the database; None where there is no such ticket."""
    rows = connection.execute(READ_GATE, question.parameters(), prepare=True).fetchall()
    if not rows:
        return None
    title, description, workspace_path, uncollected, any_task, open_count, first, waivers, latest = rows[0][
        :9
    ]
    tasks = TaskFacts(any_task, open_count, tuple(OpenTask(*task) for task in first))
    artifacts = {row[10]: _artifact(*row[9:14]) for row in rows if row[9] is not None}
    return GateInput(
        workspace_path,
        uncollected,
        tasks,
        artifacts,
        _waivers(waivers),
        _latest(latest),
        question.ticket_id,
        title,
        description or "",
    )


def _waivers(stored: str | None) -> tuple[Waiver, ...]:
    found = []
    for row in msgspec.json.decode(stored) if stored else ():
        # One that cannot be read waives nothing.
        if (inputs := Inputs.from_dict(row.pop("inputs"))) is not None:
            row["expires_at"] = datetime.fromisoformat(row["expires_at"])
            found.append(Waiver(**row, inputs=inputs))
    return tuple(found)


def _latest(stored: str | None) -> LatestVerdict | None:
    if stored is None:
        return None
    row = msgspec.json.decode(stored)
    return LatestVerdict(row["id"], row["status"], Inputs.from_dict(row["inputs"]), row["findings"] or [])


def _artifact(id_: str, type_: str, path: str | None, content: str | None, digest: str | None) -> Artifact:
    try:
        value = None if content is None else msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        value = None
        digest = None
    readable = value is None or isinstance(value, dict)
    return Artifact(
        id_, type_, path, value if readable else None, digest, broken=value is None and content is not None
    )


def record_result(connection: Connection[TupleRow], decision: Decision) -> PhaseGateResult | None:
    """Write a verdict and its event; None where what it was reached on does not hold any more."""
    question, given = decision.question, decision.given
    reasons = [finding.sentence() for finding in decision.verdict.blocking]
    values: dict[str, Any] = {
        "id": decision.review_id or new_id(),
        "event": new_id(),
        "status": decision.verdict.status.value,
        "code": decision.verdict.code,
        "result": msgspec.json.encode(decision.details).decode(),
        "by": decision.decided_by,
        "reasons": reasons,
        "seen": None if given is None else sorted(artifact.id for artifact in given.artifacts.values()),
        "open": None if given is None else given.tasks.open_count,
        "run": decision.run,
    }
    if decision.review_id is not None:
        return fetch_one(connection, PhaseGateResult, DECIDE_OPEN, question.parameters() | values)
    row = connection.execute(RECORD_RESULT, question.parameters() | values, prepare=True).fetchone()
    if row is None:
        return None
    return loaded(
        PhaseGateResult,
        {
            **_AT_ONCE_VALUES,
            "id": values["id"],
            "ticket_id": question.ticket_id,
            "phase_id": question.phase_id,
            "gate_status": values["status"],
            "validation_result": decision.details,
            "validated_at": row[0],
            "validated_by": decision.decided_by,
            "blocking_reasons": reasons,
            "seq": row[1],
        },
    )


def latest_result(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> PhaseGateResult | None:
    """The verdict that was recorded last."""
    return fetch_one(connection, PhaseGateResult, LATEST_RESULT, {"ticket": ticket_id, "phase": phase_id})


def find_result(connection: Connection[TupleRow], result_id: str) -> PhaseGateResult | None:
    """The verdict, or the open review, of that id."""
    statement = "SELECT * FROM phase_gate_results WHERE id = %(id)s"
    return fetch_one(connection, PhaseGateResult, statement, {"id": result_id})


def open_review(
    connection: Connection[TupleRow], question: GateQuestion, by: str, lease: float, abandoned: Decision
) -> PhaseGateResult | None:
    """A review that is open from now on, or that was waiting for somebody to take it; None where it is taken.

    Args:
        lease: Seconds after which somebody else may take over.
        abandoned: How a review ends whose lease ran out, if nobody but its runner wanted it.
    """
    id_ = new_id()
    values = question.parameters() | {"id": id_, "by": by, "lease": lease}
    if connection.execute(_OPEN_REVIEW, values).rowcount:
        return find_result(connection, id_)
    waiting = open_one(connection, question.ticket_id, question.phase_id)
    if waiting is not None and waiting.requested_at is not None:
        return reviews.take(connection, waiting.id, id_, lease=lease, stage=Stage.MEASURING)
    end_abandoned(connection, question.ticket_id, question.phase_id, abandoned.verdict, abandoned.details)
    return find_result(connection, id_) if connection.execute(_OPEN_REVIEW, values).rowcount else None


def renew_lease(connection: Connection[TupleRow], opened: PhaseGateResult, lease: float) -> bool:
    """Keep an open review for so many seconds more; False where it is not its runner's any more."""
    values = {"id": opened.id, "run": opened.run, "lease": lease}
    return bool(connection.execute(_RENEW_LEASE, values).rowcount)


def find_abandoned(connection: Connection[TupleRow], limit: int) -> list[tuple[str, str]]:
    """Tickets and phases of open reviews whose lease ran out, and that nobody but their runner wanted."""
    return connection.execute(_ABANDONED, [limit]).fetchall()


def end_abandoned(
    connection: Connection[TupleRow],
    ticket_id: str,
    phase_id: str,
    verdict: Verdict,
    details: Mapping[str, Any],
) -> bool:
    """End the gate's open review if its lease ran out, and nobody but its runner wanted it."""
    values = {
        "ticket": ticket_id,
        "phase": phase_id,
        "code": verdict.code,
        "result": msgspec.json.encode(details).decode(),
        "reasons": [finding.sentence() for finding in verdict.blocking],
    }
    return bool(connection.execute(_END_ABANDONED, values).rowcount)


def work_left(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> WorkLeft:
    """What is left to do in this visit of the phase."""
    row = connection.execute(
        f"SELECT count(*), count(*) FILTER (WHERE status <> 'failed' OR {RETRYABLE}) FROM {_OPEN}",  # noqa: S608
        {"ticket": ticket_id, "phase": phase_id},
    ).fetchone()
    everything, alive = row or (0, 0)
    return WorkLeft.SOME if alive else WorkLeft.FAILED if everything else WorkLeft.NONE


def failed_tasks(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> list[FailedTask]:
    """The tasks of this visit of the phase that have failed, the first few."""
    rows = connection.execute(
        f"SELECT id, task_type, error_message FROM {_OPEN} AND status = 'failed' "  # noqa: S608
        f"ORDER BY created_at, id LIMIT {OPEN_COUNTED}",
        {"ticket": ticket_id, "phase": phase_id},
    )
    return [FailedTask(*row) for row in rows]


def is_worked_off(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> bool:
    """Whether the ticket is in the phase, and nothing is left to do there; asked with the ticket locked."""
    statement = f"""
        SELECT EXISTS (SELECT FROM tickets WHERE id = %(ticket)s::text AND phase_id = %(phase)s::text)
               AND NOT EXISTS (SELECT FROM {_OPEN}) AND EXISTS (SELECT FROM {_COUNTS})
    """  # noqa: S608
    values = {"ticket": ticket_id, "phase": phase_id}
    return connection.execute(statement, values, prepare=True).fetchone() == (True,)


def open_one(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> PhaseGateResult | None:
    """The gate's open review."""
    statement = f"SELECT * FROM phase_gate_results WHERE {_OF_PHASE} AND gate_status = 'pending'"  # noqa: S608
    return fetch_one(connection, PhaseGateResult, statement, {"ticket": ticket_id, "phase": phase_id})


def keep_policy(connection: Connection[TupleRow], digest: str, content: Mapping[str, Any]) -> None:
    """Store a policy under its digest, once."""
    connection.execute(
        """INSERT INTO policies (digest, content) VALUES (%(digest)s, %(content)s::jsonb)
           ON CONFLICT (digest) DO NOTHING""",
        {"digest": digest, "content": msgspec.json.encode(content).decode()},
    )


def kept_policy(connection: Connection[TupleRow], digest: str) -> dict[str, Any] | None:
    """The policy of that digest."""
    row = connection.execute("SELECT content FROM policies WHERE digest = %(digest)s", {"digest": digest})
    found = row.fetchone()
    return None if found is None else found[0]
