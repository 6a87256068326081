"""The HTTP application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI

from omoi_os import __version__
from omoi_os.api import problems
from omoi_os.api.document import DocumentedApi
from omoi_os.api.origin import LocalOnly
from omoi_os.api.routes import agents, events, health, moves, phases, reviews, tasks, tickets
from omoi_os.api.streams import Streams
from omoi_os.api.waiting import Waiting
from omoi_os.bootstrap import Services


def create_app(services: Services) -> FastAPI:
    """The application on services that are open; the caller closes them after it."""
    app = DocumentedApi(
        title="OmoiOS",
        version=__version__,
        summary="Finds out whether work that a coding agent calls done is done.",
        lifespan=_lifespan,
    )
    app.state.services = services
    app.state.waiting = Waiting(services.requests)
    app.state.streams = Streams(services.events)
    app.add_middleware(LocalOnly)
    problems.install(app)
    for module in (health, tickets, phases, reviews, moves, tasks, agents, events):
        app.include_router(module.router, prefix="/api/v1")
    for router in (reviews.validation, phases.results, phases.policies):
        app.include_router(router, prefix="/api/v1")
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # Each request occupies a thread while it queries: more threads than connections would only wait.
    services: Services = app.state.services
    anyio.to_thread.current_default_thread_limiter().total_tokens = 2 * services.settings.pool_size
    yield
    app.state.waiting.end()
    app.state.streams.end()
