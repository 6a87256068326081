"""The shapes in which a judge answers. They go to the model as they are, with their descriptions."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

LONGEST_QUOTE = 2_000
_MOST_ANSWERS = 500


class AnswerKind(StrEnum):
    """What a judge can say of a criterion."""

    MET = "met"
    NOT_MET = "not_met"
    CANNOT_TELL = "cannot_tell"


class ClaimKind(StrEnum):
    """What a judge can say of a worker's claim."""

    TRUE = "true"
    FALSE = "false"
    CANNOT_TELL = "cannot_tell"


class _Quoted(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    quote: str = Field(
        default="",
        max_length=LONGEST_QUOTE,
        description="Copied letter by letter from one place of the evidence, no line numbers; else empty.",
    )
    where: str = Field(
        default="",
        max_length=4_096,
        description="The artifact's name, or the file's path, in which the quote stands; else empty.",
    )
    no_quote_because: str = Field(
        default="",
        max_length=1_000,
        description="Where a shortcoming leaves nothing to quote: what you looked for, and where.",
    )
    reasoning: str = Field(min_length=1, max_length=1_000, description="Why, in one or two sentences.")


class Answer(_Quoted):
    """What a judge says of one criterion."""

    criterion: str = Field(max_length=200, description="The criterion's id.")
    answer: AnswerKind


class ClaimAnswer(_Quoted):
    """What a judge says of one claim."""

    claim: str = Field(max_length=200, description="The claim's id.")
    answer: ClaimKind


class _Submission(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    # A submission that an artifact holds ready to be copied cannot know it.
    review: str = Field(max_length=100, description="The code of this review, as your instructions give it.")


class Examination(_Submission):
    """The first submission: one answer for each criterion."""

    answers: list[Answer] = Field(max_length=_MOST_ANSWERS)


class ClaimCheck(_Submission):
    """The second submission: one answer for each claim."""

    claims: list[ClaimAnswer] = Field(max_length=_MOST_ANSWERS)
