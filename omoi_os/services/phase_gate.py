"""May a ticket leave its phase? Measured first, decided by pure rules, recorded once."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy.orm import Session

from omoi_os.domain.inputs import Inputs
from omoi_os.domain.phases import Phase, is_forward, parse_phase, refusal
from omoi_os.domain.policy import PHASE_GATE_REQUIREMENTS, built_in
from omoi_os.domain.storable import problem_in_text
from omoi_os.domain.verdict import NO_VERDICT, GateStatus
from omoi_os.errors import NotFound, UnknownPhase
from omoi_os.models.base import check_text, text_limit
from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.gate.ground import Ground
from omoi_os.services.gate.inline import ATTEMPTS, InlineReviews
from omoi_os.services.gate.judged import Judging
from omoi_os.services.gate.stages import ReviewStages, ReviewTerms
from omoi_os.services.policies import PolicyService
from omoi_os.services.tickets import LONGEST_ID, check_id, no_ticket
from omoi_os.store import collection, gates, phases, tickets

__all__ = ["PHASE_GATE_REQUIREMENTS", "PhaseGateService", "ReviewTerms"]


LEASE_SECONDS: Final = 60.0
"""For which a review in the process of whoever asks outlives that process."""

_MEASURING: Final = 900.0
"""Seconds; all readers of all attempts together are bounded well below."""

USUAL: Final = ReviewTerms()

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class PhaseGateService:
    """Validates phase gates before transitions.

    Args:
        policies: The policy in force; the built-in one if left out.
        snapshots: Folder of the snapshots that reviews read; a temporary one if left out.
        lease: Seconds after which somebody else may take over a review whose process was lost.
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
        in_force = policies or PolicyService(built_in())
        self._snapshots = snapshots
        self.stages = ReviewStages(db, policies=in_force, judging=judging, store=lambda: self._store)
        self.inline = InlineReviews(self.stages, lease)

    @property
    def policies(self) -> PolicyService:
        """The policy in force."""
        return self.stages.policies

    def check_gate_requirements(self, ticket_id: str, phase_id: str) -> dict[str, Any]:
        """What is there and what is missing, without measuring it.

        Returns:
            `requirements_met` (all required artifacts are there and all tasks completed),
            `missing_artifacts`, `validation_status` (status of the last verdict, "none" before the
            first), `gate_status` (the same, and "pending" while a review runs), `review` (how far that
            one is), `tasks_completed`, `open_tasks` (ids, the first three), `blocking_reasons`, `waivers`,
            `convergence` and `validated_at` of the last verdict, whether it is `stale`, and why
            (`stale_reasons`).

        Raises:
            NotFound: There is no such ticket.
            UnknownPhase: There is no such phase.
            PhaseHasNoGate: Nothing is reviewed when this phase ends.
        """
        review = self.stages.review(ticket_id, phase_id, USUAL)
        given = self.stages.read(review.question)
        policy = review.policy
        with self.db.single_statements() as connection:
            last = gates.latest_result(connection, ticket_id, policy.phase)
            running = gates.open_one(connection, ticket_id, policy.phase)
        details = (last.validation_result if last else None) or {}
        missing = [type_ for type_ in policy.artifact_types if type_ not in given.artifacts]
        completed = given.tasks.any_task and not given.tasks.open_count
        reasons = self.stages.changes(review, given) if last is not None else []
        status = last.gate_status if last else NO_VERDICT
        return {
            "requirements_met": not missing and (completed or not policy.tasks_must_be_completed),
            "missing_artifacts": missing,
            "validation_status": status,
            "gate_status": GateStatus.PENDING.value if running else status,
            "review": None if running is None else _progress(running),
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
        terms: ReviewTerms = USUAL,
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
        return self.inline.verdict(self.stages.review(ticket_id, phase_id, terms))

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
        review = self.stages.review(result.ticket_id, result.phase_id, USUAL)
        given = gates.read_gate(driver_connection(session), review.question)
        before = _inputs_of(result)
        if given is None or given.uncollected or before is None:
            return False
        ground = Ground(before.workspace, before.base)
        return self.stages.inputs(review.policy, given, ground) == before

    def is_current(self, result: PhaseGateResult) -> bool:
        """Whether everything is as the verdict found it, the workspace too; takes as long as reading that."""
        review = self.stages.review(result.ticket_id, result.phase_id, USUAL)
        given = self.stages.read(review.question)
        return self.stages.inputs_now(review, given) == _inputs_of(result)

    def longest_review(self, phase_id: str) -> float:
        """Seconds that one review of a phase may take, with its judges."""
        judge = self.policies.of(parse_phase(phase_id)).judge
        return _MEASURING + ATTEMPTS * judge.judges * judge.limits.wall_clock_seconds

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

    @property
    def _store(self) -> Path:
        return self._snapshots or _temporary()


@cache
def _temporary() -> Path:
    """A folder for snapshots of this process, where nobody named one."""
    folder = Path(tempfile.mkdtemp(prefix="omoi-snapshots-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def needs_gate(origin: Phase, target: Phase) -> bool:
    """Whether a move from `origin` to `target` has to pass the gate of `origin`."""
    return is_forward(origin, target) and origin in PHASE_GATE_REQUIREMENTS


def _progress(running: PhaseGateResult) -> dict[str, Any]:
    told = ("id", "stage", "attempt", "waits_for", "retry_at", "requested_at", "cause")
    return {name: getattr(running, name) for name in told}


def _inputs_of(result: PhaseGateResult) -> Inputs | None:
    return Inputs.from_dict((result.validation_result or {}).get("inputs"))
