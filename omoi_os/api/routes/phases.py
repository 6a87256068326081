from __future__ import annotations

from fastapi import APIRouter

from omoi_os.api.dependencies import PhaseQuery, ServicesNow
from omoi_os.api.schemas.gates import (
    GateResultOut,
    GateStatusOut,
    PolicyOut,
    TicketWaiver,
    TicketWaivers,
    TranscriptOut,
    Transcripts,
    answer_of,
)
from omoi_os.api.strict import StrictRoute
from omoi_os.bootstrap import Services

router = APIRouter(prefix="/tickets", tags=["gates"], route_class=StrictRoute)
results = APIRouter(prefix="/gate-results", tags=["gates"], route_class=StrictRoute)
policies = APIRouter(prefix="/policies", tags=["gates"], route_class=StrictRoute)


@router.get("/{ticket_id}/gate-status", operation_id="getGateStatus")
def gate_status(ticket_id: str, services: ServicesNow, phase_id: PhaseQuery = None) -> GateStatusOut:
    """What the gate has and lacks, how the last review ended, and how far a pending one is; nothing is
    measured."""
    phase = _current_phase(services, ticket_id) if phase_id is None else phase_id
    return GateStatusOut(**services.gates.check_gate_requirements(ticket_id, phase))


@router.get("/{ticket_id}/waivers", operation_id="listWaivers")
def list_waivers(ticket_id: str, services: ServicesNow) -> TicketWaivers:
    """All waivers of a ticket; operators give and end them on the command line."""
    given = services.waivers.of_ticket(ticket_id)
    return TicketWaivers(
        ticket_id=ticket_id, waivers=[TicketWaiver.model_validate(waiver) for waiver in given]
    )


@results.get("/{result_id}", operation_id="getGateResult")
def get_result(result_id: str, services: ServicesNow) -> GateResultOut:
    """One verdict, or a review that is running."""
    return answer_of(services.transcripts.result(result_id))


@results.get("/{result_id}/transcript", operation_id="getTranscript")
def get_transcript(result_id: str, services: ServicesNow) -> Transcripts:
    """What was said when the gate was judged."""
    found = services.transcripts.of(result_id)
    return Transcripts(
        result_id=result_id, transcripts=[TranscriptOut.model_validate(item) for item in found]
    )


@policies.get("/{digest}", operation_id="getPolicy")
def get_policy(digest: str, services: ServicesNow) -> PolicyOut:
    """A policy that decided a gate, as it was."""
    return PolicyOut(digest=digest, policy=services.gates.kept_policy(digest))


def _current_phase(services: Services, ticket_id: str) -> str:
    return services.tickets.get(ticket_id).phase_at_work
