"""A review as steps, each of which a worker may die after: what it found is kept, and looked at again.

A step tells how it went instead of raising: the engine keeps that, too. What an earlier step found may have
been found by another process, and long ago; so each compares the digests of what is there with those that
were measured, and says `CHANGED` where they differ.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from omoi_os import faults
from omoi_os.domain.reviews import Again, Stage, Tried, again
from omoi_os.domain.verdict import Finding, GateStatus, Outcome, Verdict
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.gate.ground import Ground
from omoi_os.services.gate.judged import Judged
from omoi_os.services.gate.record import without_evidence
from omoi_os.services.gate.stages import Measured, Review, ReviewStages, ReviewTerms, Source
from omoi_os.services.review_requests import ReviewRequests
from omoi_os.store import gates, reviews, tickets

FAILED: Final = Finding(
    "review",
    Outcome.UNKNOWN,
    "review_failed",
    "the process that reviewed met an error of its own",
    "a review that ends",
    fix="Look at the worker's log, then ask for a review again.",
)
CRASHES: Final = Finding(
    "review",
    Outcome.UNKNOWN,
    "review_crashes",
    "each process that reviewed it was lost",
    "a review that ends",
    fix="Look at the workers' logs and memory, then ask for a review again.",
)

type Kept = dict[str, Any]
"""What a step returns: JSON, with `state`."""


class State(StrEnum):
    """How a step went.

    Attributes:
        CHANGED: What is there is not what was measured: begin again.
        LOST: It is decided, or somebody else has it.
        HANDED_ON: Another workflow goes on with it.
    """

    OK = "ok"
    CHANGED = "changed"
    LOST = "lost"
    HANDED_ON = "handed_on"
    DECIDED = "decided"


@dataclass(slots=True)
class Desk:
    """What one execution of a review has at hand; nothing of it outlives the process.

    Attributes:
        taken: The review as this execution took it; None where it is not its own.
        judges: Whether a judge may be asked here.
        early: It is to be taken later: it is suspected of crashes, and another one is being tried alone.
    """

    review_id: str
    taken: PhaseGateResult | None
    judges: bool
    early: bool = False
    _held: ExitStack = field(default_factory=ExitStack)
    _source: tuple[Source, Ground] | None = None

    def source(self, stages: ReviewStages, review: Review) -> tuple[Source, Ground]:
        """What evidence is read from; taken once, or once more after a crash."""
        if self._source is None:
            given = stages.read(review.question)
            # Another execution of the same review may live, and hold a snapshot of its own.
            name = f"{self.review_id}-{self.taken.run if self.taken else 0}"
            self._source = self._held.enter_context(stages.source(review, given, name))
        return self._source

    def clear(self) -> None:
        """Let the snapshot go."""
        self._source = None
        self._held.close()
        self._held = ExitStack()


class DurableReviews:
    """The bodies of the steps.

    Args:
        first_pause: Seconds before an inconclusive review is tried again; the next pauses double.
    """

    def __init__(self, stages: ReviewStages, requests: ReviewRequests, *, first_pause: float = 15.0) -> None:
        self.stages = stages
        self.requests = requests
        self.first_pause = first_pause

    @property
    def db(self) -> DatabaseService:
        return self.stages.db

    def take(self, review_id: str, runner: str, *, judges: bool) -> Desk:
        """Take the review for an execution; whoever had it under the same name records nothing any more."""
        with self.db.single_statements() as connection:
            faults.reached("take.before_commit", review_id)
            taken = reviews.take(connection, review_id, runner, lease=None, stage=Stage.MEASURING)
            faults.reached("take.after_commit", review_id)
            if taken is not None and reviews.is_used_up(taken):
                verdict, details = without_evidence(CRASHES)
                reviews.end(connection, review_id, verdict, details, run=taken.run)
                taken = None
            early = taken is None and reviews.its_turn_comes(connection, review_id, runner)
        return Desk(review_id, taken, judges, early)

    def collect(self, desk: Desk) -> Kept:
        """Turn what completed tasks handed in into artifacts."""
        if desk.taken is None:
            return _state(State.LOST)
        given = self.stages.read(self._review(desk.taken).question)
        return _state(State.OK, artifacts=sorted(item.id for item in given.artifacts.values()))

    def snapshot(self, desk: Desk) -> Kept:
        """Copy the workspace, where evidence stands there."""
        if desk.taken is None:
            return _state(State.LOST)
        desk.clear()
        _, ground = desk.source(self.stages, self._review(desk.taken))
        return _state(State.OK, workspace=ground.workspace, base=ground.base)

    def measure(self, desk: Desk, ground: Kept) -> Kept:
        """Measure, and decide by the rules."""
        if desk.taken is None:
            return _state(State.LOST)
        review = self._review(desk.taken)
        source, now = desk.source(self.stages, review)
        if now != Ground(ground["workspace"], ground["base"]):
            return _state(State.CHANGED)
        given = self.stages.read(review.question)
        measured = self.stages.measure(review, given, source, now, anew=desk.taken.force)
        return _state(State.OK, measured=measured.as_dict())

    def hand_on(self, desk: Desk) -> Kept:
        """Put the review among those that need a judge: there are fewer at a time of these."""
        if desk.taken is None:
            return _state(State.LOST)
        with self.db.get_session() as session:
            handed = reviews.hand_on(driver_connection(session), desk.taken)
            if handed is None:
                return _state(State.LOST)
            self.requests.enqueue(session, handed, judges=True)
            faults.reached("hand_on.before_commit", handed.id)
        faults.reached("hand_on.after_commit", handed.id)
        return _state(State.HANDED_ON)

    def judge(self, desk: Desk, kept: Kept) -> Kept:
        """Ask the judge; takes minutes."""
        if desk.taken is None:
            return _state(State.LOST)
        review, measured = self._review(desk.taken), Measured.from_dict(kept)
        source, ground = desk.source(self.stages, review)
        given = self.stages.read(review.question)
        if ground != measured.ground or not self._holds(review, given, measured):
            return _state(State.CHANGED)
        faults.reached("stage.before_commit", desk.review_id)
        with self.db.single_statements() as connection:
            if not reviews.set_stage(connection, desk.taken, Stage.JUDGING):
                return _state(State.LOST)
        faults.reached("stage.after_commit", desk.review_id)
        judged = self.stages.judge(review, given, measured, source, desk.taken)
        findings = [finding.as_dict() for finding in judged.findings]
        return _state(State.OK, told=judged.as_dict(), findings=findings)

    def stop_judge(self, desk: Desk, kept: Kept) -> None:
        """End what `judge` waits for."""
        if desk.taken is not None:
            self.stages.stop_judge(desk.taken, Measured.from_dict(kept))

    def record(self, desk: Desk, kept: Kept, judged: Kept | None) -> Kept:
        """Decide, and write the verdict down, or when the next attempt begins."""
        if desk.taken is None:
            return self._over(desk.review_id)
        review, measured = self._review(desk.taken), Measured.from_dict(kept)
        given = self.stages.read(review.question)
        # Who asked meanwhile asked about what is there now.
        if not self._holds(review, given, measured) or not self.stages.stands(review, given, measured):
            return _state(State.CHANGED)
        said = measured.unjudged if judged is None else Judged.from_dict(judged["told"], judged["findings"])
        if measured.same_as is None:
            decision = self.stages.decision(review, given, measured, said, desk.taken)
        elif (before := self._result(measured.same_as)) is not None:
            decision = self.stages.repeated(review, given, before, desk.taken)
        else:
            return _state(State.CHANGED)
        repeats = measured.same_as is not None
        return self._write(desk, review, decision, can_retry=said.can_retry, repeats=repeats)

    def give_up(self, desk: Desk, why: Finding) -> Kept:
        """End an attempt that came to nothing by itself, because of `FAILED` or `RESTLESS`."""
        if desk.taken is None:
            return self._over(desk.review_id)
        review = self._review(desk.taken)
        verdict, details = without_evidence(why)
        by = review.terms.validated_by
        decision = gates.Decision(review.question, verdict, by, None, details, desk.taken.id, desk.taken.run)
        return self._write(desk, review, decision, can_retry=False)

    def _write(
        self,
        desk: Desk,
        review: Review,
        decision: gates.Decision,
        *,
        can_retry: bool,
        repeats: bool = False,
    ) -> Kept:
        assert desk.taken is not None  # noqa: S101 - the callers looked
        later = self._again(desk.taken, review, decision.verdict, can_retry=can_retry)
        commit = "record" if later is None else "put_off"
        with self.db.get_session() as session:
            connection = driver_connection(session)
            tickets.hold(connection, desk.taken.ticket_id, alone=True)
            if repeats and self._is_forced_now(session, desk):
                return _state(State.CHANGED)
            if later is not None:
                written: Kept | None = self._put_off(
                    session, desk.taken, decision.verdict.code or "unknown", later
                )
            else:
                result = gates.record_result(connection, decision)
                written = None if result is None else _state(State.DECIDED, gate_status=result.gate_status)
            faults.reached(f"{commit}.before_commit", desk.review_id)
        faults.reached(f"{commit}.after_commit", desk.review_id)
        return written or self._over(desk.review_id, otherwise=State.CHANGED)

    def _again(
        self, taken: PhaseGateResult, review: Review, verdict: Verdict, *, can_retry: bool
    ) -> Again | None:
        if verdict.status is not GateStatus.INCONCLUSIVE:
            return None
        tried = Tried(taken.attempt, taken.waits)
        return again(verdict.code, tried, review.policy, self.first_pause, can_retry=can_retry)

    def _is_forced_now(self, session: Any, desk: Desk) -> bool:
        """Whether somebody asked to measure anew since this runner took it; then the next round does."""
        assert desk.taken is not None  # noqa: S101 - the callers looked
        now = reviews.find(driver_connection(session), desk.review_id)
        if now is None or now.run != desk.taken.run or not now.force:
            return False
        desk.taken = now
        return True

    def _put_off(self, session: Any, taken: PhaseGateResult, code: str, later: Again) -> Kept:
        connection = driver_connection(session)
        put = reviews.put_off(connection, taken, code, seconds=later.seconds, counts=later.counts)
        if put is None:
            return _state(State.LOST)
        self.requests.enqueue(session, put.review, delay=put.seconds)
        return _state(State.HANDED_ON, code=code)

    def _over(self, review_id: str, otherwise: State = State.LOST) -> Kept:
        """Decided by this workflow before it crashed, or by somebody else; `otherwise` where it is open."""
        now = self._result(review_id)
        if now is None or now.gate_status == GateStatus.PENDING:
            return _state(otherwise)
        return _state(State.DECIDED, gate_status=now.gate_status)

    def _holds(self, review: Review, given: gates.GateInput, measured: Measured) -> bool:
        """Whether everything but the workspace is as it was measured; that is what the snapshot says."""
        return self.stages.inputs(review.policy, given, measured.ground) == measured.inputs

    def _review(self, taken: PhaseGateResult) -> Review:
        terms = ReviewTerms(validated_by=taken.validated_by or "omoi", force=taken.force)
        return self.stages.review(taken.ticket_id, taken.phase_id, terms)

    def _result(self, result_id: str) -> PhaseGateResult | None:
        with self.db.single_statements() as connection:
            return gates.find_result(connection, result_id)


def _state(state: State, **more: Any) -> Kept:
    return {"state": state.value, **more}
