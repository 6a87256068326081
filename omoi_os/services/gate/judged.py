"""What a judge adds to the rules: asked last, about the same snapshot, and never able to overrule them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self
from uuid import UUID, uuid5

from omoi_os.domain.calibration import may_block
from omoi_os.domain.evidence import Unreadable
from omoi_os.domain.inputs import Inputs
from omoi_os.domain.judging import Opinion
from omoi_os.domain.policy import JudgeMode, JudgePolicy, PhasePolicy
from omoi_os.domain.verdict import Finding, Outcome, Severity
from omoi_os.evidence.snapshot import Snapshot
from omoi_os.judge.examine import CONTEXT_TOKENS, FENCE_TOKENS
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.calibration import CalibrationService
from omoi_os.services.context_service import ContextService
from omoi_os.services.gate.ground import wanted
from omoi_os.services.judge_question import Ground, Told, question_of
from omoi_os.services.judging import Asking, Judge, should_judge
from omoi_os.store.gates import GateInput

_CONTEXT_TOKENS: Final = CONTEXT_TOKENS - FENCE_TOKENS
NOT_CALIBRATED: Final = Finding(
    "judge",
    Outcome.UNKNOWN,
    "judge_not_calibrated",
    "no trial shows that this model with these prompts passes wrong work as seldom as the policy asks",
    "a calibration within the policy's max_wrong_passes",
    fix="Run `omoi judge calibrate` with labelled cases.",
)
_REVIEWS: Final = UUID("2a4b4d5e-8f0c-4f43-9d3f-6b1f1c2f7a10")


@dataclass(frozen=True, slots=True)
class JudgeTerms:
    """Under which prompts and model a gate is judged; None where no judge would be asked."""

    prompts: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of asking, or why nobody was asked.

    Attributes:
        findings: Those that stand beside the rules'; only told where nobody trusts the judge yet.
        told: What is stored with the verdict beside them.
    """

    findings: tuple[Finding, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def unasked(cls, asking: Asking) -> Self:
        """Nobody was asked."""
        findings = (asking.finding,) if asking.finding else ()
        return cls(findings, {"asked": False, "why": asking.why})

    @classmethod
    def of(cls, opinion: Opinion, why: str, *, decides: bool) -> Self:
        """Somebody was; what an opinion that does not decide says is only told."""
        told = {key: value for key, value in opinion.as_dict().items() if key != "findings"}
        findings = opinion.findings
        if not decides:
            findings = tuple(replace(item, severity=Severity.WARN) for item in findings)
        return cls(findings, {"asked": True, "why": why, **told})

    @property
    def feedback(self) -> str | None:
        """The opinion in a few lines, for people."""
        return self.told.get("feedback")

    @property
    def can_retry(self) -> bool:
        """Whether asking again may help although nobody changes anything."""
        return bool(self.told.get("can_retry"))

    def as_dict(self) -> dict[str, Any]:
        """As it is stored with the verdict; the findings stand with those of the rules."""
        return dict(self.told)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any], findings: Iterable[Mapping[str, str]]) -> Self:
        """What `as_dict` wrote, and its findings."""
        return cls(tuple(map(Finding.from_dict, findings)), told)


@dataclass(frozen=True, slots=True)
class Judging:
    """A judge, what it is told of a ticket, and how often it was wrong in trials."""

    judge: Judge
    contexts: ContextService
    calibrations: CalibrationService

    def terms(self, policy: JudgePolicy) -> JudgeTerms:
        """What an opinion under `policy` would depend on."""
        if policy.mode is JudgeMode.OFF or not self.judge.configured:
            return JudgeTerms()
        return JudgeTerms(self.judge.prompts_digest, self.judge.models(policy))

    def would_ask(self, policy: JudgePolicy) -> bool:
        """Whether a judge is asked if no rule fails."""
        return policy.mode is not JudgeMode.OFF and self.judge.configured

    def unasked(self, policy: PhasePolicy, rules: Sequence[Finding]) -> Judged | None:
        """Why no judge is asked: a rule failed, or the policy wants none. None where one is."""
        asking = should_judge(policy.judge, rules, configured=self.judge.configured)
        if not asking.ask:
            return Judged.unasked(asking)
        if policy.judge.mode is JudgeMode.REQUIRED and not self._is_trusted(policy.judge):
            return Judged.unasked(Asking(ask=False, why=f"{NOT_CALIBRATED.found}.", finding=NOT_CALIBRATED))
        return None

    def ask(
        self,
        policy: PhasePolicy,
        given: GateInput,
        ground: Ground,
        rules: Sequence[Finding],
        conversation_id: UUID | None,
    ) -> Judged:
        """Ask, where `unasked` knows no reason against it.

        Args:
            ground: What may be read.
            conversation_id: From `conversation_of`; None for one that nobody will go on with.
        """
        artifacts = [artifact for _, artifact in wanted(policy, given)]
        question = question_of(policy, artifacts, ground, self._told(given, policy, rules))
        opinion = self.judge.opinion(question, ground.root, policy.judge, conversation_id=conversation_id)
        if self._is_trusted(policy.judge):
            return Judged.of(opinion, "A judge was asked.", decides=True)
        why = f"A judge was asked, and only tells what it found: {NOT_CALIBRATED.found}."
        return Judged.of(opinion, why, decides=False)

    def stop(self, conversation_id: UUID) -> None:
        """End a conversation, if it runs in this process: nothing more is paid."""
        self.judge.stop(conversation_id)

    def _is_trusted(self, policy: JudgePolicy) -> bool:
        if policy.max_wrong_passes is None:
            return True
        models = self.judge.models(policy)
        wrong = self.calibrations.wrong_passes(models, self.judge.prompts_digest)
        return may_block(policy.max_wrong_passes, wrong)

    def _told(self, given: GateInput, policy: PhasePolicy, rules: Sequence[Finding]) -> Told:
        context = self.contexts.get_context_for_phase(given.ticket_id, policy.phase)
        return Told(
            title=given.title,
            description=given.description,
            context=self.contexts.summarize_context(context, _CONTEXT_TOKENS),
            measured=rules,
        )


def readable(source: Snapshot | Unreadable | None, base: str | None) -> Ground:
    """What a judge may read of a workspace: its snapshot, or nothing where none could be taken."""
    if not isinstance(source, Snapshot):
        return Ground()
    return Ground(source.root, lambda: source.change(base))


def conversation_of(review: PhaseGateResult, inputs: Inputs) -> UUID:
    """The name of the conversation about these inputs in the present attempt of a review.

    One that was killed, or that an outage ended, goes on. An attempt that counted is over, and so is its
    conversation: asked again, that would only give the same answer.
    """
    return uuid5(_REVIEWS, f"{review.id} {review.attempt} {inputs.digest}")


RULES_ALONE: Final = Judged.unasked(Asking(ask=False, why="The rules decided alone: no judge is configured."))
