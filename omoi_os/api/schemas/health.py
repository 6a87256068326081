from __future__ import annotations

from typing import Annotated

from pydantic import Field

from omoi_os.api.schemas.base import Answer


class Health(Answer):
    """That the process answers."""

    status: str
    version: str


class Readiness(Answer):
    """That the process can do its work."""

    status: str
    database: str
    schema_revision: str
    workers: Annotated[int, Field(description="That gave a sign of life lately.")]
    pending_reviews: Annotated[int, Field(description="That are the workers' to do.")]
    oldest_review_seconds: Annotated[
        float | None, Field(description="Since the first of them was asked for.")
    ]
