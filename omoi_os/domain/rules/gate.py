"""All findings of one gate: which rule answers which criterion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from omoi_os.domain.policy import (
    AllPassed,
    Criterion,
    EvidenceKind,
    MinCoverage,
    MinLength,
    MustHaveTests,
    PhasePolicy,
    RequiredArtifact,
    RequiredSections,
)
from omoi_os.domain.rules.across import changed_code_is_reported
from omoi_os.domain.rules.changes import change_claims, code_comes_with_tests, no_weakened_tests
from omoi_os.domain.rules.claimed import with_claims
from omoi_os.domain.rules.coverage import coverage_at_least, coverage_claims, coverage_header_agrees
from omoi_os.domain.rules.documents import at_least_characters, document_claims, has_sections, no_placeholders
from omoi_os.domain.rules.measured import CORRECT_THE_CLAIM, Artifact, Facts, Measured, Note
from omoi_os.domain.rules.presence import is_there
from omoi_os.domain.rules.suites import headers_agree, no_failed_tests, suite_claims
from omoi_os.domain.statuses import TaskStatus
from omoi_os.domain.verdict import Finding, Outcome, Severity

__all__ = ["Artifact", "Facts", "Measured", "OpenTask", "TaskFacts", "gate_findings"]

WHAT_TO_ATTACH: Final = {
    EvidenceKind.DOCUMENT: "the document",
    EvidenceKind.COVERAGE: "the coverage report (Cobertura, lcov, JaCoCo, Clover, coverage.py or gcovr)",
    EvidenceKind.CHANGES: "the diff, or the git range in the workspace",
    EvidenceKind.SUITE: "the JUnit XML report",
    EvidenceKind.PRESENCE: "the file",
}


_ALSO_TOLD: Final[Mapping[EvidenceKind, tuple[Callable[[Measured], Iterator[Finding]], ...]]] = {
    EvidenceKind.DOCUMENT: (no_placeholders, document_claims),
    EvidenceKind.COVERAGE: (coverage_header_agrees, coverage_claims),
    EvidenceKind.CHANGES: (no_weakened_tests, change_claims),
    EvidenceKind.SUITE: (headers_agree, suite_claims),
    EvidenceKind.PRESENCE: (),
}
"""What is told beside the criteria, and does not decide the gate by itself."""


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task of the phase that is not completed."""

    id: str
    type: str
    status: str

    @property
    def has_failed(self) -> bool:
        return self.status == TaskStatus.FAILED

    def __str__(self) -> str:
        return f"{self.type}{' has failed' if self.has_failed else ''} ({self.id})"


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """The phase's tasks.

    Attributes:
        any_task: Whether the phase has a task at all.
        open_count: How many are not completed.
        open_tasks: The first few of them.
    """

    any_task: bool
    open_count: int = 0
    open_tasks: tuple[OpenTask, ...] = ()


def gate_findings(
    policy: PhasePolicy, tasks: TaskFacts, evidence: Mapping[str, Measured]
) -> tuple[Finding, ...]:
    """Every finding of one gate, in the policy's order.

    Args:
        evidence: The newest artifact of each type, by type.
    """
    found: list[Finding] = []
    if policy.tasks_must_be_completed:
        found.append(all_tasks_completed(tasks))
    for required in policy.artifacts:
        measured = evidence.get(required.type)
        found.extend([_missing(required)] if measured is None else _of_artifact(required, measured))
    found.extend(changed_code_is_reported(evidence.values(), _coverage_paths(policy)))
    return tuple(found)


def _coverage_paths(policy: PhasePolicy) -> tuple[str, ...]:
    """What coverage is asked of; empty for all code."""
    asked = [
        item for artifact in policy.artifacts for item in artifact.criteria if isinstance(item, MinCoverage)
    ]
    scopes = [item.terms.paths for item in asked]
    return tuple(path for scope in scopes for path in scope) if all(scopes) else ()


def all_tasks_completed(tasks: TaskFacts) -> Finding:
    """The phase has tasks, and all of them are completed."""
    needed = "all tasks of the phase completed"
    if not tasks.any_task:
        fix = "Generate the phase's tasks and complete them."
        return Finding("tasks", Outcome.FAIL, "no_tasks", "the phase has no task", needed, fix=fix)
    if tasks.open_count:
        named = ", ".join(map(str, tasks.open_tasks[:3]))
        found = f"{tasks.open_count:,} not completed: {named}"
        fix = "Complete these tasks; begin those that failed anew."
        return Finding("tasks", Outcome.FAIL, "tasks_open", found, needed, fix=fix)
    return Finding("tasks", Outcome.PASS, "tasks_completed", "all completed", needed)


def _missing(required: RequiredArtifact) -> Finding:
    return Finding(
        required.type,
        Outcome.FAIL,
        "artifact_missing",
        "no such artifact",
        f"an artifact {required.type}",
        fix=f"Attach {WHAT_TO_ATTACH[required.kind]} as {required.type}.",
    )


def _of_artifact(required: RequiredArtifact, measured: Measured) -> Iterator[Finding]:
    answers = [finding for criterion in required.criteria for finding in _answer(criterion, measured)]
    claimed = any(finding.code == "claim_accepted" for finding in answers)
    # Where every criterion is only told, something must still decide: that there is evidence at all.
    if not claimed and all(finding.severity is Severity.WARN for finding in answers):
        yield is_there(required, measured)
    yield from answers
    for tell in _ALSO_TOLD[required.kind]:
        yield from tell(measured)
    yield from _unusable_claims(measured)


def _answer(criterion: Criterion, measured: Measured) -> Iterator[Finding]:
    for finding in _measured_answer(criterion, measured):
        yield replace(with_claims(criterion, measured, finding), severity=criterion.terms.severity)


def _measured_answer(criterion: Criterion, measured: Measured) -> Iterator[Finding]:
    match criterion:
        case MinLength():
            yield at_least_characters(criterion, measured)
        case RequiredSections():
            yield from has_sections(criterion, measured)
        case MinCoverage():
            yield coverage_at_least(criterion, measured)
        case MustHaveTests():
            yield code_comes_with_tests(measured, criterion.terms.paths)
        case AllPassed():
            yield no_failed_tests(measured)


def _unusable_claims(measured: Measured) -> Iterator[Finding]:
    if measured.claims.problems:
        yield Note(
            "claims",
            "claim_unusable",
            "; ".join(measured.claims.problems),
            "claims of the right type that agree with one another",
            CORRECT_THE_CLAIM,
        ).about(measured)
