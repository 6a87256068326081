"""SQL of reviews that run by themselves: asked for, taken, put off, given up, ended, and followed.

Whoever asks for a review and whoever decides one lock the ticket first, each in a transaction with a later
statement that does the rest. So a request either finds the review undecided, and then its evidence is looked
at again before it is decided, or it makes a new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.domain.reviews import MOST_RUNS, SUSPECT, Cause, Stage
from omoi_os.domain.verdict import Verdict
from omoi_os.models.base import new_id
from omoi_os.models.phase_gate_result import UNFOLLOWED, WAITING, PhaseGateResult
from omoi_os.store.events import tell
from omoi_os.store.rows import fetch_all, fetch_one

_ALL: Final = "SELECT * FROM phase_gate_results"

# A second request adds what it wants to the review that is waiting.
_REQUEST: Final = """
INSERT INTO phase_gate_results
    (id, ticket_id, phase_id, gate_status, validated_by, requested_at, cause, carry_on, force, stage,
     workflow_id, waits_for, retry_at)
VALUES (%(id)s::text, %(ticket)s::text, %(phase)s::text, 'pending', %(by)s::text, clock_timestamp(),
        %(cause)s::text, %(carry_on)s::boolean, %(force)s::boolean,
        CASE WHEN %(delay)s::float8 > 0 THEN 'waiting' ELSE 'queued' END, %(id)s::text || ':0',
        CASE WHEN %(delay)s::float8 > 0 THEN %(cause)s::text END,
        clock_timestamp() + make_interval(secs => nullif(%(delay)s::float8, 0)))
ON CONFLICT (ticket_id, phase_id) WHERE gate_status = 'pending' DO UPDATE
SET carry_on = phase_gate_results.carry_on OR excluded.carry_on,
    force = phase_gate_results.force OR excluded.force,
    requested_at = coalesce(phase_gate_results.requested_at, excluded.requested_at),
    workflow_id = coalesce(phase_gate_results.workflow_id, phase_gate_results.id || ':0'),
    cause = coalesce(phase_gate_results.cause, excluded.cause)
RETURNING *
"""

# Taken by its own workflow once more after a crash, by anybody where nobody has it, or has it any longer.
# A workflow that handed the review on and crashed before the engine knew must not take it back from the next
# one: an attempt would count twice, and a pause would be skipped.
# A suspect waits for those that were asked for before it, and not the other way round: no two wait for each
# other.
_TAKE: Final = f"""
UPDATE phase_gate_results
SET runner = %(runner)s::text, run = run + 1, takes = takes + 1, stage = %(stage)s::text, retry_at = NULL,
    lease_until = clock_timestamp() + make_interval(secs => %(lease)s::float8)
WHERE id = %(id)s::text AND gate_status = 'pending'
  AND (runner IS NULL OR runner = %(runner)s::text OR lease_until < clock_timestamp())
  AND (%(lease)s::float8 IS NOT NULL OR (workflow_id = %(runner)s::text AND (takes < {SUSPECT} OR NOT EXISTS (
      SELECT FROM phase_gate_results AS before
      WHERE before.gate_status = 'pending' AND before.lease_until IS NULL AND before.takes > {SUSPECT}
        AND before.runner IS NOT NULL AND before.seq < phase_gate_results.seq))))
RETURNING *
"""  # noqa: S608 - composed of constants

_ITS_TURN_COMES: Final = """
SELECT EXISTS (SELECT FROM phase_gate_results
               WHERE id = %(id)s AND gate_status = 'pending' AND workflow_id = %(runner)s
                 AND (runner IS NULL OR runner = %(runner)s))
"""

_STAGE: Final = """
UPDATE phase_gate_results SET stage = %(stage)s::text
WHERE id = %(id)s::text AND gate_status = 'pending' AND run = %(run)s
"""

_PUT_OFF: Final = """
UPDATE phase_gate_results
SET runner = NULL, lease_until = NULL, stage = 'waiting', waits_for = %(code)s::text,
    attempt = attempt + %(counts)s::int, waits = CASE WHEN %(counts)s::int = 1 THEN 0 ELSE waits + 1 END,
    takes = 0, workflow_id = id || ':' || %(workflow)s::text,
    retry_at = clock_timestamp() + make_interval(secs => %(seconds)s::float8 * (0.5 + random() / 2))
