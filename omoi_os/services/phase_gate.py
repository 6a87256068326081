"""May a ticket leave its phase? Measured first, decided by pure rules, recorded once."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy.orm import Session

from omoi_os.domain.inputs import Inputs
from omoi_os.domain.phases import Phase, is_forward, parse_phase, refusal
from omoi_os.domain.policy import PHASE_GATE_REQUIREMENTS, PhasePolicy, built_in
from omoi_os.domain.rules import gate_findings
from omoi_os.domain.storable import problem_in_text
from omoi_os.domain.verdict import NO_VERDICT, GateStatus, decide
from omoi_os.domain.waivers import waive
from omoi_os.errors import InvalidInput, NotFound, UnknownPhase
from omoi_os.evidence.measure import measure_all
from omoi_os.models.base import check_text, new_id, text_limit
from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.gate.ground import Ground, ground_now, reads_workspace, snapshot_of, wanted
from omoi_os.services.gate.judged import RULES_ALONE, JudgeTerms, Judging, readable
from omoi_os.services.gate.record import (
    ABANDONED,
    RESTLESS,
    Basis,
    covering,
    details_of,
    inputs_of,
    without_evidence,
)
from omoi_os.services.policies import PolicyService
from omoi_os.services.tickets import LONGEST_ID, check_id, no_ticket
from omoi_os.store import collection, gates, phases, tickets

__all__ = ["PHASE_GATE_REQUIREMENTS", "PhaseGateService", "ReviewTerms"]


ATTEMPTS: Final = 3
"""Reviews of one gate before evidence that changes all the time makes it inconclusive."""

LEASE_SECONDS: Final = 900.0
"""All readers of all attempts together are bounded well below."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_DECIDED: Final = (GateStatus.PASSED, GateStatus.FAILED)
"""Verdicts that answer again while nothing changed; an inconclusive one may have been our trouble."""


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """How a review differs from the usual one.

    Attributes:
        policy: What to ask for instead of the policy in force.
        only: Ids of the only artifacts that are looked at.
        base: Commit to compare the workspace with, instead of the merge base with its main branch.
        validated_by: Who asked.
        force: Measure anew even if nothing changed since the last verdict.
    """

    policy: PhasePolicy | None = None
    only: Sequence[str] | None = None
    base: str | None = None
    validated_by: str = "rules"
    force: bool = False


@dataclass(frozen=True, slots=True)
class _Review:
    """One question, under one policy."""

    question: gates.GateQuestion
    policy: PhasePolicy
    terms: ReviewTerms


