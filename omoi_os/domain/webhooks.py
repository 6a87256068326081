"""What becomes of a delivery: pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class DeliveryStatus(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


DELAYS: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before the second attempt, the third, and so on: those that Standard Webhooks suggests."""

LONGEST_DELAY: Final = 86_400
GONE: Final = 410
_WAIT: Final = (429, 503)


@dataclass(frozen=True, slots=True)
class Reply:
    """How a receiver answered.

    Attributes:
        status: The HTTP status; None where there was no answer.
        error: Why there was none.
        retry_after: Seconds that it asks to be left alone.
    """

    status: int | None
    error: str = ""
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt leads to.

    Attributes:
        delay: Seconds until the next attempt; None where there is none.
        gone: The receiver wants nothing any more: the webhook is disabled.
    """

    status: DeliveryStatus
    error: str = ""
    delay: float | None = None
    gone: bool = False


def outcome_of(reply: Reply, attempt: int, chance: float = 0.0, delays: Sequence[float] = DELAYS) -> Outcome:
    """What the answer to an attempt leads to.

    Args:
        attempt: Which one of this round it was; the first is 1.
        chance: From 0 to 1; spreads the attempts of many deliveries that failed at one moment.
        delays: Seconds before the second attempt, and so on; there are so many and one.
    """
    if reply.status is not None and 200 <= reply.status < 300:
        return Outcome(DeliveryStatus.DELIVERED)
    error = reply.error or f"the receiver answered {reply.status}"
    if reply.status == GONE:
        return Outcome(DeliveryStatus.FAILED, error, gone=True)
    if attempt > len(delays):
        return Outcome(DeliveryStatus.FAILED, error)
    delay = delays[attempt - 1] * (1 + 0.1 * chance)
    if reply.status in _WAIT and reply.retry_after is not None:
        delay = max(delay, min(reply.retry_after, LONGEST_DELAY))
    return Outcome(DeliveryStatus.PENDING, error, delay)
