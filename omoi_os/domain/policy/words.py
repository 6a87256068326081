"""A policy in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from omoi_os.domain.policy.criteria import (
    AllPassed,
    ClaimsMode,
    Criterion,
    EvidenceKind,
    MinCoverage,
    MinLength,
    MustHaveTests,
    RequiredSections,
)
from omoi_os.domain.policy.phase import Advance, JudgeMode, JudgePolicy, PhasePolicy
from omoi_os.domain.verdict import Severity

_EVIDENCE = {
    EvidenceKind.DOCUMENT: "a document",
    EvidenceKind.COVERAGE: "a coverage report",
    EvidenceKind.CHANGES: "the change, from git or as a diff",
    EvidenceKind.SUITE: "a JUnit report",
    EvidenceKind.PRESENCE: "any file or record",
}


def explain(policy: PhasePolicy) -> Iterator[str]:
    """One line for each thing that is asked; lines that belong to the one above begin with two spaces."""
    yield f"Work may leave {policy.phase.name.lower()} when:"
    if policy.tasks_must_be_completed:
        yield "- the phase has tasks, and all of them are completed"
    for artifact in policy.artifacts:
        yield f"- {artifact.type} is there: {_EVIDENCE[artifact.kind]}"
        yield from (f"  - {_asked(criterion)}" for criterion in artifact.criteria)
    yield from _judge(policy.judge)
    moved = "moves on by itself" if policy.advance is Advance.AUTO else "waits for a person"
    yield f"A ticket that passed {moved}."
    yield f"After {count(policy.max_iterations, 'failed review')} a person is asked."
    tried = count(policy.max_attempts, "time")
    yield f"A review that comes to nothing is tried {tried}; the end of an outage is waited for."
    if policy.waiver_max_days:
        yield f"A criterion can be waived for at most {count(policy.waiver_max_days, 'day')}."
    else:
        yield "No criterion can be waived."
    condensed = ", condensed by a model where it does not fit" if policy.context.condense else ""
    yield f"The next phase is told at most {policy.context.max_tokens:,} tokens{condensed}."


def demand(criterion: Criterion) -> str:
    """What it demands, as a clause without its terms."""
    match criterion:
        case MinLength(characters=least):
            return f"at least {count(least, 'character')}"
        case RequiredSections(sections=names):
            titles = ", ".join(f"“{name.replace('_', ' ')}”" for name in names)
            return f"sections {titles} that say something"
        case MinCoverage(percent=least):
            return f"line coverage of at least {least:g} %"
        case MustHaveTests():
            return "changed code comes with a new or extended test that asserts"
        case AllPassed():
            return "at least one test was executed, and none failed"


def count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _asked(criterion: Criterion) -> str:
    terms = criterion.terms
    text = demand(criterion)
    if terms.paths:
        text += f", in {', '.join(terms.paths)} only"
    if terms.severity is Severity.WARN:
        text += " (only told)"
    if terms.claims is ClaimsMode.ACCEPT:
        text += " (a claim counts where nothing can be measured)"
    return text


def _judge(judge: JudgePolicy) -> Iterator[str]:
    match judge.mode:
        case JudgeMode.OFF:
            yield "No model judges; the rules decide."
            return
        case JudgeMode.AUTO:
            yield "Where a model is configured, it judges what the rules cannot; otherwise the rules decide."
        case JudgeMode.REQUIRED:
            yield "A model judges what the rules cannot; without its answer nothing passes."
    yield from (f"  - {criterion.id}: {criterion.text}" for criterion in judge.criteria)
    if judge.model:
        yield f"  The judge is {judge.model}."
    if judge.second_model:
        yield f"  {judge.second_model} judges as well, and both must agree."
    if judge.max_wrong_passes is not None:
        yield f"  In trials it must have passed at most {judge.max_wrong_passes:g} % wrongly."
    limits = judge.limits
    yield (
        f"  It is stopped after {count(limits.max_iterations, 'step')}, "
        f"{count(limits.wall_clock_seconds, 'second')}, {limits.max_tokens:,} tokens or "
        f"{limits.max_cost_usd:g} USD."
    )