WHERE id = %(id)s::text AND gate_status = 'pending' AND run = %(run)s AND runner IS NOT NULL
RETURNING extract(epoch FROM retry_at - clock_timestamp())::float8
"""

# Whoever hands it on was not lost; those before were, and are counted on: a stray comes by here each time.
_HAND_ON: Final = """
UPDATE phase_gate_results
SET runner = NULL, lease_until = NULL, stage = 'queued', takes = takes - 1,
    workflow_id = id || ':' || %(workflow)s::text
WHERE id = %(id)s::text AND gate_status = 'pending' AND run = %(run)s AND runner IS NOT NULL
RETURNING *
"""

# Its workflow may have come by meanwhile, and have left, or may still come: it has no business here any more.
_LET_GO: Final = """
UPDATE phase_gate_results
SET runner = NULL, lease_until = NULL, stage = 'queued', takes = 0, retry_at = NULL, run = run + 1,
    attempt = attempt + %(counts)s::int, workflow_id = id || ':' || (run + 1)
WHERE id = %(id)s::text AND gate_status = 'pending' AND run = %(run)s
RETURNING *
"""

_END: Final = """
UPDATE phase_gate_results
SET gate_status = %(status)s::text, validated_at = clock_timestamp(), lease_until = NULL, stage = NULL,
    validation_result = %(result)s::jsonb, blocking_reasons = %(reasons)s::text[]
WHERE id = %(id)s::text AND gate_status = 'pending' AND (%(run)s::bigint IS NULL OR run = %(run)s::bigint)
RETURNING *
"""

_STRAY: Final = f"""
{_ALL} WHERE seq > %(after)s AND (
    ({WAITING} AND requested_at < clock_timestamp() - %(older)s::interval
     AND coalesce(retry_at, '-infinity') < clock_timestamp() - %(older)s::interval)
    OR (gate_status = 'pending' AND workflow_id IS NOT NULL
        AND lease_until < clock_timestamp() - %(older)s::interval)
    OR ({UNFOLLOWED} AND validated_at < clock_timestamp() - %(older)s::interval))
ORDER BY seq LIMIT %(limit)s
"""

_FIXES: Final = """
SELECT count(*) FROM tasks
WHERE ticket_id = %(ticket)s AND phase_id = %(phase)s AND starts_with(generation_key, %(key)s)
  AND created_at > coalesce((SELECT max(created_at) FROM phase_history
                             WHERE ticket_id = %(ticket)s AND to_phase = %(phase)s), '-infinity')
"""

_RESTLESS: Final = """
SELECT count(*) FROM phase_gate_results
WHERE ticket_id = %(ticket)s AND phase_id = %(phase)s
  AND cause = 'evidence_changed' AND gate_status <> 'pending'
  AND seq > coalesce((SELECT max(seq) FROM phase_gate_results
                      WHERE ticket_id = %(ticket)s AND phase_id = %(phase)s
                        AND cause IS DISTINCT FROM 'evidence_changed'), 0)
"""

_RENEW: Final = """
UPDATE phase_gate_results
SET workflow_id = %(workflow)s::text,
    runner = CASE WHEN gate_status = 'pending' AND lease_until IS NULL THEN NULL ELSE runner END
WHERE id = %(id)s::text AND workflow_id IS NOT DISTINCT FROM %(before)s::text
"""

_FOLLOWED: Final = """
UPDATE phase_gate_results SET followed_at = clock_timestamp() WHERE id = %(id)s::text AND followed_at IS NULL
"""

_LET_FOLLOW: Final = """
UPDATE phase_gate_results SET carry_on = true WHERE id = %(id)s::text AND NOT carry_on AND followed_at IS NULL
"""

_BACKLOG: Final = f"""
SELECT count(*), extract(epoch FROM clock_timestamp() - min(requested_at))::float8
FROM phase_gate_results WHERE {WAITING}
"""  # noqa: S608

_PAGE: Final = f"""
{_ALL} WHERE (%(ticket)s::text IS NULL OR ticket_id = %(ticket)s) AND (%(phase)s::text IS NULL OR phase_id = %(phase)s)
  AND (%(status)s::text IS NULL OR gate_status = %(status)s) AND (%(before)s::bigint IS NULL OR seq < %(before)s)
