"""May a ticket leave its phase? Measured first, decided by pure rules, recorded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from omoi_os.domain.phases import Phase, is_forward, parse_phase, refusal
from omoi_os.domain.policy import PHASE_GATE_REQUIREMENTS, PhasePolicy, built_in_policy
from omoi_os.domain.rules import Measured, gate_findings
from omoi_os.domain.verdict import NO_VERDICT, Finding, GateStatus, Outcome, Verdict, decide
from omoi_os.errors import InvalidInput, UnknownPhase
from omoi_os.evidence.measure import measure_all
from omoi_os.models.base import check_text, text_limit
from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.tickets import check_id, no_ticket
from omoi_os.store import collection, gates, phases, tickets

__all__ = ["PHASE_GATE_REQUIREMENTS", "PhaseGateService", "ReviewTerms"]


ATTEMPTS: Final = 3
"""Reviews of one gate before evidence that changes all the time makes it inconclusive."""


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """How a review differs from the usual one.

    Attributes:
        policy: What to ask for instead of the policy in force.
        only: Ids of the only artifacts that are looked at.
        base: Commit to compare the workspace with, instead of the merge base with its main branch.
        validated_by: Who asked.
    """

    policy: PhasePolicy | None = None
    only: Sequence[str] | None = None
    base: str | None = None
    validated_by: str = "rules"


class PhaseGateService:
    """Validates phase gates before transitions."""

    def __init__(self, db: DatabaseService) -> None:
        self.db = db

    def check_gate_requirements(self, ticket_id: str, phase_id: str) -> dict[str, Any]:
        """What is there and what is missing, without measuring it.

        Returns:
            `requirements_met` (all required artifacts are there and all tasks completed),
            `missing_artifacts`, `validation_status` (status of the last verdict, "none" before the
            first), `tasks_completed`, `open_tasks` (ids, the first three), `blocking_reasons` and
            `validated_at` of the last verdict, and whether it is `stale`: other artifacts are the
            newest now.

        Raises:
            NotFound: There is no such ticket.
            UnknownPhase: There is no such phase.
            PhaseHasNoGate: Nothing is reviewed when this phase ends.
        """
        policy = _policy(phase_id)
        question = _question(ticket_id, policy)
        given = self._read(question)
        with self.db.single_statements() as connection:
            last = gates.latest_result(connection, ticket_id, policy.phase)
        missing = [type_ for type_ in policy.artifact_types if type_ not in given.artifacts]
        completed = given.tasks.any_task and not given.tasks.open_count
        return {
            "requirements_met": not missing and (completed or not policy.tasks_must_be_completed),
            "missing_artifacts": missing,
            "validation_status": last.gate_status if last else NO_VERDICT,
            "tasks_completed": completed,
            "open_tasks": [task.id for task in given.tasks.open_tasks],
            "blocking_reasons": (last.blocking_reasons if last else None) or [],
            "validated_at": last.validated_at if last else None,
            "stale": last is not None and _reviewed(given) != (last.validation_result or {}).get("reviewed"),
        }

    def validate_gate(
        self,
        ticket_id: str,
        phase_id: str,
        *,
        terms: ReviewTerms = ReviewTerms(),
    ) -> PhaseGateResult:
        """Review the phase now and record the verdict.

        Two statements where nothing new is to be collected, each its own transaction: measuring may
        take seconds, and no transaction stays open meanwhile. If evidence or tasks change in that time,
        the review begins again; a gate that never holds still is inconclusive.

        Raises:
            NotFound, UnknownPhase, PhaseHasNoGate: As `check_gate_requirements`.
            InvalidInput: The policy in `terms` is one of another phase.
        """
        phase = parse_phase(phase_id)
        policy = terms.policy or built_in_policy(phase)
        if policy.phase is not phase:
            raise InvalidInput(f"a policy of {policy.phase.value} cannot decide {phase.value}")
        check_text("validated_by", terms.validated_by, text_limit(PhaseGateResult.validated_by))
        question = _question(ticket_id, policy, terms.only)
        for _ in range(ATTEMPTS):
            given = self._read(question)
            verdict = decide(gate_findings(policy, given.tasks, _measure(policy, given, terms.base)))
            decision = gates.Decision(question, verdict, terms.validated_by, given, _details(verdict, given))
            with self.db.single_statements() as connection:
                if (result := gates.record_result(connection, decision)) is not None:
                    return result
        return self._record_restless(question, terms.validated_by)

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

        It does if it passed, the newest artifacts are those that it reviewed, no task of the phase is
        open, nothing waits to be collected, and no later verdict is anything but a pass. A later pass does
        no harm: callers who validate at the same moment must not shut each other out.
        """
        policy = _policy(result.phase_id)
        connection = driver_connection(session)
        given = gates.read_gate(connection, _question(result.ticket_id, policy))
        if result.gate_status != GateStatus.PASSED or given is None or given.uncollected:
            return False
        completed = given.tasks.any_task and not given.tasks.open_count
        return (
            (completed or not policy.tasks_must_be_completed)
            and _reviewed(given) == (result.validation_result or {}).get("reviewed")
            and not phases.contradicted(connection, result)
        )

    def _read(self, question: gates.GateQuestion) -> gates.GateInput:
        check_id(question.ticket_id)
        with self.db.single_statements() as connection:
            given = gates.read_gate(connection, question)
            if given is not None and given.uncollected:
                collection.collect_quietly(connection, question.ticket_id, question.phase_id)
                given = gates.read_gate(connection, question)
        if given is None:
            raise no_ticket(question.ticket_id)
        return given

    def _record_restless(self, question: gates.GateQuestion, by: str) -> PhaseGateResult:
        finding = Finding(
            "evidence",
            Outcome.UNKNOWN,
            "evidence_changed",
            f"it changed during each of {ATTEMPTS} attempts",
            "evidence that holds still while it is measured",
            fix="Wait until the workers are done and validate again.",
        )
        verdict = decide([finding])
        details = {"code": verdict.code, "findings": [finding.as_dict()], "reviewed": []}
        with self.db.single_statements() as connection:
            result = gates.record_result(connection, gates.Decision(question, verdict, by, None, details))
        if result is None:
            raise no_ticket(question.ticket_id)
        return result


def needs_gate(origin: Phase, target: Phase) -> bool:
    """Whether a move from `origin` to `target` has to pass the gate of `origin`."""
    return is_forward(origin, target) and origin in PHASE_GATE_REQUIREMENTS


def _question(ticket_id: str, policy: PhasePolicy, only: Sequence[str] | None = None) -> gates.GateQuestion:
    return gates.GateQuestion(ticket_id, policy.phase, policy.artifact_types, only)


def _measure(policy: PhasePolicy, given: gates.GateInput, base: str | None) -> dict[str, Measured]:
    pairs = [
        (required, given.artifacts[required.type])
        for required in policy.artifacts
        if required.type in given.artifacts
    ]
    return measure_all(pairs, given.workspace_path, base=base)


def _policy(phase_id: str) -> PhasePolicy:
    return built_in_policy(parse_phase(phase_id))


def _details(verdict: Verdict, given: gates.GateInput) -> dict[str, Any]:
    return {
        "code": verdict.code,
        "findings": [finding.as_dict() for finding in verdict.findings],
        "reviewed": _reviewed(given),
    }


def _reviewed(given: gates.GateInput) -> list[dict[str, str | None]]:
    return [
        {"type": item.type, "id": item.id, "path": item.path, "digest": item.digest}
        for item in sorted(given.artifacts.values(), key=lambda artifact: artifact.type)
    ]
