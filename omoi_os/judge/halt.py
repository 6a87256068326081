"""One way to end a run early, whoever wants it: the clock, a limit, or the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from omoi_os.judge.run import RunOutcome


class Ended(Exception):
    """A run has ended without an accepted submission."""

    def __init__(self, outcome: RunOutcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail


@dataclass(slots=True)
class Halt:
    """Ends what is awaited in a scope. The first reason stays."""

    loop: asyncio.AbstractEventLoop
    _ended: Ended | None = None
    _scope: asyncio.Timeout | None = None
    _waits: Ended | None = None

    def stop(self, outcome: RunOutcome, detail: str) -> None:
        """End the run; callable from any thread."""
        self.loop.call_soon_threadsafe(self._stop, Ended(outcome, detail))

    def watch(self, scope: asyncio.Timeout | None) -> None:
        self._scope = scope
        self._expire()

    def check(self) -> None:
        """Ask whether the run is over: the library swallows cancellation.

        Raises:
            Ended: The run was stopped, or its time is over.
        """
        if self._ended is not None or (self._scope is not None and self._scope.expired()):
            raise self.reason()

    @contextmanager
    def waiting(self, outcome: RunOutcome, detail: str) -> Iterator[None]:
        """What the end of the time means, should it come in this block; a block that it ends leaves that."""
        self._waits = Ended(outcome, detail)
        yield
        self._waits = None

    def reason(self) -> Ended:
        """Why the scope expired."""
        return self._ended or self._waits or Ended(RunOutcome.WALL_CLOCK, "the time for the run is over")

    def _stop(self, ended: Ended) -> None:
        self._ended = self._ended or ended
        self._expire()

    def _expire(self) -> None:
        if self._ended is not None and self._scope is not None and not self._scope.expired():
            self._scope.reschedule(self.loop.time())
