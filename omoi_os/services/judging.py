"""Who judges what no rule can measure, when it is asked at all, and what two judges have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol, Self
from uuid import UUID, uuid4, uuid5

from pydantic import SecretStr

from omoi_os.domain.judging import JudgeQuestion, JudgeUsage, Opinion, agreed, no_opinion
from omoi_os.domain.policy import JudgeMode, JudgePolicy
from omoi_os.domain.verdict import Finding, Outcome
from omoi_os.judge.examine import Examiner
from omoi_os.judge.executor import stop_run
from omoi_os.judge.prompts import PromptSet
from omoi_os.judge.run import Host, Limits, Model, Pace
from omoi_os.settings import Settings
from omoi_os.utils.tokens import Tokens

NO_MODEL: Final = "no model is configured: OMOI_JUDGE_MODEL is not set"

JUDGE_MISSING: Final = Finding(
    "judge",
    Outcome.UNKNOWN,
    "judge_missing",
    NO_MODEL,
    "a judge's opinion, which the policy requires",
    fix="Set OMOI_JUDGE_MODEL and OMOI_JUDGE_API_KEY, or change the policy's judge to auto.",
)


class Judge(Protocol):
    """Says what it finds about one phase of one ticket."""

    @property
    def configured(self) -> bool:
        """Whether there is a model to ask."""

    @property
    def prompts_digest(self) -> str:
        """Of the prompts that it would use now."""

    def models(self, policy: JudgePolicy) -> str:
        """The names of the models that it would ask now, as an opinion names them; "" for none."""

    def opinion(
        self,
        question: JudgeQuestion,
        root: Path | None,
        policy: JudgePolicy,
        *,
        conversation_id: UUID | None = None,
    ) -> Opinion:
        """Ask under a policy.

        Args:
            root: The snapshot that may be read; None where there is no workspace.
            conversation_id: The same again to go on with a review that was killed.
        """

    def stop(self, conversation_id: UUID) -> None:
        """End an opinion that another thread waits for; it comes to nothing, and costs no more."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Whether a judge is asked.

    Attributes:
        why: The reason, as a sentence for the result.
        finding: What holds the gate where a judge is required and there is none.
    """

    ask: bool
    why: str
    finding: Finding | None = None


def should_judge(policy: JudgePolicy, findings: Sequence[Finding], *, configured: bool) -> Asking:
    """Whether to ask a judge after the rules. A failed rule cannot be overruled, so none is paid for then."""
    if policy.mode is JudgeMode.OFF:
        return Asking(ask=False, why="The policy asks for no judge: the rules decided alone.")
    if any(finding.holds_gate and finding.outcome is Outcome.FAIL for finding in findings):
        return Asking(ask=False, why="A rule failed, so no judge was asked.")
    if configured:
        return Asking(ask=True, why="A judge was asked.")
    if policy.mode is JudgeMode.REQUIRED:
        why = f"The policy requires a judge, and {NO_MODEL}."
        return Asking(ask=False, why=why, finding=JUDGE_MISSING)
    return Asking(ask=False, why=f"The rules decided alone: {NO_MODEL}.")


@dataclass(frozen=True, slots=True)
class AgentJudge:
    """The real one: an OpenHands agent that reads, one conversation for each opinion.

    Attributes:
        model: None where nothing is configured: every opinion is inconclusive then.
        limits: Instead of the policy's.
        transcripts: Folder in which conversations are kept; None keeps none.
    """

    model: Model | None
    prompts: PromptSet = field(default_factory=PromptSet.load)
    limits: Limits | None = None
    host: Host | None = None
    transcripts: Path | None = None
    tokens: Tokens = field(default_factory=Tokens)

    @classmethod
    def opened(cls, settings: Settings, pace: Pace | None = None) -> Self:
        """The judge that the settings describe.

        Args:
            pace: Who says when a call of its model may go; None lets each go at once.

        Raises:
            PromptsInvalid: The team's folder of prompts cannot be used.
        """
        host = Host(settings.judge_host, settings.judge_host_key) if settings.judge_host else None
        prompts = PromptSet.load(settings.prompts)
        return cls(
            model_of(settings, pace),
            prompts,
            host=host,
            transcripts=settings.transcripts,
            tokens=Tokens(settings.encoding),
        )

    @property
    def configured(self) -> bool:
        return self.model is not None

    @property
    def prompts_digest(self) -> str:
        return self.prompts.digest

    def models(self, policy: JudgePolicy) -> str:
        return " and ".join(dict.fromkeys(model.name for model in self._asked(policy)))

    def opinion(
        self,
        question: JudgeQuestion,
        root: Path | None,
        policy: JudgePolicy,
        *,
        conversation_id: UUID | None = None,
    ) -> Opinion:
        id_ = conversation_id or uuid4()
        models = self._asked(policy)
        if not models:
            return replace(no_opinion("misconfigured", NO_MODEL), prompts=self.prompts.digest)
        first = self._examiner(models[0], policy).opinion(question, root, id_)
        if len(models) == 1 or first.passed is None:
            # A second opinion could not change what is inconclusive.
            return first
        return agreed(first, self._examiner(models[1], policy).opinion(question, root, _second(id_)))

    def stop(self, conversation_id: UUID) -> None:
        for id_ in (conversation_id, _second(conversation_id)):
            stop_run(id_)

    def most_usd(self, policy: JudgePolicy) -> float | None:
        """What one opinion may cost; None where nothing limits it."""
        most = (self.limits or limits_of(policy)).max_cost_usd
        return None if most is None else most * len(self._asked(policy))

    def cost_of(self, opinion: Opinion) -> float | None:
        """What was paid for an opinion of this judge; None where nobody knows.

        What earlier runs of its conversation cost is settled by them. What a provider bills for calls that
        it never answered is not seen: else an outage would use up a day's budget.
        """
        costs = [self._cost(part.added) for part in opinion.parts or (opinion,)]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None

    def _cost(self, used: JudgeUsage) -> float | None:
        if used.cost_usd is not None or used.llm_calls:
            return used.cost_usd
        seen = self.host is None and self.model is not None and self.model.passes_our_wire
        return 0.0 if seen else None

    def _examiner(self, model: Model, policy: JudgePolicy) -> Examiner:
        limits = self.limits or limits_of(policy)
        return Examiner(model, limits, self.prompts, self.tokens, self.host, self.transcripts)

    def _asked(self, policy: JudgePolicy) -> list[Model]:
        if self.model is None:
            return []
        first = _named(self.model, policy.model)
        return [first, _named(first, policy.second_model)] if policy.judges > 1 else [first]


def _second(conversation_id: UUID) -> UUID:
    return uuid5(conversation_id, "second")


def limits_of(policy: JudgePolicy) -> Limits:
    """The limits of one conversation under a policy."""
    asked = policy.limits
    return Limits(
        max_iterations=asked.max_iterations,
        wall_clock_seconds=asked.wall_clock_seconds,
        max_cost_usd=asked.max_cost_usd,
        max_tokens=asked.max_tokens,
    )


def model_of(settings: Settings, pace: Pace | None = None) -> Model | None:
    """The model that the settings name, called no quicker than `pace` lets it; None where they name none."""
    if not settings.judge_model:
        return None
    return Model(
        settings.judge_model,
        settings.judge_api_key or SecretStr(""),
        settings.judge_base_url,
        settings.judge_input_price,
        settings.judge_output_price,
        pace=pace,
    )


def _named(model: Model, name: str | None) -> Model:
    """Another model behind the same address and key. Its prices are not known."""
    if name is None or name == model.name:
        return model
    return replace(model, name=name, input_cost_per_token=None, output_cost_per_token=None)
