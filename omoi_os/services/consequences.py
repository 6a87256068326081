"""What follows a verdict where the policy's next thing is to follow: done once, in one transaction."""

from __future__ import annotations

from typing import Final

from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy.orm import Session

from omoi_os import faults
from omoi_os.domain.phases import Move, Phase, parse_phase
from omoi_os.domain.policy import PhasePolicy
from omoi_os.domain.reviews import (
    Cause,
    Next,
    WorkLeft,
    blocked_reason,
    dead_end_reason,
    fix_description,
    once_more,
    phase_after,
    restless_reason,
    what_follows,
)
from omoi_os.domain.statuses import Priority
from omoi_os.domain.tasks import NewTask
from omoi_os.domain.verdict import GateStatus
from omoi_os.models.base import new_id
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.context_service import ContextService
from omoi_os.services.database import driver_connection
from omoi_os.services.gate.stages import DECIDED
from omoi_os.services.phase_service import PhaseService
from omoi_os.services.review_requests import AUTOMATIC, ReviewRequests
from omoi_os.services.task_queue import TaskQueueService
from omoi_os.store import gates, phases, reviews
from omoi_os.store.tickets import Place

FIX: Final = "fix:"
"""Begins the generation key of a task that mends what a review found; its id follows."""

_MOVES: Final = (Next.ADVANCE, Next.FIX, Next.BLOCK)


class Consequences:
    """Moves tickets on, makes tasks that mend what was found, and asks for a person.

    Args:
        first_pause: Seconds before evidence that changed again is looked at again; the next pauses double.
    """

    def __init__(
        self,
        phases: PhaseService,
        queue: TaskQueueService,
        requests: ReviewRequests,
        contexts: ContextService,
        *,
        first_pause: float = 15.0,
    ) -> None:
        self.db = requests.db
        self.first_pause = first_pause
        self.contexts = contexts
        self.gates = phases.gates
        self.phases = phases
        self.queue = queue
        self.requests = requests

    @property
    def sums_up(self) -> bool:
        """Whether `sum_up` can do anything in this process."""
        return self.contexts.condenses

    def sum_up(self, review_id: str) -> str:
        """Have a model condense what the phase of a review hands on, where the policy asks for it.

        After the move, with no transaction open; whatever the model does, the move stands.

        Returns:
            The code of `Condensing`.
        """
        review = self.requests.find(review_id)
        return self.contexts.condense_ticket_context(review.ticket_id).code

    def follow(self, review_id: str) -> Next | None:
        """Do what follows a verdict; None where nothing is to be done, or was done already.

        The gate's last verdict counts, which may be a later one. One that is stale is followed by another
        review, and where one is open already nothing is made or blocked before that has ended. What failed is
        looked at again once: a workspace that never holds still must not keep its findings from being mended.
        What passed is looked at again as often as the policy has attempts; then a person is asked.
        """
        asked = self.gates.find_result(review_id)
        if asked is None or not _is_to_follow(asked):
            return None
        last = self.gates.latest_verdict(asked.ticket_id, asked.phase_id) or asked
        # Reads the workspace, so before the transaction.
        current = last.gate_status not in DECIDED or self.gates.is_current(last)
        with self.db.get_session() as session:
            follows = self._follow(session, review_id, last, current=current)
            _reached(follows, "before_commit", review_id)
        _reached(follows, "after_commit", review_id)
        return follows

    def _follow(
        self, session: Session, review_id: str, last: PhaseGateResult, *, current: bool
    ) -> Next | None:
        connection = driver_connection(session)
        ticket = phases.lock_ticket(session, last.ticket_id)
        asked = reviews.find(connection, review_id)
        if ticket is None or asked is None or not _is_to_follow(asked):
            return None
        reviews.mark_followed(connection, review_id)
        if ticket.phase_id != last.phase_id:
            return None
        phase = parse_phase(last.phase_id)
        policy = self.gates.policies.of(phase)
        fixes = reviews.count_fixes(connection, last.ticket_id, phase, FIX)
        work = gates.work_left(connection, last.ticket_id, phase)
        follows = what_follows(last.gate_status, policy, fixes=fixes, work=work)
        place = Place(ticket.phase_id, ticket.previous_phase_id)
        if follows in (Next.FIX, Next.BLOCK) and self._is_overtaken(connection, asked, last, current=current):
            self.requests.again(session, last)
            return Next.REVIEW_AGAIN
        match follows:
            case Next.ADVANCE if not current or not self._advance(session, place, last):
                return self._once_more(session, place, last, policy)
            case Next.FIX:
                self._fix(session, last, policy, fixes + 1)
            case Next.BLOCK:
                if work is WorkLeft.FAILED:
                    why = dead_end_reason(phase, gates.failed_tasks(connection, last.ticket_id, phase))
                else:
                    why = blocked_reason(phase, last.blocking_reasons or [], iterations=fixes + 1)
                self.phases.carry_out(session, last.ticket_id, place, Move(Phase.BLOCKED, why, AUTOMATIC))
        return follows

    def _is_overtaken(
        self,
        connection: Connection[TupleRow],
        asked: PhaseGateResult,
        verdict: PhaseGateResult,
        *,
        current: bool,
    ) -> bool:
        """Whether a failure is not acted on: another review is open, or it is about something else now."""
        if gates.open_one(connection, verdict.ticket_id, verdict.phase_id) is not None:
            return True
        return not current and asked.cause != Cause.EVIDENCE_CHANGED

    def _once_more(
        self, session: Session, place: Place, verdict: PhaseGateResult, policy: PhasePolicy
    ) -> Next:
        times = reviews.count_restless(driver_connection(session), verdict.ticket_id, verdict.phase_id)
        if (later := once_more(times, policy, self.first_pause)) is not None:
            self.requests.again(session, verdict, delay=later.seconds)
            return Next.REVIEW_AGAIN
        why = restless_reason(policy.phase, times + 1)
        self.phases.carry_out(session, verdict.ticket_id, place, Move(Phase.BLOCKED, why, AUTOMATIC))
        return Next.BLOCK

    def _advance(self, session: Session, place: Place, verdict: PhaseGateResult) -> bool:
        phase = parse_phase(verdict.phase_id)
        move = Move(phase_after(phase), f"the gate of {phase.name.lower()} passed", AUTOMATIC)
        return self.phases.carry_out(session, verdict.ticket_id, place, move, verdict) is not None

    def _fix(self, session: Session, verdict: PhaseGateResult, policy: PhasePolicy, iteration: int) -> None:
        details = verdict.validation_result or {}
        description = fix_description(
            policy.phase,
            details.get("findings", []),
            details.get("feedback"),
            iteration=iteration,
            of=policy.max_iterations,
        )
        task = NewTask(
            id=new_id(),
            ticket_id=verdict.ticket_id,
            phase_id=policy.phase,
            task_type=f"fix_{policy.phase.name.lower()}",
            description=description,
            priority=Priority.HIGH,
            generation_key=f"{FIX}{verdict.id}",
        )
        self.queue.enqueue_many([task], session=session)


def _reached(follows: Next | None, when: str, review_id: str) -> None:
    if follows in _MOVES:
        faults.reached(f"{follows}.{when}", review_id)


def _is_to_follow(review: PhaseGateResult) -> bool:
    return review.carry_on and review.followed_at is None and review.gate_status != GateStatus.PENDING
