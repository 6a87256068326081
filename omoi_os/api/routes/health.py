from __future__ import annotations

from fastapi import APIRouter

from omoi_os import __version__
from omoi_os.api.dependencies import ServicesNow
from omoi_os.api.schemas.health import Health, Readiness
from omoi_os.api.strict import StrictRoute

router = APIRouter(tags=["health"], route_class=StrictRoute)


@router.get("/health", operation_id="getHealth")
async def health() -> Health:
    """Whether the process answers; it asks nothing of the database, and needs no free thread."""
    return Health(status="ok", version=__version__)


@router.get("/ready", operation_id="getReadiness")
def ready(services: ServicesNow) -> Readiness:
    """Whether the database answers and has this version's schema; 503 otherwise. Also how many workers live,
    and for how long the oldest review has been pending."""
    revision, fleet = services.db.check_ready(), services.fleet.look()
    return Readiness(
        status="ready",
        database="ok",
        schema_revision=revision,
        workers=fleet.workers,
        pending_reviews=fleet.reviews,
        oldest_review_seconds=fleet.oldest_seconds,
    )
