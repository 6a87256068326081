"""Where projects keep their evidence: names that tools write by default, and that teams use for documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from omoi_os.domain.evidence import Unreadable
from omoi_os.domain.policy import EvidenceKind, PhasePolicy, RequiredArtifact
from omoi_os.evidence.paths import Workspace

COVERAGE_FILES: Final = (
    "coverage.xml",
    "cobertura*.xml",
    "lcov.info",
    "coverage.info",
    "clover.xml",
    "coverage.json",
    "jacoco*.xml",
)
SUITE_FILES: Final = ("junit*.xml", "TEST-*.xml", "test-results*.xml", "test_results*.xml", "pytest*.xml")

DOCUMENT_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "requirements_document": ("requirements", "requirement", "prd", "spec"),
    "design_document": ("design", "architecture"),
    "deployment_record": ("deployment", "deploy", "release"),
    "test_evidence": ("test-evidence", "test_evidence", "test-report", "test_report", "test-plan"),
}
SUITE_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "smoke_test_results": ("smoke*.xml", "*smoke*junit*.xml")
}


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for one artifact.

    Attributes:
        paths: The files that are read, relative to the workspace.
        passed_over: Other files that match; named so that a person can choose one of them.
    """

    paths: tuple[str, ...]
    passed_over: tuple[str, ...] = ()


def find_evidence(workspace: Workspace, policy: PhasePolicy) -> dict[str, Found] | Unreadable:
    """The files that stand for each required artifact; types without a file are left out.

    Of test reports all that match are read: to leave one out could leave out the failure. Of coverage
    reports those of the first name that exists, nearest to the root, since the same lines are often
    reported in two formats. Of documents the one nearest to the root.
    """
    found: dict[str, Found] = {}
    for required in policy.artifacts:
        files = _find(workspace, required)
        if isinstance(files, Unreadable):
            return files
        if files is not None:
            found[required.type] = files
    return found


def _find(workspace: Workspace, required: RequiredArtifact) -> Found | Unreadable | None:
    match required.kind:
        case EvidenceKind.COVERAGE:
            return _first_group(workspace, COVERAGE_FILES)
        case EvidenceKind.SUITE:
            names = SUITE_WORDS.get(required.type, SUITE_FILES)
            listed = workspace.find(_anywhere(names))
            return listed if isinstance(listed, Unreadable) else Found(tuple(listed)) if listed else None
        case EvidenceKind.DOCUMENT | EvidenceKind.PRESENCE:
            return _nearest(workspace, _document_patterns(required.type))
        case EvidenceKind.CHANGES:
            return None


def _anywhere(names: tuple[str, ...]) -> list[str]:
    return [pattern for name in names for pattern in (name, f"**/{name}")]


def _document_patterns(type_: str) -> list[str]:
    words = DOCUMENT_WORDS.get(type_, (type_, type_.replace("_", "-")))
    suffixes = ("md", "markdown", "rst", "txt") if type_ == "test_evidence" else ("md", "markdown", "rst")
    names = [f"*{word}*.{suffix}" for word in words for suffix in suffixes]
    return [*names, *(f"docs/{name}" for name in names), *(f"docs/**/{name}" for name in names)]


def _first_group(workspace: Workspace, names: tuple[str, ...]) -> Found | Unreadable | None:
    for name in names:
        listed = workspace.find([name, f"**/{name}"])
        if isinstance(listed, Unreadable):
            return listed
        if listed:
            nearest = min(path.count("/") for path in listed)
            taken = tuple(path for path in listed if path.count("/") == nearest)
            return Found(taken, tuple(path for path in listed if path not in taken))
    return None


def _nearest(workspace: Workspace, patterns: list[str]) -> Found | Unreadable | None:
    listed = workspace.find(patterns)
    if isinstance(listed, Unreadable):
        return listed
    if not listed:
        return None
    ordered = sorted(listed, key=lambda path: (path.count("/"), path))
    return Found((ordered[0],), tuple(ordered[1:]))
