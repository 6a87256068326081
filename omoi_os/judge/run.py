"""What is asked of an agent and what comes back: values without any of the agent's libraries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel, SecretStr

type Pace = Callable[[], Awaitable[object]]
"""Awaited before a call of a model; returns when it may go. It must not block, and may be cancelled."""


@dataclass(frozen=True, slots=True)
class Model:
    """A language model and how to reach it.

    Attributes:
        name: As litellm names it: the provider, a slash, the model. "openai/…" with a `base_url` is any
            OpenAI-compatible server, and the one kind whose replies are bounded in bytes and cleaned of an
            echoed key before the library sees them; others are bounded in time, tokens and cost alone.
        base_url: Where an OpenAI-compatible server answers; None for the provider's own address.
        input_cost_per_token: In US dollars. Without both prices a model that is not in litellm's list
            costs an unknown amount, and a limit of cost can never be reached: see `Limits`.
        reasoning_effort: None does not send one, which every server accepts.
        pace: Who says when a call may go. It is asked before each request where the wire is ours: with
            "openai/…" in this process. Elsewhere (other providers, "openai/responses/…", an agent server) it
            is asked once, before the conversation goes on.
    """

    name: str
    api_key: SecretStr
    base_url: str | None = None
    input_cost_per_token: float | None = None
    output_cost_per_token: float | None = None
    reasoning_effort: str | None = None
    pace: Pace | None = field(default=None, compare=False, repr=False)

    @property
    def passes_our_wire(self) -> bool:
        """Whether each request of a run in this process passes `judge.wire`."""
        return self.name.startswith("openai/") and not self.name.startswith("openai/responses/")


@dataclass(frozen=True, slots=True)
class Host:
    """An agent server on which conversations run; tools must be importable there."""

    url: str
    api_key: SecretStr | None = None
    working_dir: str = "workspace/project"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use up, over all its stages together.

    Attributes:
        max_iterations: Model calls, each with the tools that it asks for.
        wall_clock_seconds: From the start to the end; nothing outlives it by more than a second.
        max_cost_usd: Checked after each call, so that the last one may exceed it. Where the cost is unknown
            this limit does nothing and `max_tokens` is the one that holds.
        max_tokens: Read and written by the model, checked as the cost is.
        max_output_tokens: Written by the model in one call; None for what the model allows.
        llm_timeout_seconds: Silence that is waited for in one call.
        llm_attempts: How often one call is tried when the model is busy or away; 1 does not repeat.
        max_reply_bytes: A reply of the model that is longer is not read to its end.
        repair_turns: Messages per run that say what was wrong with a submission.
    """

    max_iterations: int = 24
    wall_clock_seconds: float = 600.0
    max_cost_usd: float | None = 1.0
    max_tokens: int | None = 1_000_000
    max_output_tokens: int | None = None
    llm_timeout_seconds: int = 120
    llm_attempts: int = 3
    max_reply_bytes: int = 4_000_000
    repair_turns: int = 2


@dataclass(frozen=True, slots=True)
class Stage[M: BaseModel]:
    """One question that ends with one typed submission.

    Attributes:
        message: What the agent is told; plain text.
        response_model: The shape of the submission. The fields `kind`, `security_risk`, `summary`,
            `structured_output` and `message` belong to the agent's own protocol and may not be used.
        accept: The problems of a submission that has the right shape, each one a sentence for the agent; an
            empty list accepts it. It runs on the event loop and must be quick.
    """

    message: str
    response_model: type[M]
    accept: Callable[[M], list[str]] = field(default=lambda _: [])


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool for the agent.

    Attributes:
        name: Under which the module registers it with the agent's library.
        module: Imported when a run begins, since tools need that library.
        params: What the tool is created with; it can be written as JSON, and is stored with the conversation.
    """

    name: str
    module: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentTask:
    """One conversation: its stages are put one after the other and see what came before.

    Attributes:
        stages: At least one. A stage is put only when the one before it was accepted.
        persistence_dir: Where the conversation is written, in plain text, while it runs. With a fixed
            `conversation_id`, a run that was killed goes on from there.
    """

    system_prompt: str
    stages: tuple[Stage[Any], ...]
    tools: tuple[ToolSpec, ...] = ()
    persistence_dir: Path | None = None
    conversation_id: UUID | None = None


class RunOutcome(StrEnum):
    """How a run ended. The values are stable codes: they are stored and shown."""

    ACCEPTED = "accepted"
    NO_SUBMISSION = "no_submission"
    REJECTED_SUBMISSION = "rejected_submission"
    STUCK = "stuck"
    ITERATION_LIMIT = "iteration_limit"
    WALL_CLOCK = "wall_clock"
    CANCELLED = "cancelled"
    BUDGET = "budget"
    TOO_LARGE = "too_large"
    REFUSED = "refused"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"
    QUOTA = "quota"
    INTERNAL = "internal"

    @property
    def can_retry(self) -> bool:
        """Whether the same task may end differently without anybody changing anything."""
        return self in _CAN_RETRY


_CAN_RETRY = frozenset(
    {
        RunOutcome.NO_SUBMISSION,
        RunOutcome.REJECTED_SUBMISSION,
        RunOutcome.STUCK,
        RunOutcome.ITERATION_LIMIT,
        RunOutcome.WALL_CLOCK,
        RunOutcome.CANCELLED,
        RunOutcome.RATE_LIMITED,
        RunOutcome.UNAVAILABLE,
    }
)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run used up.

    Attributes:
        cost_usd: None where no price is known: it is not zero.
        latencies: Seconds of each model call that was answered.
        repairs: Messages that said what was wrong with a submission.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = None
    latencies: tuple[float, ...] = ()
    llm_calls: int = 0
    wall_seconds: float = 0.0
    repairs: int = 0

    def since(self, before: Usage) -> Usage:
        """The calls and their cost that came after `before`, in the same conversation."""
        calls = self.llm_calls - before.llm_calls
        return Usage(cost_usd=_cost_since(self.cost_usd, before.cost_usd or 0.0, calls), llm_calls=calls)


def _cost_since(now: float | None, before: float, calls: int) -> float | None:
    # Known prices only are added up: calls that added nothing have none.
    if now is None or (calls and now <= before):
        return None
    return now - before


@dataclass(frozen=True, slots=True)
class AgentRun:
    """How a conversation ended.

    Attributes:
        values: The accepted submissions, one per stage and in its order; shorter than the stages unless the
            outcome is `accepted`.
        detail: Why it is not accepted, for a person, without secrets and on one line.
        usage: Of the conversation, in all runs that worked on it; `added` is what this one added to it.
        transcript: The folder of the conversation's events; None where nothing was kept.
    """

    outcome: RunOutcome
    values: tuple[BaseModel, ...]
    detail: str
    usage: Usage
    added: Usage
    conversation_id: UUID
    transcript: Path | None = None

    @property
    def accepted(self) -> bool:
        return self.outcome is RunOutcome.ACCEPTED

    def value[M: BaseModel](self, index: int, stage: Stage[M]) -> M:
        """The submission of the stage at `index`, with its type.

        Raises:
            LookupError: That stage was not accepted.
        """
        if index >= len(self.values):
            raise LookupError(f"stage {index} of this run was not accepted ({self.outcome})")
        value = self.values[index]
        if not isinstance(value, stage.response_model):
            raise LookupError(f"stage {index} of this run submitted another type")
        return value
