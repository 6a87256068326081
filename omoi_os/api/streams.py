"""Events as they come, for clients that hold a connection open.

Nothing is queued for a client: a stream has a place in the record, and reads on when its client has taken
what was sent. A client that takes nothing is cut off, and goes on later from the last id that it has.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

import anyio.to_thread
import structlog
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.types import Message, Receive, Scope, Send

from omoi_os.api.schemas.events import event_out
from omoi_os.domain.events import EventFilter, Position, StoredEvent
from omoi_os.errors import TooManyStreams
from omoi_os.services.event_feed import OUTAGES
from omoi_os.services.event_tail import EventTail
from omoi_os.services.events import EventService

log = structlog.get_logger(__name__)

MOST: Final = 100
"""Streams of one process."""

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment shows that the connection lives."""

PATIENCE: Final = 30.0
"""Seconds in which a client must take what was sent."""

RETRY: Final = 2_000
"""Milliseconds after which a client connects again."""


class Streams:
    """The open streams of one process; `end` ends all of them."""

    def __init__(
        self,
        events: EventService,
        *,
        most: int = MOST,
        patience: float = PATIENCE,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self.events = events
        self._heartbeat = heartbeat
        self._tail = EventTail(events.db)
        self._patience = patience
        self._places = threading.Semaphore(most)

    def answer(self, after: Position | None, asked: EventFilter) -> EventStream:
        """A response that follows the record; None begins with what happens from now on.

        Raises:
            TooManyStreams: There is no place left.
        """
        place = self.events.end() if after is None else after
        if self._tail.closed or not self._places.acquire(blocking=False):
            raise TooManyStreams
        return EventStream(self._pieces(place, asked), self._patience, self._places.release)

    def end(self) -> None:
        """End all streams at once."""
        self._tail.close()

    async def _pieces(self, place: Position, asked: EventFilter) -> AsyncGenerator[bytes]:
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(news.set)

        with self._tail.followed(wake):
            # With an id of its own, so that a client that is cut off before the first event misses none.
            yield format_sse_event(id=str(place), retry=RETRY)
            while not self._tail.closed:
                news.clear()
                reached, shown = await self._next(place, asked)
                for event in shown:
                    yield _piece(event)
                if reached > place:
                    place = reached
                elif not await _within(news, self._heartbeat):
                    # The id moves on, too: who asks for rare events need not read all others again.
                    yield format_sse_event(comment="still here", id=str(place))

    async def _next(self, place: Position, asked: EventFilter) -> tuple[Position, list[StoredEvent]]:
        found = self._tail.since(place)
        if found is not None:
            reached = found[-1].position if found else place
            return reached, list(self.events.shown(found, asked))
        try:
            page = await anyio.to_thread.run_sync(self.events.page, place, asked)
        except OUTAGES as error:
            log.warning("events_not_readable", error=type(error).__name__)
            return place, []
        return page.reached, page.events


class EventStream(EventSourceResponse):
    """A stream whose client must keep up."""

    def __init__(self, pieces: AsyncGenerator[bytes], patience: float, release: Callable[[], object]) -> None:
        super().__init__(pieces, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._pieces = pieces
        self._patience = patience
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._pieces):
                await super().__call__(scope, receive, send)
        finally:
            self._release()

    async def stream_response(self, send: Send) -> None:
        async def hurried(message: Message) -> None:
            async with asyncio.timeout(self._patience):
                await send(message)

        try:
            await super().stream_response(hurried)
        except TimeoutError:
            log.info("slow_client_cut_off")


def _piece(event: StoredEvent) -> bytes:
    return format_sse_event(
        id=str(event.position), event=event.event_type, data_str=event_out(event).model_dump_json()
    )


async def _within(news: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return False
    return True
