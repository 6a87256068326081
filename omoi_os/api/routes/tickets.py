from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from omoi_os.api.dependencies import API_ACTOR, CursorQuery, LimitQuery, PhaseQuery, ServicesNow
from omoi_os.api.schemas.tickets import (
    ArtifactIn,
    ArtifactOut,
    ContextOut,
    ContextUpdated,
    TicketIn,
    TicketOut,
    TicketPage,
)
from omoi_os.api.strict import StrictRoute
from omoi_os.services.context_summarizer import MAX_TOKENS
from omoi_os.services.tickets import NewArtifact, NewTicket, next_cursor

router = APIRouter(prefix="/tickets", tags=["tickets"], route_class=StrictRoute)


@router.post("", status_code=201, operation_id="createTicket")
def create_ticket(body: TicketIn, services: ServicesNow) -> TicketOut:
    """Create a ticket."""
    new = NewTicket(
        title=body.title,
        description=body.description,
        phase_id=body.phase_id,
        priority=body.priority,
        workspace=body.workspace_path,
    )
    return TicketOut.model_validate(services.tickets.create(new, created_by=API_ACTOR))


@router.get("", operation_id="listTickets")
def list_tickets(
    services: ServicesNow,
    phase_id: PhaseQuery = None,
    status: Annotated[str | None, Query(max_length=50)] = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> TicketPage:
    """List tickets, the newest first."""
    page = services.tickets.list(phase_id=phase_id, status=status, limit=limit, cursor=cursor)
    return TicketPage(
        tickets=[TicketOut.model_validate(ticket) for ticket in page.tickets], next_cursor=next_cursor(page)
    )


@router.get("/{ticket_id}", operation_id="getTicket")
def get_ticket(ticket_id: str, services: ServicesNow) -> TicketOut:
    """Get one ticket."""
    return TicketOut.model_validate(services.tickets.get(ticket_id))


@router.post("/{ticket_id}/artifacts", status_code=201, operation_id="addArtifact")
def add_artifact(
    ticket_id: str,
    services: ServicesNow,
    body: Annotated[
        dict[str, Any] | None,
        Body(
            description="`{artifact_type, artifact_path?, artifact_content?, phase_id?}`; or, where "
            "artifact_type is a query parameter, the artifact's content itself."
        ),
    ] = None,
    artifact_type: Annotated[str | None, Query(max_length=100)] = None,
    artifact_path: Annotated[str | None, Query(max_length=4096)] = None,
    phase_id: PhaseQuery = None,
) -> ArtifactOut:
    """Attach an artifact; the newest of a type is the one that is reviewed."""
    if artifact_type is not None:
        given = {"artifact_type": artifact_type, "artifact_path": artifact_path, "artifact_content": body}
        asked = _artifact({**given, "phase_id": phase_id})
    else:
        asked = _artifact(body or {})
    new = NewArtifact(
        asked.artifact_type, asked.artifact_path, asked.artifact_content, asked.phase_id or phase_id
    )
    return ArtifactOut.model_validate(services.tickets.add_artifact(ticket_id, new, collected_by=API_ACTOR))


@router.get("/{ticket_id}/context", operation_id="getTicketContext")
def get_context(
    ticket_id: str,
    services: ServicesNow,
    for_phase: Annotated[
        str | None, Query(max_length=60, description="Only what earlier phases hand on to this one.")
    ] = None,
    max_tokens: Annotated[
        int | None,
        Query(ge=0, le=1_000_000, description="Of the summary; else the stored one, or 2,000 for a phase."),
    ] = None,
) -> ContextOut:
    """What the ticket's phases hand on, whole and summed up."""
    if for_phase is not None:
        context = services.contexts.get_context_for_phase(ticket_id, for_phase)
    else:
        context, stored = services.contexts.get_ticket_context(ticket_id)
        if max_tokens is None:
            return ContextOut(ticket_id=ticket_id, full_context=context, summary=stored)
    summary = services.contexts.summarize_context(context, MAX_TOKENS if max_tokens is None else max_tokens)
    return ContextOut(ticket_id=ticket_id, full_context=context, summary=summary)


@router.post("/{ticket_id}/update-context", operation_id="updateTicketContext")
def update_context(ticket_id: str, services: ServicesNow, phase_id: PhaseQuery = None) -> ContextUpdated:
    """Merge what a phase hands on into the ticket's context; it also happens when a ticket leaves a phase."""
    phase = services.tickets.get(ticket_id).phase_at_work if phase_id is None else phase_id
    return ContextUpdated(changed=services.contexts.update_ticket_context(ticket_id, phase))


def _artifact(values: dict[str, Any]) -> ArtifactIn:
    try:
        return ArtifactIn.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError(
            [{**item, "loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
        ) from None
