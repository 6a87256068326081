"""What a judge's findings amount to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from omoi_os.domain.judging.answers import ClaimCheck, Examination
from omoi_os.domain.verdict import Finding, GateStatus, Outcome, Severity, decide


@dataclass(frozen=True, slots=True)
class JudgeUsage:
    """What an opinion took; the sum where two were asked.

    Attributes:
        cost_usd: None where a price is not known: it is not zero.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    llm_calls: int = 0
    repairs: int = 0
    wall_seconds: float = 0.0

    def plus(self, other: JudgeUsage) -> JudgeUsage:
        known = self.cost_usd is not None and other.cost_usd is not None
        return JudgeUsage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            (self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
            self.llm_calls + other.llm_calls,
            self.repairs + other.repairs,
            self.wall_seconds + other.wall_seconds,
        )


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge, or two of them, found. Whether it is a pass is computed from the findings, and only so.

    Attributes:
        outcome: How the conversation ended ("accepted", "rate_limited", …).
        can_retry: Whether asking again may help although nobody changes anything.
        model: Names of the models that were asked, joined by " and ".
        prompts: Digest of the prompts.
        usage: Of the conversation in all its runs; `added` are calls and cost of the last one.
        transcript: Folder of the conversation's events; None where nothing was kept.
        examination: The answers as they were submitted; None where none were accepted.
        parts: The opinions that this one was made of, where there were two.
    """

    findings: tuple[Finding, ...]
    outcome: str = "accepted"
    can_retry: bool = False
    model: str = ""
    prompts: str = ""
    usage: JudgeUsage = JudgeUsage()
    added: JudgeUsage = JudgeUsage()
    conversation_id: str = ""
    transcript: Path | None = None
    examination: Examination | None = None
    claims: ClaimCheck | None = None
    parts: tuple[Opinion, ...] = field(default=())

    @property
    def passed(self) -> bool | None:
        """None where it is inconclusive."""
        match decide(self.findings).status:
            case GateStatus.PASSED:
                return True
            case GateStatus.FAILED:
                return False
            case _:
                return None

    @property
    def code(self) -> str | None:
        """For anything but a pass, the stable name of what decided it."""
        return decide(self.findings).code

    @property
    def blocking_reasons(self) -> list[str]:
        return [finding.sentence() for finding in decide(self.findings).blocking]

    @property
    def feedback(self) -> str:
        """The opinion in a few lines, for people."""
        judged = [finding for finding in self.findings if finding.severity is Severity.BLOCK]
        met = sum(finding.outcome is Outcome.PASS for finding in judged)
        word = {True: "passed", False: "failed", None: "inconclusive"}[self.passed]
        head = f"The judge's opinion is {word}: {met} of {len(judged)} criteria are shown to be met."
        rest = [finding.sentence() for finding in self.findings if finding.outcome is not Outcome.PASS]
        return "\n".join([head, *(f"- {sentence}" for sentence in rest)])

    def as_dict(self) -> dict[str, Any]:
        """As it is stored and shown."""
        return {
            "passed": self.passed,
            "feedback": self.feedback,
            "blocking_reasons": self.blocking_reasons,
            "code": self.code,
            "findings": [finding.as_dict() for finding in self.findings],
            "outcome": self.outcome,
            "can_retry": self.can_retry,
            "model": self.model,
            "prompts_digest": self.prompts,
            "usage": asdict(self.usage),
            "conversation_id": self.conversation_id,
            "transcript": str(self.transcript) if self.transcript else None,
            "answers": _dumped(self.examination, "answers"),
            "claims": _dumped(self.claims, "claims"),
            "opinions": [part.as_dict() for part in self.parts],
        }


def _dumped(submitted: Examination | ClaimCheck | None, name: str) -> list[Any]:
    dumped = submitted.model_dump(mode="json") if submitted else {}
    return list(dumped.get(name, []))


_FIXES: Mapping[str, str] = {
    "misconfigured": "Check OMOI_JUDGE_MODEL, OMOI_JUDGE_API_KEY and OMOI_JUDGE_BASE_URL.",
    "quota": "Raise the quota of the model's account, or name another model.",
    "budget_spent": "Wait until the budget begins anew, or raise OMOI_JUDGE_USD_PER_DAY.",
    "budget": "Raise the judge's limits of cost and tokens in the policy.",
    "iteration_limit": "Raise the judge's max_iterations in the policy.",
    "wall_clock": "Review again, or raise the judge's wall_clock_seconds in the policy.",
    "too_large": "Name a model that takes longer texts, or make the artifacts shorter.",
    "refused": "Look at the transcript for what the model refuses, or name another model.",
    "internal": "Look at the log of the worker that reviewed.",
}


def no_opinion(outcome: str, detail: str, *, can_retry: bool = False) -> Opinion:
    """The opinion of a judge that did not come to one: unknown, whatever it said before.

    Args:
        outcome: The stable code of how its run ended; it becomes the opinion's code.
        detail: Why, as a clause.
    """
    fix = _FIXES.get(outcome, "Have the phase reviewed again.")
    finding = Finding("judge", Outcome.UNKNOWN, outcome, detail or outcome, "a judge's opinion", fix=fix)
    return Opinion((finding,), outcome, can_retry)


def agreed(first: Opinion, second: Opinion) -> Opinion:
    """What two opinions have in common: where they differ, nothing is known."""
    theirs = {finding.criterion: finding for finding in second.findings}
    ours = {finding.criterion: finding for finding in first.findings}
    findings = [_common(ours.get(name), theirs.get(name)) for name in [*ours, *(theirs.keys() - ours.keys())]]
    return Opinion(
        findings=tuple(sorted(findings, key=_weight)),
        outcome=first.outcome if first.outcome != "accepted" else second.outcome,
        can_retry=first.can_retry or second.can_retry,
        model=" and ".join(_different([first.model, second.model])),
        prompts=first.prompts,
        usage=first.usage.plus(second.usage),
        conversation_id=first.conversation_id,
        transcript=first.transcript,
        examination=first.examination,
        claims=first.claims,
        parts=(first, second),
    )


def _weight(finding: Finding) -> tuple[bool, bool]:
    """That a judge came to nothing stands first and gives its code; what is only told stands last."""
    return finding.severity is Severity.WARN, finding.criterion != "judge"


def _common(first: Finding | None, second: Finding | None) -> Finding:
    known = first or second
    assert known is not None  # noqa: S101 one of the two named it
    if known.criterion == "judge" or known.severity is Severity.WARN:
        return known
    if first is None or second is None:
        found = f"only one of two judges said anything: {known.outcome}, {known.found}"
        return _unknown(known, "second_opinion_missing", found)
    if first.outcome is second.outcome:
        return first
    found = f"one judge says {_short(first)}; the other says {_short(second)}"
    return _unknown(first, "judges_disagree", found)


def _unknown(finding: Finding, code: str, found: str) -> Finding:
    fix = "Read both opinions, and attach what settles it."
    return replace(finding, outcome=Outcome.UNKNOWN, code=code, found=found, artifact="", fix=fix)


def _short(finding: Finding) -> str:
    return f"{finding.outcome} ({finding.found[:220]})"


def _different(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))
