"""Tickets move through the phases: one move, one transaction.

A gate is validated before that transaction, because measuring evidence takes time. Inside it, with the ticket
locked, the verdict has to hold still: for the evidence, the tasks and the place that are there now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from sqlalchemy.orm import Session

from omoi_os.domain.phases import (
    PHASE_TRANSITIONS,
    WORK_PHASES,
    Move,
    Phase,
    Transition,
    allowed_moves,
    gone_back_over,
    parse_phase,
    refusal,
)
from omoi_os.domain.tasks import CANCELLED
from omoi_os.domain.verdict import GateStatus
from omoi_os.errors import (
    Conflict,
    GateClosed,
    GateUnderReview,
    InvalidInput,
    TransitionNotAllowed,
    UnknownPhase,
)
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.task import Task
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.phase_gate import PhaseGateService, needs_gate
from omoi_os.services.review_requests import AUTOMATIC, Asked, ReviewRequests
from omoi_os.services.tickets import check_id, no_ticket
from omoi_os.store import phases, tickets
from omoi_os.store.tickets import Place

__all__ = ["Move", "PhaseService", "TaskGenerator", "Transition"]

ATTEMPTS: Final = 3
"""Reviews of the gate before evidence that changes all the time is a conflict."""


class TaskGenerator(Protocol):
    """Makes the tasks of a phase that a ticket enters, in the transaction of the move."""

    def generate_phase_tasks(
        self, ticket_id: str, phase_id: str, *, session: Session | None = None
    ) -> Sequence[Task]: ...


class ContextKeeper(Protocol):
    """Merges what a phase hands on into its ticket, in the transaction of the move that leaves it."""

    def update_ticket_context(
        self, ticket_id: str, phase_id: str, *, session: Session | None = None
    ) -> bool: ...


class PhaseService:
    """Moves tickets, and tells where they are and were.

    Args:
        generator: Makes the tasks of a work phase when it is entered; None makes none.
        contexts: Keeps what a work phase hands on when it is left; None keeps nothing.
        gates: Validates what a forward move leaves behind.
        requests: Asked for a review where a ticket that was blocked comes back to a phase whose work is done.
        reviews: Has judges asked by workers: a move that needs one is refused until it has answered. Without
            it a move waits for the judge.
    """

    def __init__(  # noqa: PLR0913 all but the first have a default
        self,
        db: DatabaseService,
        *,
        generator: TaskGenerator | None = None,
        contexts: ContextKeeper | None = None,
        gates: PhaseGateService | None = None,
        requests: ReviewRequests | None = None,
        reviews: ReviewRequests | None = None,
    ) -> None:
        self.db = db
        self.generator = generator
        self.contexts = contexts
        self.gates = gates or PhaseGateService(db)
        self.requests = requests
        self.reviews = reviews

    def can_transition(self, from_phase: str, to_phase: str) -> bool:
        """Whether the map allows the move at all; no ticket and no gate is looked at."""
        try:
            return parse_phase(to_phase) in self.get_valid_transitions(from_phase)
        except UnknownPhase:
            return False

    def get_valid_transitions(self, current_phase: str) -> list[Phase]:
        """The phases to which the map leads.

        Raises:
            UnknownPhase: There is no such phase.
        """
        return list(PHASE_TRANSITIONS[parse_phase(current_phase)])

    def valid_moves(self, ticket_id: str) -> tuple[Phase, ...]:
        """Where this ticket may go, as far as the map knows: a blocked one only back.

        Raises:
            NotFound: There is no such ticket.
        """
        place = self._place(ticket_id)
        return allowed_moves(parse_phase(place.current), place.previous)

    def get_current_phase(self, ticket_id: str) -> Phase:
        """Where the ticket is.

        Raises:
            NotFound: There is no such ticket.
        """
        return parse_phase(self._place(ticket_id).current)

    def get_phase_history(self, ticket_id: str) -> list[PhaseHistory]:
        """The ticket's moves, the first one first.

        Raises:
            NotFound: There is no such ticket.
        """
        self._place(ticket_id)
        with self.db.get_session() as session:
            return phases.history_of(session, ticket_id)

    def transition_ticket(
        self,
        ticket_id: str,
        to_phase: str,
        reason: str,
        transitioned_by: str,
        artifacts: dict[str, Any] | list[Any] | None = None,
    ) -> bool:
        """Move the ticket; False where the map, the gate or a simultaneous move is against it.

        Raises:
            NotFound: There is no such ticket.
            UnknownPhase: There is no such phase.
        """
        try:
            self.move(ticket_id, Move(to_phase, reason, transitioned_by, artifacts))
        except Conflict:
            return False
        return True

    def move(self, ticket_id: str, request: Move) -> Transition:
        """Move the ticket, with its history, its event and the tasks of a work phase, or nothing at all.

        Raises:
            NotFound: There is no such ticket.
            UnknownPhase: There is no such phase.
            InvalidInput: A forced move gives no reason, or a text cannot be stored.
            TransitionNotAllowed: The map does not lead there.
            GateClosed: The gate did not pass; `blocking_reasons`, `gate_status` and `result_id` say why.
            GateUnderReview: It is being reviewed.
            Conflict: Somebody else moved the ticket meanwhile, or its evidence does not hold still.
        """
        target = parse_phase(request.to_phase)
        if request.force and not request.reason.strip():
            raise InvalidInput("reason: a forced move needs one", field="reason")
        place = self._place(ticket_id)
        _check_allowed(ticket_id, place, target, request)
        current = parse_phase(place.current)
        for _ in range(ATTEMPTS):
            gated = needs_gate(current, target) and not request.force
            verdict = self._opened(ticket_id, current) if gated else None
            if verdict is not None and not self.gates.is_current(verdict):
                _check_unmoved(ticket_id, place, self._place(ticket_id))
                continue
            with self.db.get_session() as session:
                transition = self.carry_out(session, ticket_id, place, request, verdict)
            if transition is not None:
                return transition
        raise Conflict(
            f"the evidence of {current.value} changed during each of {ATTEMPTS} reviews; wait until the "
            "workers are done and try again",
            ticket_id=ticket_id,
        )

    def _place(self, ticket_id: str) -> Place:
        check_id(ticket_id)
        with self.db.single_statements() as connection:
            place = tickets.place_of(connection, ticket_id)
        if place is None:
            raise no_ticket(ticket_id)
        return place

    def _verdict(self, ticket_id: str, phase: Phase) -> PhaseGateResult:
        if self.reviews is None:
            return self.gates.validate_gate(ticket_id, phase)
        return self.reviews.validate(ticket_id, phase, Asked(AUTOMATIC))

    def _opened(self, ticket_id: str, phase: Phase) -> PhaseGateResult:
        result = self._verdict(ticket_id, phase)
        if result.gate_status == GateStatus.PASSED:
            return result
        raise _closed(result)

    def carry_out(
        self,
        session: Session,
        ticket_id: str,
        place: Place,
        request: Move,
        verdict: PhaseGateResult | None = None,
    ) -> Transition | None:
        """Move the ticket in a transaction: all of it, or nothing.

        Args:
            place: Where the caller saw the ticket.
            verdict: What opened the gate, where there is one to pass; `is_current` was asked just before.

        Returns:
            None where the verdict does not hold any more.

        Raises:
            NotFound: There is no such ticket.
            Conflict: It is somewhere else.
        """
        ticket = phases.lock_ticket(session, ticket_id)
        if ticket is None:
            raise no_ticket(ticket_id)
        _check_unmoved(ticket_id, place, Place(ticket.phase_id, ticket.previous_phase_id))
        if verdict is not None and not self.gates.holds(verdict, session=session):
            return None
        over = _gone_back_over(place, parse_phase(request.to_phase))
        self._take_back(session, ticket_id, over)
        transition = phases.record_move(session, ticket, request, verdict, over)
        if self.contexts is not None and transition.from_phase in WORK_PHASES:
            self.contexts.update_ticket_context(ticket_id, transition.from_phase, session=session)
        if self.generator is not None and transition.to_phase in WORK_PHASES:
            self.generator.generate_phase_tasks(ticket_id, transition.to_phase, session=session)
        if self.requests is not None:  # all may have been done before the ticket came
            self.requests.phase_entered(session, ticket_id, transition.to_phase)
        return transition

    def _take_back(self, session: Session, ticket_id: str, over: Sequence[Phase]) -> None:
        """What was done in these phases does not count any more, and what is still open there ends.

        Results are collected first: collected after the move, they would look like new evidence.
        """
        for phase in over:
            self.gates.collect_artifacts(ticket_id, phase, session=session)
        if over:
            error = f"{CANCELLED}the ticket went back to {over[0].value}"
            phases.end_tasks(driver_connection(session), ticket_id, over, error)


def _closed(result: PhaseGateResult) -> GateClosed:
    reasons = result.blocking_reasons or []
    facts = {
        "ticket_id": result.ticket_id,
        "result_id": result.id,
        "gate_status": result.gate_status,
        "blocking_reasons": reasons,
    }
    gate = f"the gate of {result.phase_id}"
    if result.gate_status == GateStatus.PENDING:
        return GateUnderReview(f"{gate} is being reviewed; try again when the review is decided.", **facts)
    return GateClosed(" ".join([f"{gate} is closed ({result.gate_status}).", *reasons[:1]]), **facts)


def _check_allowed(ticket_id: str, place: Place, target: Phase, request: Move) -> None:
    current = parse_phase(place.current)
    if request.force:
        reason = f"the ticket is in {target.value} already" if current is target else ""
    else:
        reason = refusal(current, place.previous, target)
    if reason:
        raise TransitionNotAllowed(
            reason, ticket_id=ticket_id, from_phase=current.value, to_phase=target.value
        )


def _gone_back_over(place: Place, target: Phase) -> tuple[Phase, ...]:
    """As `gone_back_over`; a blocked ticket is where it was blocked."""
    current = parse_phase(place.current)
    if current is Phase.BLOCKED and place.previous is not None:
        current = parse_phase(place.previous)
    return gone_back_over(current, target)


def _check_unmoved(ticket_id: str, before: Place, now: Place) -> None:
    if now != before:
        raise Conflict(
            f"somebody else moved the ticket meanwhile; it is in {now.current} now",
            ticket_id=ticket_id,
            phase_id=now.current,
        )
