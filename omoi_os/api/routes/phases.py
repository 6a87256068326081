from __future__ import annotations

from fastapi import APIRouter

from omoi_os.api.dependencies import PhaseQuery, ServicesNow
from omoi_os.api.schemas.gates import FindingOut, GateResultOut, GateStatusOut
from omoi_os.api.strict import StrictRoute
from omoi_os.bootstrap import Services
from omoi_os.models.phase_gate_result import PhaseGateResult

router = APIRouter(prefix="/tickets", tags=["gates"], route_class=StrictRoute)


@router.post("/{ticket_id}/validate-gate", operation_id="validateGate")
def validate_gate(ticket_id: str, services: ServicesNow, phase_id: PhaseQuery = None) -> GateResultOut:
    """Review the phase now: measure its evidence, decide, and record the verdict."""
    phase = _current_phase(services, ticket_id) if phase_id is None else phase_id
    return answer_of(services.gates.validate_gate(ticket_id, phase))


@router.get("/{ticket_id}/gate-status", operation_id="getGateStatus")
def gate_status(ticket_id: str, services: ServicesNow, phase_id: PhaseQuery = None) -> GateStatusOut:
    """What the gate has and lacks, and how the last review ended; nothing is measured."""
    phase = _current_phase(services, ticket_id) if phase_id is None else phase_id
    return GateStatusOut(**services.gates.check_gate_requirements(ticket_id, phase))


def _current_phase(services: Services, ticket_id: str) -> str:
    return services.tickets.get(ticket_id).phase_id


def answer_of(result: PhaseGateResult) -> GateResultOut:
    """The response for a recorded verdict; built without validating what we wrote ourselves."""
    details = result.validation_result or {}
    return GateResultOut.model_construct(
        gate_status=result.gate_status,
        requirements_met=result.gate_status == "passed",
        blocking_reasons=result.blocking_reasons or [],
        result_id=result.id,
        phase_id=result.phase_id,
        code=details.get("code"),
        findings=[FindingOut.model_construct(**finding) for finding in details.get("findings", [])],
        validated_at=result.validated_at,
    )