ORDER BY seq DESC LIMIT %(limit)s
"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """A review to be asked for; see `PhaseGateResult`.

    Attributes:
        delay: Seconds before a new one begins.
    """

    ticket_id: str
    phase_id: str
    asked_by: str
    cause: Cause
    carry_on: bool = False
    force: bool = False
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class PutOff:
    """A review that goes on later, and in how many seconds."""

    review: PhaseGateResult
    seconds: float


def request(connection: Connection[TupleRow], asked: ReviewRequest) -> tuple[PhaseGateResult, bool]:
    """Ask for a review; the ticket is locked by the caller.

    Returns:
        The new one, or the one that is open already; and whether it is new.
    """
    id_ = new_id()
    review = fetch_one(
        connection,
        PhaseGateResult,
        _REQUEST,
        {
            "id": id_,
            "ticket": asked.ticket_id,
            "phase": asked.phase_id,
            "by": asked.asked_by,
            "cause": asked.cause.value,
            "carry_on": asked.carry_on,
            "force": asked.force,
            "delay": asked.delay,
        },
    )
    assert review is not None  # noqa: S101 - it is made or changed
    if review.id == id_:
        told = {
            "result_id": id_,
            "phase_id": asked.phase_id,
            "cause": asked.cause.value,
            "by": asked.asked_by,
        }
        tell(connection, "review.requested", "ticket", asked.ticket_id, told)
    return review, review.id == id_


def take(
    connection: Connection[TupleRow], review_id: str, runner: str, *, lease: float | None, stage: Stage
) -> PhaseGateResult | None:
    """Take a review; None where it is decided, or somebody has it.

    Args:
        runner: Who; the same one may take it again.
        lease: Seconds after which another may take it over; None where the engine sees to that.
    """
    values = {"id": review_id, "runner": runner, "lease": lease, "stage": stage.value}
    return fetch_one(connection, PhaseGateResult, _TAKE, values)


def its_turn_comes(connection: Connection[TupleRow], review_id: str, runner: str) -> bool:
    """Whether a review that could not be taken is still the runner's to take: as one that crashed others."""
    values = {"id": review_id, "runner": runner}
    return connection.execute(_ITS_TURN_COMES, values).fetchone() == (True,)


def set_stage(connection: Connection[TupleRow], review: PhaseGateResult, stage: Stage) -> bool:
    """Say what the runner does; False where it is not its review any more."""
    values = {"id": review.id, "run": review.run, "stage": stage.value}
    if not connection.execute(_STAGE, values).rowcount:
        return False
    _tell(connection, "review.stage", review, {"stage": stage.value})
    return True


def put_off(
    connection: Connection[TupleRow], review: PhaseGateResult, code: str, *, seconds: float, counts: bool
) -> PutOff | None:
    """Let a review wait; None where it is not the runner's any more."""
    values = {"code": code, "seconds": seconds, "counts": int(counts), **_next_workflow(review)}
    row = connection.execute(_PUT_OFF, values).fetchone()
    later = None if row is None else find(connection, review.id)
    if row is None or later is None:
        return None
    told = {"code": code, "attempt": later.attempt, "seconds": round(row[0], 1)}
    _tell(connection, "review.waiting", later, told)
    return PutOff(later, row[0])


def hand_on(connection: Connection[TupleRow], review: PhaseGateResult) -> PhaseGateResult | None:
    """Put a review into the queue of those that need a judge; None where it is not the runner's any more."""
    return fetch_one(connection, PhaseGateResult, _HAND_ON, _next_workflow(review))


def let_go(
    connection: Connection[TupleRow], review: PhaseGateResult, *, counts: bool = False
) -> PhaseGateResult | None:
    """Put a review that was taken, or waits for its next attempt, back into the queue, under a new workflow.

    Args:
        counts: Whether it came to nothing in a way that is an attempt.

    Returns:
        None where somebody else has taken it.
    """
    values = {"id": review.id, "run": review.run, "counts": int(counts)}
    return fetch_one(connection, PhaseGateResult, _LET_GO, values)


