"""A policy in the file's format, with every value spelled out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omoi_os.domain.phases import Phase
from omoi_os.domain.policy.aliases import Aliases
from omoi_os.domain.policy.criteria import (
    AllPassed,
    Criterion,
    MinCoverage,
    MinLength,
    MustHaveTests,
    RequiredSections,
    criterion_name,
)
from omoi_os.domain.policy.document import VERSION
from omoi_os.domain.policy.phase import JudgePolicy, PhasePolicy, RequiredArtifact

type Json = dict[str, Any]


def as_document(phases: Mapping[Phase, PhasePolicy], aliases: Aliases) -> Json:
    """All of it; can be read again, and is JSON."""
    return {
        "version": VERSION,
        "section_aliases": {name: sorted(aliases[name] - {name}) or [name] for name in aliases},
        "phases": {phase.name.lower(): _phase(policy) for phase, policy in phases.items()},
    }


def demands(policy: PhasePolicy) -> Json:
    """What decides a verdict of one phase: also the headings that count, and not what happens after it."""
    written = _phase(policy)
    kept = {
        key: written[key] for key in ("required_artifacts", "required_tasks_completed", "criteria", "judge")
    }
    sections = {
        f"{artifact.type}.{section}": sorted(criterion.accepted(section))
        for artifact in policy.artifacts
        for criterion in artifact.criteria
        if isinstance(criterion, RequiredSections)
        for section in criterion.sections
    }
    return {**kept, "phase": policy.phase.value, "sections": sections}


def _phase(policy: PhasePolicy) -> Json:
    return {
        "required_artifacts": [{"type": item.type, "kind": item.kind.value} for item in policy.artifacts],
        "required_tasks_completed": policy.tasks_must_be_completed,
        "criteria": {item.type: _criteria(item) for item in policy.artifacts if item.criteria},
        "judge": _judge(policy.judge),
        "context": {"condense": policy.context.condense, "max_tokens": policy.context.max_tokens},
        "advance": policy.advance.value,
        "max_iterations": policy.max_iterations,
        "max_attempts": policy.max_attempts,
        "waiver_max_days": policy.waiver_max_days,
    }


def _criteria(artifact: RequiredArtifact) -> Json:
    return {criterion_name(criterion): _criterion(criterion) for criterion in artifact.criteria}


def _criterion(criterion: Criterion) -> Json:
    terms = criterion.terms
    written: Json = {
        "value": _value(criterion),
        "severity": terms.severity.value,
        "claims": terms.claims.value,
    }
    return {**written, "paths": list(terms.paths)} if terms.paths else written


def _value(criterion: Criterion) -> object:
    match criterion:
        case MinLength():
            return criterion.characters
        case RequiredSections():
            return list(criterion.sections)
        case MinCoverage():
            return criterion.percent
        case MustHaveTests() | AllPassed():
            return True


def _judge(judge: JudgePolicy) -> Json:
    limits = judge.limits
    written: Json = {
        "mode": judge.mode.value,
        "model": judge.model,
        "criteria": {criterion.id: criterion.text for criterion in judge.criteria},
        "limits": {
            "max_iterations": limits.max_iterations,
            "wall_clock_seconds": limits.wall_clock_seconds,
            "max_cost_usd": limits.max_cost_usd,
            "max_tokens": limits.max_tokens,
        },
        "judges": judge.judges,
        "second_model": judge.second_model,
        "max_wrong_passes": judge.max_wrong_passes,
    }
    return {key: value for key, value in written.items() if value is not None}
