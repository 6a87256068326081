from __future__ import annotations

from datetime import datetime
from math import ceil
from typing import Annotated, Final

from pydantic import AliasPath, Field

from omoi_os.api.schemas.base import Answer
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.utils.datetime import utc_now

SOON: Final = 2
LATE: Final = 300
"""Seconds between which a caller of a pending review should look again."""

type Told = Annotated[str | None, Field(description="What the last attempt came to, where it goes on later.")]


class ReviewProgress(Answer):
    """How far a pending review is."""

    stage: Annotated[str | None, Field(description="queued, measuring, judging or waiting.")]
    attempt: Annotated[int, Field(description="How many attempts came to nothing.")]
    waits_for: Told
    retry_at: datetime | None
    requested_at: datetime | None
    cause: Annotated[
        str | None, Field(description="phase_completed, work_failed, evidence_changed or request.")
    ]


class RunningReview(ReviewProgress):
    """The review of a gate that is not decided yet."""

    id: str


class ReviewRow(ReviewProgress):
    """A review in a list, pending or decided; `GET /reviews/{id}` tells what it found."""

    id: str
    ticket_id: str
    phase_id: str
    gate_status: str
    code: Annotated[str | None, Field(validation_alias=AliasPath("validation_result", "code"))] = None
    asked_by: Annotated[str | None, Field(validation_alias="validated_by")]
    force: bool
    carry_on: Annotated[bool, Field(description="Whether the policy's next thing follows the verdict.")]
    followed_at: datetime | None
    validated_at: datetime | None


class ReviewList(Answer):
    """Reviews, the newest first."""

    reviews: list[ReviewRow]
    next_cursor: str | None


def retry_after(review: PhaseGateResult) -> int:
    """Seconds after which it makes sense to look at a pending review again."""
    if review.retry_at is None:
        return SOON
    return max(SOON, min(LATE, ceil((review.retry_at - utc_now()).total_seconds())))
