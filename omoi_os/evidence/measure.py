"""From an artifact to what was measured: choose where the evidence stands, and the reader for it."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from omoi_os.domain.claims import Claims, read_claims
from omoi_os.domain.evidence import (
    CoverageFacts,
    PresenceFacts,
    SuiteFacts,
    Unreadable,
    UnreadableCode,
)
from omoi_os.domain.policy import EvidenceKind, RequiredArtifact
from omoi_os.domain.rules import Artifact, Facts, Measured
from omoi_os.evidence.coverage import merge_coverage, read_coverage
from omoi_os.evidence.documents import read_document
from omoi_os.evidence.git import open_range
from omoi_os.evidence.gitdiff import read_diff
from omoi_os.evidence.junit import merge_suites, read_junit
from omoi_os.evidence.limits import MIB
from omoi_os.evidence.paths import Workspace, open_workspace

INLINE: Final = "inline"
MAX_REPORTS: Final = 200
"""Files that one artifact may name; Gradle and Surefire write one report per test class."""

_INLINE_KEYS: Final[Mapping[EvidenceKind, tuple[str, ...]]] = {
    EvidenceKind.DOCUMENT: ("content", "text"),
    EvidenceKind.COVERAGE: ("report", "content"),
    EvidenceKind.SUITE: ("report", "content"),
    EvidenceKind.CHANGES: ("diff", "content"),
}
_MAX_BYTES: Final[Mapping[EvidenceKind, int]] = {
    EvidenceKind.DOCUMENT: 4 * MIB,
    EvidenceKind.COVERAGE: 256 * MIB,
    EvidenceKind.SUITE: 256 * MIB,
    EvidenceKind.CHANGES: 64 * MIB,
    EvidenceKind.PRESENCE: 1024 * MIB,
}


def measure_all(
    artifacts: Iterable[tuple[RequiredArtifact, Artifact]], workspace_path: str | None
) -> dict[str, Measured]:
    """Measure each artifact; by type. The workspace is opened only where something names a path in it."""
    given = list(artifacts)
    if workspace_path is None or not any(_names_a_path(artifact) for _, artifact in given):
        return {artifact.type: _measure(required, artifact, None) for required, artifact in given}
    root = Path(workspace_path)
    opened = open_workspace(root)
    if isinstance(opened, Unreadable):
        return {
            artifact.type: _with(artifact, opened, artifact.path or INLINE, read_claims(artifact.content))
            for _, artifact in given
        }
    with opened as workspace:
        place = _Place(root, workspace)
        return {artifact.type: _measure(required, artifact, place) for required, artifact in given}


@dataclass(frozen=True, slots=True)
class _Place:
    """A workspace, held open for files and known by its path for git."""

    root: Path
    workspace: Workspace


def _names_a_path(artifact: Artifact) -> bool:
    content = artifact.content or {}
    return artifact.path is not None or "paths" in content or "base" in content


def _with(artifact: Artifact, facts: Facts | Unreadable, where: str, claims: Claims) -> Measured:
    return Measured(artifact, facts, claims, where)


def _measure(required: RequiredArtifact, artifact: Artifact, place: _Place | None) -> Measured:
    if place is not None and _names_a_path(artifact):
        where, facts = _from_workspace(required.kind, artifact, place)
        return _with(artifact, facts, where, read_claims(artifact.content))
    facts, claims = _remembered(required.kind, artifact)
    return _with(artifact, facts, INLINE, claims)


# In the workspace


def _from_workspace(kind: EvidenceKind, artifact: Artifact, place: _Place) -> tuple[str, Facts | Unreadable]:
    content = artifact.content or {}
    if kind is EvidenceKind.CHANGES and artifact.path is None:
        return _from_range(content, place.root)
    paths = [artifact.path] if artifact.path is not None else content.get("paths")
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
        return INLINE, Unreadable(
            UnreadableCode.MALFORMED,
            "`paths` is not a list of texts",
            "Write a list of paths in the workspace.",
        )
    where = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    if len(paths) > MAX_REPORTS:
        return where, Unreadable(
            UnreadableCode.TOO_MANY,
            f"{len(paths):,} files are named, and {MAX_REPORTS} are read",
            "Merge the reports into fewer files.",
        )
    return where, _from_files(kind, paths, place.workspace)


def _from_range(content: Mapping[str, Any], root: Path) -> tuple[str, Facts | Unreadable]:
    base, head = content.get("base"), content.get("head", "WORKTREE")
    if not (base is None or isinstance(base, str)) or not isinstance(head, str):
        return INLINE, Unreadable(
            UnreadableCode.MALFORMED,
            "`base` and `head` are not both texts",
            "Write the names of two commits.",
        )
    diff = open_range(root, base, head=head)
    if isinstance(diff, Unreadable):
        return f"{base or 'merge base'}..{head}", diff
    return f"diff from the {diff.base_name}", read_diff(io.BytesIO(diff.diff))


def _from_files(kind: EvidenceKind, paths: Sequence[str], workspace: Workspace) -> Facts | Unreadable:
    parts: list[Facts] = []
    for path in paths:
        opened = workspace.open(path, max_bytes=_MAX_BYTES[kind])
        if isinstance(opened, Unreadable):
            return _named(path, opened, paths)
        with opened:
            facts = _read(kind, opened)
        if isinstance(facts, Unreadable):
            return _named(path, facts, paths)
        parts.append(facts)
    return _merged(parts)


def _named(path: str, unreadable: Unreadable, paths: Sequence[str]) -> Unreadable:
    """The same refusal, with the file's name where several are read."""
    if len(paths) == 1:
        return unreadable
    return Unreadable(unreadable.code, f"{path}: {unreadable.detail}", unreadable.fix)


