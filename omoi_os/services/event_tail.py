"""The newest events, read once per process for however many clients follow them."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from omoi_os.domain.events import Position, StoredEvent
from omoi_os.services.database import DatabaseService
from omoi_os.services.event_feed import read_on

log = structlog.get_logger(__name__)

KEPT: Final = 2_000
"""Events that are kept; a client that is further behind reads from the database until it has caught up."""


class EventTail:
    """One thread and one connection, from the first follower on until `close`.

    Nothing is queued for anybody: each follower asks for what comes after its own place.
    """

    def __init__(self, db: DatabaseService, *, kept: int = KEPT) -> None:
        self.db = db
        self._events: deque[StoredEvent] = deque()
        self._kept = kept
        self._floor: Position | None = None
        self._lock = threading.Lock()
        self._followers: set[Callable[[], None]] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def closed(self) -> bool:
        return self._stop.is_set()

    @contextmanager
    def followed(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake`, from another thread, whenever there may be something new, and at the end."""
        with self._lock:
            self._followers.add(wake)
            if self._thread is None and not self.closed:
                self._thread = threading.Thread(target=self._run, name="event-tail", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._followers.discard(wake)

    def since(self, place: Position) -> list[StoredEvent] | None:
        """The events after a place; None where the tail does not reach back so far."""
        with self._lock:
            if self._floor is None or place < self._floor:
                return None
            first = bisect_right(self._events, place, key=lambda event: event.position)
            return [self._events[number] for number in range(first, len(self._events))]

    def close(self) -> None:
        """End the thread, and tell the followers; it does not wait for them."""
        self._stop.set()
        self._wake()

    def _run(self) -> None:
        while not self.closed:
            try:
                for place, found in read_on(self.db, self._end(), self._stop):
                    self._keep(place, found)
            except Exception:  # the thread must survive whatever a round meets
                log.exception("event_tail_failed")
                self._stop.wait(1.0)

    def _end(self) -> Position | None:
        return self._events[-1].position if self._events else self._floor

    def _keep(self, place: Position, found: list[StoredEvent]) -> None:
        with self._lock:
            first = self._floor is None
            if self._floor is None:
                self._floor = found[0].position if found else place
            self._events.extend(found)
            while len(self._events) > self._kept:
                self._floor = self._events.popleft().position
        if found or first:
            self._wake()

    def _wake(self) -> None:
        with self._lock:
            followers = list(self._followers)
        for wake in followers:
            wake()