def _next_workflow(review: PhaseGateResult) -> dict[str, Any]:
    """The run that hands it over names the next workflow: no two runs have one number."""
    return {"id": review.id, "run": review.run, "workflow": str(review.run)}


def end(
    connection: Connection[TupleRow],
    review_id: str,
    verdict: Verdict,
    details: Mapping[str, Any],
    *,
    run: int | None = None,
) -> PhaseGateResult | None:
    """Decide a review on no evidence; None where it is decided, or not the runner's any more.

    Args:
        run: The runner's; None for an operator, who may end any.
    """
    values = {
        "id": review_id,
        "run": run,
        "status": verdict.status.value,
        "result": msgspec.json.encode(details).decode(),
        "reasons": [finding.sentence() for finding in verdict.blocking],
    }
    ended = fetch_one(connection, PhaseGateResult, _END, values)
    if ended is not None:
        _tell(connection, "gate.decided", ended, {"gate_status": ended.gate_status, "code": verdict.code})
    return ended


def find(connection: Connection[TupleRow], review_id: str, *, lock: bool = False) -> PhaseGateResult | None:
    """The review, or the verdict, of that id."""
    statement = f"{_ALL} WHERE id = %(id)s::text{' FOR UPDATE' if lock else ''}"
    return fetch_one(connection, PhaseGateResult, statement, {"id": review_id})


def let_follow(connection: Connection[TupleRow], review_id: str) -> None:
    """Have the policy's next thing follow a verdict that nothing has followed yet."""
    connection.execute(_LET_FOLLOW, {"id": review_id})


def mark_followed(connection: Connection[TupleRow], review_id: str) -> None:
    """Note that the policy's next thing was done, or that there was none."""
    connection.execute(_FOLLOWED, {"id": review_id})


def count_fixes(connection: Connection[TupleRow], ticket_id: str, phase_id: str, key: str) -> int:
    """Tasks that mend what reviews found, since the ticket came to the phase; `key` begins their keys."""
    row = connection.execute(_FIXES, {"ticket": ticket_id, "phase": phase_id, "key": key}).fetchone()
    return 0 if row is None else int(row[0])


def count_restless(connection: Connection[TupleRow], ticket_id: str, phase_id: str) -> int:
    """The gate's last reviews that were asked for because the one before did not hold any more."""
    row = connection.execute(_RESTLESS, {"ticket": ticket_id, "phase": phase_id}).fetchone()
    return 0 if row is None else int(row[0])


def strays(
    connection: Connection[TupleRow], *, older: float, after: int, limit: int
) -> list[PhaseGateResult]:
    """Reviews, and verdicts to be followed, that are due for `older` seconds; perhaps somebody has them.

    Args:
        after: The `seq` after which they are looked for.
    """
    values = {"older": f"{older} seconds", "after": after, "limit": limit}
    return fetch_all(connection, PhaseGateResult, _STRAY, values)


def renew_workflow(connection: Connection[TupleRow], review: PhaseGateResult, workflow_id: str) -> bool:
    """Name another workflow for a review whose own is over; False where somebody else did."""
    values = {"id": review.id, "workflow": workflow_id, "before": review.workflow_id}
    return bool(connection.execute(_RENEW, values).rowcount)


def page(
    connection: Connection[TupleRow],
    wanted: Mapping[str, str | None],
    *,
    limit: int,
    before: int | None,
) -> Sequence[PhaseGateResult]:
    """Reviews and verdicts, the newest first, one more than `limit` where there are more."""
    values = {**wanted, "limit": limit + 1, "before": before}
    return fetch_all(connection, PhaseGateResult, _PAGE, values)


def backlog(connection: Connection[TupleRow]) -> tuple[int, float | None]:
    """How many reviews are the workers' now, and how many seconds ago the oldest was asked for."""
    row = connection.execute(_BACKLOG).fetchone()
    return (0, None) if row is None else (row[0], row[1])


def is_used_up(review: PhaseGateResult) -> bool:
    """Whether too many runners were lost over it."""
    return review.takes > MOST_RUNS


def _tell(
    connection: Connection[TupleRow], event: str, review: PhaseGateResult, more: Mapping[str, Any]
) -> None:
    told = {"result_id": review.id, "phase_id": review.phase_id, **more}
    tell(connection, event, "ticket", review.ticket_id, told)
