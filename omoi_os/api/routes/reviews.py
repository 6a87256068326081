"""Reviews that somebody asks for: over at once where rules decide, pending where a worker has to."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from omoi_os.api.dependencies import API_ACTOR, CursorQuery, LimitQuery, PhaseQuery, ServicesNow
from omoi_os.api.problems import pending_headers
from omoi_os.api.schemas.gates import GateResultOut, answer_of
from omoi_os.api.schemas.reviews import ReviewList, ReviewRow, retry_after
from omoi_os.api.strict import StrictRoute
from omoi_os.api.waiting import WaitingNow, WaitQuery
from omoi_os.bootstrap import Services
from omoi_os.domain.verdict import GateStatus
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.review_requests import Asked

validation = APIRouter(prefix="/tickets", tags=["gates"], route_class=StrictRoute)
router = APIRouter(prefix="/reviews", tags=["gates"], route_class=StrictRoute)

_PENDING: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "model": GateResultOut,
        "description": "The review is pending: a worker does it.",
        "headers": {
            "Location": {"description": "Where it is.", "schema": {"type": "string"}},
            "Retry-After": {"description": "Seconds to wait first.", "schema": {"type": "integer"}},
        },
    }
}

type ForceQuery = Annotated[bool, Query(description="Measure anew even if nothing changed.")]
type CarryOnQuery = Annotated[
    bool, Query(description="Have the policy's next thing follow: the ticket moves on, or gets a task.")
]
type KeyHeader = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="Your name for this request: said again, it gets the same review.",
    ),
]


@validation.post("/{ticket_id}/validate-gate", operation_id="validateGate", responses=_PENDING)
async def validate_gate(
    ticket_id: str,
    request: Request,
    response: Response,
    services: ServicesNow,
    waiting: WaitingNow,
    phase_id: PhaseQuery = None,
    force: ForceQuery = False,  # noqa: FBT002
    wait: WaitQuery = 0,
    carry_on: CarryOnQuery = False,  # noqa: FBT002
    idempotency_key: KeyHeader = None,
) -> GateResultOut:
    """Review the phase: measure its evidence, decide by the rules, and record the verdict; where nothing
    changed since the last one, that answers. Where a judge has to be asked a worker does that: the answer is
    202 with `gate_status` "pending", unless the verdict comes within `wait` seconds."""
    asked = Asked(API_ACTOR, carry_on=carry_on, force=force, key=idempotency_key)
    result = await run_in_threadpool(_validate, services, ticket_id, phase_id, asked)
    result = await waiting.verdict(result, wait, request)
    if result.gate_status == GateStatus.PENDING:
        response.status_code = HTTPStatus.ACCEPTED
        response.headers.update(pending_headers(result.id, retry_after(result)))
    return answer_of(result)


@router.get("", operation_id="listReviews")
def list_reviews(
    services: ServicesNow,
    ticket_id: Annotated[str | None, Query(max_length=200)] = None,
    phase_id: Annotated[str | None, Query(max_length=60)] = None,
    status: Annotated[
        str | None, Query(max_length=50, description="pending, passed, failed or inconclusive.")
    ] = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> ReviewList:
    """List reviews, pending and decided, the newest first."""
    page = services.requests.list(
        ticket_id=ticket_id, phase_id=phase_id, status=status, limit=limit, cursor=cursor
    )
    return ReviewList(
        reviews=[ReviewRow.model_validate(review) for review in page.reviews], next_cursor=page.next_cursor
    )


@router.get("/{review_id}", operation_id="getReview")
async def get_review(
    review_id: str,
    request: Request,
    response: Response,
    services: ServicesNow,
    waiting: WaitingNow,
    wait: WaitQuery = 0,
) -> GateResultOut:
    """How far a review is, or what it decided."""
    review = await run_in_threadpool(services.requests.find, review_id)
    review = await waiting.verdict(review, wait, request)
    if review.gate_status == GateStatus.PENDING:
        response.headers["Retry-After"] = str(retry_after(review))
    return answer_of(review)


@router.post("/{review_id}/cancel", operation_id="cancelReview")
def cancel_review(review_id: str, services: ServicesNow) -> GateResultOut:
    """End a review that is not decided: it is inconclusive then. 409 where it is over."""
    return answer_of(services.requests.cancel(review_id, cancelled_by=API_ACTOR))


def _validate(services: Services, ticket_id: str, phase_id: str | None, asked: Asked) -> PhaseGateResult:
    result = services.requests.validate(ticket_id, phase_id, asked)
    if asked.carry_on:
        services.consequences.follow(result.id)
    return result
