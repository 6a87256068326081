"""Waits for a review, and shows how far it is."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Final

from rich.console import Console
from rich.text import Text

from omoi_os.bootstrap import Services
from omoi_os.cli.show import visible
from omoi_os.domain.reviews import Stage
from omoi_os.domain.verdict import GateStatus
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.utils.datetime import utc_now

NOBODY: Final = "no worker lives, so it waits: start one with `omoi worker`, or all of it with `omoi up`"

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 1.0


def follow(services: Services, review: PhaseGateResult, seconds: float | None) -> PhaseGateResult:
    """The review when it is decided, or as it is after so many seconds; None waits for ever.

    On standard error, a terminal shows a line that changes, and anything else one line per change.
    """
    out = Console(stderr=True, highlight=False)
    began, pause, shown = time.monotonic(), _FIRST_PAUSE, ""
    with ExitStack() as stack:
        live = stack.enter_context(out.status("")) if out.is_terminal else None
        while review.gate_status == GateStatus.PENDING:
            said = how_far(review, alone=services.fleet.look().is_stuck)
            if live is not None:
                live.update(Text(f"{said} ({_since(review)} s)"))
            elif said != shown:
                out.print(Text(said), soft_wrap=True)
            shown = said
            left = None if seconds is None else seconds - (time.monotonic() - began)
            if left is not None and left <= 0:
                break
            time.sleep(pause if left is None else min(pause, left))
            pause = min(1.25 * pause, _LONGEST_PAUSE)
            review = services.requests.find(review.id)
    return review


def how_far(review: PhaseGateResult, *, alone: bool) -> str:
    """What happens to a pending review, as a clause.

    Args:
        alone: Whether reviews wait and no worker lives.
    """
    again = f", attempt {review.attempt + 1}" if review.attempt else ""
    match review.stage:
        case Stage.MEASURING:
            return f"measuring{again}"
        case Stage.JUDGING:
            return f"the judge is at work{again}"
        case Stage.WAITING if review.retry_at is not None and not alone:
            return visible(f"waits until {review.retry_at:%H:%M:%S}Z ({review.waits_for}){again}")
        case Stage.QUEUED | Stage.WAITING:
            return f"{NOBODY}{again}" if alone else f"waits for a worker{again}"
        case _:
            return "another process reviews it"


def _since(review: PhaseGateResult) -> int:
    """Seconds since it was asked for; for people, so two clocks may differ a little."""
    if review.requested_at is None:
        return 0
    return max(0, int((utc_now() - review.requested_at).total_seconds()))
