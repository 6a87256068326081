"""Where projects keep their evidence: names that tools write by default, and that teams use for documents."""

from __future__ import annotations

import re
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
SMOKE_FILES: Final = ("smoke*.xml", "*smoke*junit*.xml")

DOCUMENT_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "requirements_document": ("requirements", "requirement", "prd"),
    "design_document": ("design", "architecture"),
    "deployment_record": ("deployment", "deploy"),
    "test_evidence": ("test-evidence", "test-report", "test-log"),
}
"""Words of a file's name, the best first."""

_DOCUMENTS: Final = ("*.md", "*.markdown", "*.rst", "**/*.md", "**/*.markdown", "**/*.rst")
_TEXTS: Final = (*_DOCUMENTS, "*.txt", "*.log", "**/*.txt", "**/*.log")

# Reports in these folders are what a reader or a tool is tested with, and not what its own tests said.
_EXAMPLES: Final = re.compile(
    r"(?:^|/)(?:fixtures?|__fixtures__|testdata|test[-_]data|corpus|samples?|examples?|golden|snapshots?|resources)/",
    re.IGNORECASE,
)


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
    reported in two formats. Of documents the one whose name says it best, nearest to the root.
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
            return _first_name(workspace, COVERAGE_FILES)
        case EvidenceKind.SUITE:
            return _all(workspace, SMOKE_FILES if required.type == "smoke_test_results" else SUITE_FILES)
        case EvidenceKind.DOCUMENT:
            return _best_document(workspace, required.type, _DOCUMENTS)
        case EvidenceKind.PRESENCE:
            return _best_document(workspace, required.type, _TEXTS)
        case EvidenceKind.CHANGES:
            return None


def _all(workspace: Workspace, names: tuple[str, ...]) -> Found | Unreadable | None:
    listed = workspace.find(_anywhere(names))
    if isinstance(listed, Unreadable):
        return listed
    taken = tuple(path for path in listed if not _EXAMPLES.search(path))
    return Found(taken, tuple(path for path in listed if path not in set(taken))) if taken else None


def _first_name(workspace: Workspace, names: tuple[str, ...]) -> Found | Unreadable | None:
    for name in names:
        listed = workspace.find([name, f"**/{name}"])
        if isinstance(listed, Unreadable):
            return listed
        if usable := [path for path in listed if not _EXAMPLES.search(path)]:
            nearest = min(path.count("/") for path in usable)
            taken = tuple(path for path in usable if path.count("/") == nearest)
            others = workspace.find(_anywhere(names))
            known = listed if isinstance(others, Unreadable) else others
            return Found(taken, tuple(path for path in known if path not in taken))
    return None


def _anywhere(names: tuple[str, ...]) -> list[str]:
    return [pattern for name in names for pattern in (name, f"**/{name}")]


def _best_document(workspace: Workspace, type_: str, patterns: tuple[str, ...]) -> Found | Unreadable | None:
    listed = workspace.find(patterns)
    if isinstance(listed, Unreadable):
        return listed
    words = DOCUMENT_WORDS.get(type_, (type_,))
    ranked = sorted(
        (rank, path.count("/"), path)
        for path in listed
        if not _EXAMPLES.search(path) and (rank := _rank(path, words)) is not None
    )
    paths = tuple(path for _, _, path in ranked)
    return Found(paths[:1], paths[1:]) if paths else None


def _rank(path: str, words: tuple[str, ...]) -> int | None:
    """The place of the first word that is a whole part of the file's name; "spec" is none of "inspector"."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    name = f"-{re.sub(r'[^a-z0-9]+', '-', stem.lower())}-"
    return next((place for place, word in enumerate(words) if f"-{word.replace('_', '-')}-" in name), None)
