"""What a judge adds to the rules: asked last, about the same snapshot, and never able to overrule them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID, uuid5

from omoi_os.domain.calibration import may_block
from omoi_os.domain.evidence import Unreadable
from omoi_os.domain.inputs import Inputs
from omoi_os.domain.judging import Opinion
from omoi_os.domain.policy import JudgeMode, JudgePolicy, PhasePolicy
from omoi_os.domain.verdict import Finding, Outcome, Severity
from omoi_os.evidence.snapshot import Snapshot
from omoi_os.services.calibration import CalibrationService
from omoi_os.services.context_service import ContextService
from omoi_os.services.gate.ground import wanted
from omoi_os.services.judge_question import Ground, Told, question_of
from omoi_os.services.judging import Asking, Judge, should_judge
from omoi_os.store.gates import GateInput

CONTEXT_TOKENS: Final = 4_000
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
        decides: Whether the findings count, or are only told.
    """

    asking: Asking
    opinion: Opinion | None = None
    decides: bool = True

    @property
    def findings(self) -> tuple[Finding, ...]:
        if self.opinion is not None:
            told = self.opinion.findings
            return told if self.decides else tuple(replace(item, severity=Severity.WARN) for item in told)
        return (self.asking.finding,) if self.asking.finding else ()

    def as_dict(self) -> dict[str, Any]:
        """As it is stored with the verdict; the findings stand with those of the rules."""
        told: dict[str, Any] = {"asked": self.asking.ask, "why": self.asking.why}
        if self.opinion is not None:
            told |= {key: value for key, value in self.opinion.as_dict().items() if key != "findings"}
        return told


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

    def of(
        self,
        policy: PhasePolicy,
        given: GateInput,
        ground: Ground,
        inputs: Inputs,
        rules: Sequence[Finding],
    ) -> Judged:
        """Ask, unless a rule failed or the policy wants no judge.

        Args:
            ground: What may be read.
            inputs: Of this review. The conversation is named after them, so that one that was killed goes on
                with the same evidence, and another evidence is another conversation.
        """
        asking = should_judge(policy.judge, rules, configured=self.judge.configured)
        if not asking.ask:
            return Judged(asking)
        trusted = self._is_trusted(policy.judge)
        if not trusted and policy.judge.mode is JudgeMode.REQUIRED:
            return Judged(Asking(ask=False, why=f"{NOT_CALIBRATED.found}.", finding=NOT_CALIBRATED))
        artifacts = [artifact for _, artifact in wanted(policy, given)]
        question = question_of(policy, artifacts, ground, self._told(given, policy, rules))
        named = uuid5(_REVIEWS, f"{given.ticket_id} {inputs.digest}")
        opinion = self.judge.opinion(question, ground.root, policy.judge, conversation_id=named)
        if trusted:
            return Judged(asking, opinion)
        why = f"A judge was asked, and only tells what it found: {NOT_CALIBRATED.found}."
        return Judged(replace(asking, why=why), opinion, decides=False)

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
            context=self.contexts.summarize_context(context, CONTEXT_TOKENS),
            measured=rules,
        )


def readable(source: Snapshot | Unreadable | None, base: str | None) -> Ground:
    """What a judge may read of a workspace: its snapshot, or nothing where none could be taken."""
    if not isinstance(source, Snapshot):
        return Ground()
    return Ground(source.root, lambda: source.change(base))


RULES_ALONE: Final = Judged(Asking(ask=False, why="The rules decided alone: no judge is configured."))
