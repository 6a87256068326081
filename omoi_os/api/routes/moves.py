from __future__ import annotations

from fastapi import APIRouter

from omoi_os.api.dependencies import API_ACTOR, CursorQuery, LimitQuery, PhaseQuery, ServicesNow
from omoi_os.api.schemas.gates import TicketWaiver
from omoi_os.api.schemas.moves import (
    HistoryList,
    HistoryOut,
    TransitionIn,
    TransitionOut,
    ValidTransitions,
)
from omoi_os.api.schemas.tasks import GeneratedTask
from omoi_os.api.strict import StrictRoute
from omoi_os.domain.templates import work_phase
from omoi_os.services.phase_service import Move

router = APIRouter(prefix="/tickets", tags=["phases"], route_class=StrictRoute)


@router.post("/{ticket_id}/transition", operation_id="transitionTicket")
def transition_ticket(ticket_id: str, body: TransitionIn, services: ServicesNow) -> TransitionOut:
    """Move a ticket. A forward move out of a gated phase reviews its gate first, and is refused with 409,
    the code `gate_closed` and the blocking reasons where it does not pass. Nobody can force a move here:
    that is the operator's, on the command line."""
    made = services.phases.move(ticket_id, Move(body.to_phase, body.reason, API_ACTOR))
    return TransitionOut(
        ticket_id=ticket_id,
        previous_phase=made.from_phase,
        current_phase=made.to_phase,
        transitioned_at=made.moved_at,
        transitioned_by=made.moved_by,
    )


@router.get("/{ticket_id}/phase-history", operation_id="getPhaseHistory")
def phase_history(
    ticket_id: str, services: ServicesNow, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> HistoryList:
    """List the moves of a ticket, the first one first, forced ones marked; the first page also has what was
    waived on its way."""
    current = services.phases.get_current_phase(ticket_id)
    page = services.tickets.history(ticket_id, limit=limit, cursor=cursor)
    waived = services.waivers.of_ticket(ticket_id) if cursor is None else []
    return HistoryList(
        ticket_id=ticket_id,
        current_phase=current,
        history=[HistoryOut.model_validate(move) for move in page.moves],
        waivers=[TicketWaiver.model_validate(item) for item in waived],
        next_cursor=page.next_cursor,
    )


@router.get("/{ticket_id}/valid-transitions", operation_id="getValidTransitions")
def valid_transitions(ticket_id: str, services: ServicesNow) -> ValidTransitions:
    """Where a ticket may go, as far as the map knows; its gate may still be closed."""
    return ValidTransitions(
        ticket_id=ticket_id,
        current_phase=services.phases.get_current_phase(ticket_id),
        valid_transitions=[phase.value for phase in services.phases.valid_moves(ticket_id)],
    )


@router.post("/{ticket_id}/generate-tasks", operation_id="generateTasks")
def generate_tasks(ticket_id: str, services: ServicesNow, phase_id: PhaseQuery = None) -> list[GeneratedTask]:
    """Make the tasks of a phase from its templates; those that are there already are not made again, and
    not in the answer. 422 where nothing is worked on in the phase."""
    ticket = services.tickets.get(ticket_id)
    phase = work_phase(ticket.phase_id if phase_id is None else phase_id)
    tasks = services.generator.generate_phase_tasks(ticket.id, phase)
    return [GeneratedTask.model_validate(task) for task in tasks]
