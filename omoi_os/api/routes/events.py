from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response

from omoi_os.api.dependencies import ServicesNow
from omoi_os.api.schemas.events import EventList, event_out
from omoi_os.api.streams import Streams
from omoi_os.api.strict import StrictRoute
from omoi_os.domain.events import BEGINNING, event_filter, read_position

router = APIRouter(prefix="/events", tags=["events"], route_class=StrictRoute)

STREAM = "text/event-stream"
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page, or a stream for clients that name text/event-stream in Accept",
        "content": {STREAM: {"schema": {"type": "string"}}},
    }
}


@router.get("", operation_id="listEvents", response_model=EventList, responses=_ANSWERS)
def list_events(
    request: Request,
    services: ServicesNow,
    ticket_id: Annotated[str | None, Query(description="Only events about this ticket.")] = None,
    event_type: Annotated[
        list[str] | None,
        Query(description="Only events of these types; `gate.` means all that begin so."),
    ] = None,
    after: Annotated[
        str | None,
        Query(description="Go on after this cursor; 0 is the beginning."),
    ] = None,
    last_event_id: Annotated[str | None, Header(description="The same; wins over `after`.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Of a page; streams have none.")] = 100,
) -> Response:
    """What happened, in an order in which nothing is missed. With `Accept: text/event-stream` it stays open
    and sends what happens; it begins now where no cursor is given, and a page at the beginning."""
    asked = event_filter(ticket_id, event_type or ())
    cursor = last_event_id or after
    place = None if cursor is None else read_position(cursor)
    if STREAM in request.headers.get("accept", "").lower():
        streams = cast("Streams", request.app.state.streams)
        return streams.answer(place, asked)
    page = services.events.page(BEGINNING if place is None else place, asked, limit)
    body = EventList(
        events=[event_out(event) for event in page.events], next_cursor=str(page.reached), more=page.more
    )
    return JSONResponse(body.model_dump(mode="json"))
