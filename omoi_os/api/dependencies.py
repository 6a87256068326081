"""What routes ask for."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Query, Request

from omoi_os.bootstrap import Services
from omoi_os.services.database import DatabaseService

API_ACTOR = "api"
"""Who did what came over HTTP, until keys name the caller."""

# Coroutines: FastAPI would send plain functions through a thread of their own, which costs more than they do.


async def get_services(request: Request) -> Services:
    """The services that the process opened when it started."""
    return cast("Services", request.app.state.services)


async def get_db_service(request: Request) -> DatabaseService:
    """The database of the process."""
    return (await get_services(request)).db


type ServicesNow = Annotated[Services, Depends(get_services)]
type PhaseQuery = Annotated[
    str | None,
    Query(max_length=60, description="A phase, such as PHASE_TESTING; the ticket's current one if left out."),
]
type LimitQuery = Annotated[int, Query(ge=1, le=200)]
type CursorQuery = Annotated[
    str | None, Query(max_length=400, description="`next_cursor` of the page before.")
]
