"""Whether what a summary leaves out was told by a model, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from omoi_os.domain.context import Leftover
from omoi_os.judge.condense import Answer, Condenser
from omoi_os.judge.run import Host, Pace, Usage
from omoi_os.services.judging import NO_MODEL, model_of
from omoi_os.settings import Settings
from omoi_os.utils.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Condensing:
    """What came of condensing a ticket's context.

    Attributes:
        code: Stable: "condensed", or why not; that of a `RunOutcome` where the model did not answer.
        why: In a sentence.
        changed: Whether the stored summary is another one now.
        can_retry: Whether the same call may end differently without anybody changing anything.
    """

    code: str
    why: str
    changed: bool = False
    can_retry: bool = False


CONDENSED: Final = Condensing(
    "condensed", "A model condensed what the summary had no room for.", changed=True
)
NOT_ASKED_FOR: Final = Condensing("not_asked_for", "The policy does not ask for it.")
MISSING: Final = Condensing("no_model", f"The structural summary stands: {NO_MODEL}.")
ALREADY: Final = Condensing("condensed_already", "The summary is condensed already.")
NOTHING_LEFT_OUT: Final = Condensing(
    "nothing_left_out", "The summary leaves nothing out, or has no room for more."
)
OVERTAKEN: Final = Condensing(
    "changed_meanwhile", "The context changed meanwhile; the new summary stands.", can_retry=True
)


class Asked(Protocol):
    """Tells many items in a few words; the real one is `omoi_os.judge.condense.Condenser`."""

    def ask(self, leftover: Leftover, room: int) -> Answer:
        """Points of `room` tokens together."""


def condenser_of(settings: Settings, pace: Pace | None = None) -> Condenser | None:
    """The model that the settings name, called no quicker than `pace` lets it; None where they name none."""
    if (model := model_of(settings, pace)) is None:
        return None
    host = Host(settings.judge_host, settings.judge_host_key) if settings.judge_host else None
    return Condenser(model, Tokens(settings.encoding), host)


def unanswered(answer: Answer) -> Condensing:
    """Why an answer left the summary as it was."""
    if answer.points:
        return Condensing("nothing_usable", "The structural summary stands: no point could be used.")
    why = f"The structural summary stands: {(answer.detail or answer.outcome).rstrip('.')}."
    return Condensing(answer.outcome.value, why, can_retry=answer.outcome.can_retry)


def as_payload(used: Usage) -> dict[str, Any]:
    """What the call used up, for the event."""
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "cost_usd": used.cost_usd,
        "llm_calls": used.llm_calls,
        "wall_seconds": round(used.wall_seconds, 3),
    }