def _merged(parts: Sequence[Facts]) -> Facts | Unreadable:
    if len(parts) == 1:
        return parts[0]
    suites = [part for part in parts if isinstance(part, SuiteFacts)]
    if len(suites) == len(parts):
        return merge_suites(suites)
    coverages = [part for part in parts if isinstance(part, CoverageFacts)]
    if len(coverages) == len(parts):
        return merge_coverage(coverages)
    return Unreadable(
        UnreadableCode.MALFORMED,
        "several files are named for evidence that is one file",
        "Name one file in artifact_path.",
    )


def _read(kind: EvidenceKind, source: BinaryIO) -> Facts | Unreadable:
    return _READERS[kind](source)


def _presence(source: BinaryIO) -> PresenceFacts | Unreadable:
    size = source.seek(0, io.SEEK_END)
    if size:
        return PresenceFacts(size)
    return Unreadable(UnreadableCode.EMPTY, "the file is empty", "Write what it should hold.")


_READERS: Final[Mapping[EvidenceKind, Callable[[BinaryIO], Facts | Unreadable]]] = {
    EvidenceKind.DOCUMENT: read_document,
    EvidenceKind.COVERAGE: read_coverage,
    EvidenceKind.SUITE: read_junit,
    EvidenceKind.CHANGES: read_diff,
    EvidenceKind.PRESENCE: _presence,
}

# Inline


def _inline(kind: EvidenceKind, artifact: Artifact) -> Facts | Unreadable:
    content = artifact.content or {}
    if kind is EvidenceKind.PRESENCE:
        return _inline_presence(artifact)
    for key in _INLINE_KEYS[kind]:
        if key in content:
            return _inline_text(kind, key, content[key])
    if _names_a_path(artifact):
        return Unreadable(
            UnreadableCode.NO_WORKSPACE,
            f"{artifact.path or 'a path'} is named, and the ticket has no workspace to read it from",
            f"Give the ticket a workspace, or attach the text as {{“{_INLINE_KEYS[kind][0]}”: …}}.",
        )
    return Unreadable(
        UnreadableCode.NOT_GIVEN,
        "there are only claims, and nothing to measure",
        f"Attach the evidence: artifact_path in the workspace, or {{“{_INLINE_KEYS[kind][0]}”: “…text…”}}.",
    )


def _inline_text(kind: EvidenceKind, key: str, value: object) -> Facts | Unreadable:
    if isinstance(value, dict) and kind is EvidenceKind.COVERAGE:
        return _read(kind, io.BytesIO(msgspec.json.encode(value)))
    if not isinstance(value, str):
        return Unreadable(
            UnreadableCode.MALFORMED, f"`{key}` is not a text", f"Attach the text itself as “{key}”."
        )
    if not value.strip():
        return Unreadable(UnreadableCode.EMPTY, f"`{key}` is empty", "Attach the text itself.")
    return _read(kind, io.BytesIO(value.encode("utf-8", "replace")))


def _inline_presence(artifact: Artifact) -> Facts | Unreadable:
    content = artifact.content or {}
    if any(value not in (None, "", [], {}) for value in content.values()):
        return PresenceFacts(len(msgspec.json.encode(content)))
    if artifact.path is not None:
        return Unreadable(
            UnreadableCode.NO_WORKSPACE,
            f"{artifact.path} is named, and the ticket has no workspace to read it from",
            "Give the ticket a workspace, or attach the content inline.",
        )
    return Unreadable(UnreadableCode.EMPTY, "the artifact holds nothing", "Attach what it stands for.")


# A reader is a pure function of its bytes, so the same content is measured once per process.

_REMEMBERED: Final = 256
_TOO_MANY_FILES: Final = 2_000
_memory: OrderedDict[tuple[EvidenceKind, str], tuple[Facts | Unreadable, Claims]] = OrderedDict()
_memory_lock: Final = threading.Lock()


def _remembered(kind: EvidenceKind, artifact: Artifact) -> tuple[Facts | Unreadable, Claims]:
    if artifact.digest is None or artifact.path is not None:
        return _inline(kind, artifact), read_claims(artifact.content)
    key = (kind, artifact.digest)
    known = _memory.get(key)
    if known is None:
        known = (_inline(kind, artifact), read_claims(artifact.content))
        if _is_small(known[0]):
            with _memory_lock:
                _memory[key] = known
                if len(_memory) > _REMEMBERED:
                    _memory.popitem(last=False)
    return known


def _is_small(facts: Facts | Unreadable) -> bool:
    match facts:
        case Unreadable():
            # Out of time once is not out of time for ever.
            return facts.code is not UnreadableCode.TOO_SLOW
        case CoverageFacts():
            return len(facts.files) <= _TOO_MANY_FILES
        case _:
            return True
