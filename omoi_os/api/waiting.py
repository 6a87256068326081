"""Requests that wait for the verdict of a review: none occupies a thread, and their number is bounded."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, cast

from fastapi import Depends, Query, Request
from fastapi.concurrency import run_in_threadpool

from omoi_os.domain.verdict import GateStatus
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.review_requests import ReviewRequests

LONGEST_WAIT: Final = 60
"""Seconds; proxies and clients give up soon after."""

MOST: Final = 200
"""Requests of one process that wait at a time."""

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 1.0

type WaitQuery = Annotated[
    float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the verdict of a pending review.")
]


class Waiting:
    """The requests of one process that wait; `end` answers all of them.

    Args:
        most: Where so many wait already, a request is answered at once.
    """

    def __init__(self, requests: ReviewRequests, *, most: int = MOST) -> None:
        self.requests = requests
        self.most = most
        self._waiting = 0
        self._ended = False

    async def verdict(self, review: PhaseGateResult, seconds: float, request: Request) -> PhaseGateResult:
        """The review when it is decided, or as it is after so many seconds, or when nobody waits any more."""
        if self._waiting >= self.most:
            return review
        self._waiting += 1
        try:
            return await self._watch(review, seconds, request)
        finally:
            self._waiting -= 1

    def end(self) -> None:
        """Answer whoever waits, within a second."""
        self._ended = True

    async def _watch(self, review: PhaseGateResult, seconds: float, request: Request) -> PhaseGateResult:
        loop = asyncio.get_running_loop()
        ends, pause = loop.time() + seconds, _FIRST_PAUSE
        while review.gate_status == GateStatus.PENDING and (left := ends - loop.time()) > 0:
            if self._ended or await request.is_disconnected():
                break
            await asyncio.sleep(min(pause, left))
            pause = min(1.25 * pause, _LONGEST_PAUSE)
            review = await run_in_threadpool(self.requests.find, review.id)
        return review


async def get_waiting(request: Request) -> Waiting:
    """The one of the process."""
    return cast("Waiting", request.app.state.waiting)


type WaitingNow = Annotated[Waiting, Depends(get_waiting)]