class PhaseGateService:
    """Validates phase gates before transitions.

    Args:
        policies: The policy in force; the built-in one if left out.
        snapshots: Folder of the snapshots that reviews read; a temporary one if left out.
        lease: Seconds after which somebody else may take over a review that asks no judge.
        judging: Asked where the rules leave a gate open; without it they decide alone.
    """

    def __init__(
        self,
        db: DatabaseService,
        *,
        policies: PolicyService | None = None,
        snapshots: Path | None = None,
        lease: float = LEASE_SECONDS,
        judging: Judging | None = None,
    ) -> None:
        self.db = db
        self.policies = policies or PolicyService(built_in())
        self.lease = lease
        self.judging = judging
        self._snapshots = snapshots
        self._kept: set[str] = set()

    def check_gate_requirements(self, ticket_id: str, phase_id: str) -> dict[str, Any]:
        """What is there and what is missing, without measuring it.

        Returns:
            `requirements_met` (all required artifacts are there and all tasks completed),
            `missing_artifacts`, `validation_status` (status of the last verdict, "none" before the
            first), `gate_status` (the same, and "pending" while a review runs), `tasks_completed`,
            `open_tasks` (ids, the first three), `blocking_reasons`, `waivers`, `convergence` and
            `validated_at` of the last verdict, whether it is `stale`, and why (`stale_reasons`).

        Raises:
            NotFound: There is no such ticket.
            UnknownPhase: There is no such phase.
            PhaseHasNoGate: Nothing is reviewed when this phase ends.
        """
        review = self._review(ticket_id, phase_id, ReviewTerms())
        given = self._read(review.question)
        policy = review.policy
        with self.db.single_statements() as connection:
            last = gates.latest_result(connection, ticket_id, policy.phase)
            running = gates.open_one(connection, ticket_id, policy.phase)
        details = (last.validation_result if last else None) or {}
        missing = [type_ for type_ in policy.artifact_types if type_ not in given.artifacts]
        completed = given.tasks.any_task and not given.tasks.open_count
        reasons = self._changes(review, given) if last is not None else []
        status = last.gate_status if last else NO_VERDICT
        return {
            "requirements_met": not missing and (completed or not policy.tasks_must_be_completed),
            "missing_artifacts": missing,
            "validation_status": status,
            "gate_status": GateStatus.PENDING.value if running else status,
            "tasks_completed": completed,
            "open_tasks": [task.id for task in given.tasks.open_tasks],
            "blocking_reasons": (last.blocking_reasons if last else None) or [],
            "waivers": details.get("waivers", []),
            "convergence": details.get("convergence"),
            "validated_at": last.validated_at if last else None,
            "stale": bool(reasons),
            "stale_reasons": reasons,
        }

    def validate_gate(
        self,
        ticket_id: str,
        phase_id: str,
        *,
        terms: ReviewTerms = ReviewTerms(),
    ) -> PhaseGateResult:
        """Review the phase and record the verdict; where nothing changed, the last verdict answers.

        No transaction stays open while evidence is measured, which may take seconds. If evidence or tasks
        change in that time, the review begins again; a gate that never holds still is inconclusive. What
        stands in a workspace is read from a snapshot, and of a gate only one such review is open at a
        time: a second request gets the open one, which is pending.

        Raises:
            NotFound, UnknownPhase, PhaseHasNoGate: As `check_gate_requirements`.
            InvalidInput: The policy in `terms` is one of another phase.
            PolicyInvalid: The policy lies in the workspace that is reviewed.
        """
        check_text("validated_by", terms.validated_by, text_limit(PhaseGateResult.validated_by))
        review = self._review(ticket_id, phase_id, terms)
        given = self._read(review.question)
        if not terms.force and (known := self._unchanged(review, given)) is not None:
            return known
        asks = self.judging is not None and self.judging.would_ask(review.policy.judge)
        if asks or reads_workspace(review.policy, given):
            return self._in_the_open(review)
        return self._attempts(review, None)

    def collect_artifacts(
        self, ticket_id: str, phase_id: str, *, session: Session | None = None
    ) -> list[PhaseGateArtifact]:
        """Collect artifacts from completed tasks.

        A task's result may hold `artifacts`: a list of `{"type", "path", "content"}` (also with the
        prefix `artifact_`), or an object from type to content or path. Entries that cannot be used are
        left aside and told in an event `artifact.unusable`.

        Returns:
            The artifacts that are new, in the order in which their tasks were completed.
        """
        phase = parse_phase(phase_id)
        check_id(ticket_id)
        if session is not None:
            return collection.collect(driver_connection(session), ticket_id, phase)
        with self.db.single_statements() as connection:
            if tickets.place_of(connection, ticket_id) is None:
                raise no_ticket(ticket_id)
            return collection.collect(connection, ticket_id, phase)

    def can_transition(self, ticket_id: str, to_phase: str) -> tuple[bool, list[str]]:
        """Check if the ticket can move to `to_phase` now; a forward move out of a gated phase is reviewed.

        Returns:
            Whether it may, and otherwise why not, one sentence per reason.

        Raises:
            NotFound: There is no such ticket.
        """
        check_id(ticket_id)
        with self.db.single_statements() as connection:
            place = tickets.place_of(connection, ticket_id)
        if place is None:
            raise no_ticket(ticket_id)
        try:
            target = parse_phase(to_phase)
        except UnknownPhase as error:
            return False, [error.message]
        current = parse_phase(place.current)
        if reason := refusal(current, place.previous, target):
            return False, [reason]
        if not needs_gate(current, target):
            return True, []
        result = self.validate_gate(ticket_id, current)
        return result.gate_status == GateStatus.PASSED, result.blocking_reasons or []

    def holds(self, result: PhaseGateResult, *, session: Session) -> bool:
        """Whether a verdict opens its gate, as the transaction of `session` sees it.

        It does if it passed, `is_about` what is there, and no later verdict is anything but a pass. A later
        pass does no harm: callers who validate at the same moment must not shut each other out. The
        workspace is no part of a transaction: `is_current` looks at it, before.
        """
        if result.gate_status != GateStatus.PASSED or not self.is_about(result, session=session):
            return False
        return not phases.contradicted(driver_connection(session), result)

    def is_about(self, result: PhaseGateResult, *, session: Session) -> bool:
        """Whether artifacts, tasks, policy and waivers are those that a verdict was reached on.

        Asked in a transaction that locks the ticket: then they stay so until its end. Nothing may wait to
        be collected.
        """
        review = self._review(result.ticket_id, result.phase_id, ReviewTerms())
        given = gates.read_gate(driver_connection(session), review.question)
        before = _inputs_of(result)
        if given is None or given.uncollected or before is None:
            return False
        ground = Ground(before.workspace, before.base)
        return self._inputs(review.policy, given, ground) == before

    def is_current(self, result: PhaseGateResult) -> bool:
        """Whether everything is as the verdict found it, the workspace too; takes as long as reading that."""
        review = self._review(result.ticket_id, result.phase_id, ReviewTerms())
        given = self._read(review.question)
        return self._inputs_now(review, given) == _inputs_of(result)

    def find_result(self, result_id: str) -> PhaseGateResult | None:
        """The verdict, or the open review, of that id."""
        if problem_in_text(result_id, LONGEST_ID):
            return None
        with self.db.single_statements() as connection:
            return gates.find_result(connection, result_id)

    def latest_verdict(self, ticket_id: str, phase_id: str) -> PhaseGateResult | None:
        """The verdict that was recorded last; None before the first."""
        check_id(ticket_id)
        with self.db.single_statements() as connection:
            return gates.latest_result(connection, ticket_id, parse_phase(phase_id))

    def kept_policy(self, digest: str) -> dict[str, Any]:
        """A policy that decided a gate, as it was.

        Raises:
            NotFound: No verdict names it.
        """
        with self.db.single_statements() as connection:
            kept = gates.kept_policy(connection, digest) if _DIGEST.fullmatch(digest) else None
        if kept is None:
            raise NotFound(f"no verdict was reached under a policy {digest[:64]!r}")
        return kept

    def _review(self, ticket_id: str, phase_id: str, terms: ReviewTerms) -> _Review:
        phase = parse_phase(phase_id)
        policy = terms.policy or self.policies.of(phase)
        if policy.phase is not phase:
            raise InvalidInput(f"a policy of {policy.phase.value} cannot decide {phase.value}")
        question = gates.GateQuestion(ticket_id, phase, policy.artifact_types, terms.only)
        return _Review(question, policy, terms)

    def _read(self, question: gates.GateQuestion) -> gates.GateInput:
        check_id(question.ticket_id)
        with self.db.single_statements() as connection:
            given = gates.read_gate(connection, question)
            if given is not None and given.uncollected:
                collection.collect_quietly(connection, question.ticket_id, question.phase_id)
                given = gates.read_gate(connection, question)
        if given is None:
            raise no_ticket(question.ticket_id)
        if given.workspace_path is not None:
            self.policies.of(
                question.phase_id, Path(given.workspace_path)
            )  # refuses a policy that lies there
        return given

    def _inputs_now(self, review: _Review, given: gates.GateInput) -> Inputs:
        ground = ground_now(review.policy, given, review.terms.base, lambda: self._store)
        return self._inputs(review.policy, given, ground)

    def _inputs(self, policy: PhasePolicy, given: gates.GateInput, ground: Ground) -> Inputs:
        judge = self._judge_terms(policy)
        return inputs_of(policy, given, ground, covering(policy, given, ground, judge), judge)

    def _judge_terms(self, policy: PhasePolicy) -> JudgeTerms:
        return JudgeTerms() if self.judging is None else self.judging.terms(policy.judge)

    def _changes(self, review: _Review, given: gates.GateInput) -> list[str]:
        """Why the last verdict says nothing about now; empty where it does."""
        before = given.latest.inputs if given.latest else None
        if before is None:
            return ["the ticket went back since, or the verdict names nothing that it was reached on"]
        return self._inputs_now(review, given).changes_since(before)

    def _unchanged(self, review: _Review, given: gates.GateInput) -> PhaseGateResult | None:
        if given.latest is None or given.latest.status not in _DECIDED or given.uncollected:
            return None
        if self._changes(review, given):
            return None
        return self.find_result(given.latest.id)

    def _in_the_open(self, review: _Review) -> PhaseGateResult:
        """A review that takes long: there is a row of it from its beginning, and no second one."""
        verdict, details = without_evidence(ABANDONED)
        ended = gates.Decision(review.question, verdict, review.terms.validated_by, None, details)
        with self.db.single_statements() as connection:
            asks = self.judging is not None and self.judging.would_ask(review.policy.judge)
            lease = self.lease + (_judging_seconds(review.policy) if asks else 0)
            id_ = gates.open_review(connection, review.question, review.terms.validated_by, lease, ended)
            if id_ is None:
                return self._running(connection, review)
        try:
            return self._attempts(review, id_)
        except BaseException:
            with self.db.single_statements() as connection:
                gates.record_result(connection, replace(ended, review_id=id_))
            raise

    def _running(self, connection: Connection[TupleRow], review: _Review) -> PhaseGateResult:
        question = review.question
        running = gates.open_one(connection, question.ticket_id, question.phase_id)
        # It may have ended between the two looks.
        found = running or gates.latest_result(connection, question.ticket_id, question.phase_id)
        if found is None:
            raise no_ticket(question.ticket_id)
        return found

    def _attempts(self, review: _Review, review_id: str | None) -> PhaseGateResult:
        for _ in range(ATTEMPTS):
            decision = self._decision(review, review_id)
            with self.db.single_statements() as connection:
                if (result := gates.record_result(connection, decision)) is not None:
                    return result
                if review_id is not None and not _is_open(connection, review_id):
                    return self._running(connection, review)
        verdict, details = without_evidence(RESTLESS)
        by = review.terms.validated_by
        decision = gates.Decision(review.question, verdict, by, None, details, review_id)
        with self.db.single_statements() as connection:
            result = gates.record_result(connection, decision)
            if result is None and review_id is not None:
                return self._running(connection, review)
        if result is None:
            raise no_ticket(review.question.ticket_id)
        return result

    def _decision(self, review: _Review, review_id: str | None) -> gates.Decision:
        """Measure, decide by the rules, and ask the judge about what they leave open."""
        given = self._read(review.question)
        policy, terms = review.policy, review.terms
        name = review_id or new_id()
        with snapshot_of(policy, given, terms.base, lambda: self._store / name) as (source, ground):
            measured = measure_all(wanted(policy, given), source, base=terms.base)
            judge = self._judge_terms(policy)
            waivers = covering(policy, given, ground, judge)
            inputs = inputs_of(policy, given, ground, waivers, judge)
            rules = waive(gate_findings(policy, given.tasks, measured), waivers)
            judged = RULES_ALONE
            if self.judging is not None:
                judged = self.judging.of(policy, given, readable(source, terms.base), inputs, rules)
        verdict = decide(waive((*rules, *judged.findings), waivers))
        details = details_of(verdict, Basis(given, inputs, waivers, self._keep_policy()), judged)
        return gates.Decision(review.question, verdict, terms.validated_by, given, details, review_id)

    def _keep_policy(self) -> str:
        """The digest of the policy in force, which can be looked up from now on."""
        policy = self.policies.policy
        if (digest := policy.digest) not in self._kept:
            with self.db.single_statements() as connection:
                gates.keep_policy(connection, digest, policy.as_dict())
            self._kept.add(digest)
        return digest

    @property
    def _store(self) -> Path:
        return self._snapshots or _temporary()


@cache
def _temporary() -> Path:
    """A folder for snapshots of this process, where nobody named one."""
    folder = Path(tempfile.mkdtemp(prefix="omoi-snapshots-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _judging_seconds(policy: PhasePolicy) -> float:
    """How long the judges of one review may take."""
    return ATTEMPTS * policy.judge.judges * policy.judge.limits.wall_clock_seconds


def needs_gate(origin: Phase, target: Phase) -> bool:
    """Whether a move from `origin` to `target` has to pass the gate of `origin`."""
    return is_forward(origin, target) and origin in PHASE_GATE_REQUIREMENTS


def _inputs_of(result: PhaseGateResult) -> Inputs | None:
    return Inputs.from_dict((result.validation_result or {}).get("inputs"))


def _is_open(connection: Connection[TupleRow], review_id: str) -> bool:
    found = gates.find_result(connection, review_id)
    return found is not None and found.gate_status == GateStatus.PENDING
