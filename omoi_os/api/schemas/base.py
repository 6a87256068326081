from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """A request's body: unknown fields are errors, so that a typing mistake is not lost silently."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """A response's body, read from an object's attributes."""

    model_config = ConfigDict(from_attributes=True)
