"""What is written down with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from omoi_os.domain.convergence import converge
from omoi_os.domain.inputs import Inputs, digest_of
from omoi_os.domain.policy import PhasePolicy, demand_digest
from omoi_os.domain.verdict import Finding, Outcome, Verdict, decide
from omoi_os.domain.waivers import Waiver
from omoi_os.services.gate.ground import Ground
from omoi_os.services.gate.judged import Judged, JudgeTerms
from omoi_os.store.gates import GateInput

RESTLESS: Final = Finding(
    "evidence",
    Outcome.UNKNOWN,
    "evidence_changed",
    "it changed during every attempt to measure it",
    "evidence that holds still while it is measured",
    fix="Wait until the workers are done and validate again.",
)
ABANDONED: Final = Finding(
    "review",
    Outcome.UNKNOWN,
    "review_abandoned",
    "the process that reviewed did not come to an end",
    "a review that ends",
    fix="Validate again.",
)


def inputs_of(
    policy: PhasePolicy,
    given: GateInput,
    ground: Ground,
    waivers: Sequence[Waiver],
    judge: JudgeTerms = JudgeTerms(),  # noqa: B008 frozen
) -> Inputs:
    """The digests of what is there."""
    tasks = given.tasks
    # All that the finding says of them, and no more: who has a task is nothing to review again for.
    named = sorted((task.id, task.has_failed) for task in tasks.open_tasks)
    open_ones = [tasks.any_task, tasks.open_count, named]
    return Inputs(
        artifacts={
            item.type: digest_of([item.path, item.digest, item.broken]) for item in given.artifacts.values()
        },
        policy=demand_digest(policy),
        workspace=ground.workspace,
        base=ground.base,
        tasks=digest_of(open_ones) if policy.tasks_must_be_completed else None,
        prompts=judge.prompts,
        model=judge.model,
        waivers=tuple(sorted(waiver.id for waiver in waivers)),
    )


def covering(
    policy: PhasePolicy,
    given: GateInput,
    ground: Ground,
    judge: JudgeTerms = JudgeTerms(),  # noqa: B008 frozen
) -> tuple[Waiver, ...]:
    """The waivers that were given for exactly what is there now."""
    if not given.waivers:
        return ()
    now = inputs_of(policy, given, ground, (), judge)
    return tuple(waiver for waiver in given.waivers if waiver.covers(now))


@dataclass(frozen=True, slots=True)
class Basis:
    """What a verdict was reached on.

    Attributes:
        waivers: Those that cover it, whether or not a finding needed them.
        policy_digest: Of the whole policy in force.
    """

    given: GateInput
    inputs: Inputs
    waivers: Sequence[Waiver]
    policy_digest: str


def details_of(verdict: Verdict, basis: Basis, judged: Judged) -> dict[str, Any]:
    """The JSON of a verdict: findings, what they were found in, and how they developed."""
    used = {finding.waiver for finding in verdict.findings if finding.waiver}
    latest = basis.given.latest
    return {
        "code": verdict.code,
        "findings": [finding.as_dict() for finding in verdict.findings],
        "reviewed": _reviewed(basis.given),
        "inputs": basis.inputs.as_dict(),
        "policy": basis.policy_digest,
        "judge": judged.as_dict(),
        "feedback": judged.feedback,
        "waivers": [waiver.as_dict() for waiver in basis.waivers if waiver.id in used],
        "convergence": converge(latest.findings if latest else (), verdict.findings).as_dict(),
    }


def without_evidence(finding: Finding) -> tuple[Verdict, dict[str, Any]]:
    """A verdict that was reached on nothing, and its JSON."""
    verdict = decide([finding])
    return verdict, {"code": verdict.code, "findings": [finding.as_dict()], "reviewed": []}


def _reviewed(given: GateInput) -> list[dict[str, str | None]]:
    return [
        {"type": item.type, "id": item.id, "path": item.path, "digest": item.digest}
        for item in sorted(given.artifacts.values(), key=lambda artifact: artifact.type)
    ]
