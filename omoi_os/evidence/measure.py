"""From an artifact to what was measured: choose where the evidence stands, and the reader for it.

What is in the workspace counts, and not what a worker says is in it: a path is read there, and the change is
taken from its git, whatever diff or range was handed in. Inline evidence is for tickets without a workspace,
and for kinds that are not files there.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from omoi_os.domain.claims import Claims, read_claims
from omoi_os.domain.evidence import PresenceFacts, Unreadable, UnreadableCode
from omoi_os.domain.policy import EvidenceKind, RequiredArtifact
from omoi_os.domain.rules import Artifact, Facts, Measured
from omoi_os.evidence.coverage import read_coverage
from omoi_os.evidence.documents import read_document
from omoi_os.evidence.git import GitDiff, open_range
from omoi_os.evidence.gitdiff import read_diff
from omoi_os.evidence.junit import read_junit
from omoi_os.evidence.memory import Memory
from omoi_os.evidence.paths import Workspace, open_workspace
from omoi_os.evidence.several import Limits, read_files
from omoi_os.evidence.snapshot import Snapshot

INLINE: Final = "inline"

_INLINE_KEYS: Final[Mapping[EvidenceKind, tuple[str, ...]]] = {
    EvidenceKind.DOCUMENT: ("content", "text"),
    EvidenceKind.COVERAGE: ("report", "content"),
    EvidenceKind.SUITE: ("report", "content"),
    EvidenceKind.CHANGES: ("diff", "content"),
    EvidenceKind.PRESENCE: (),
}
_SEVERAL: Final = frozenset({EvidenceKind.COVERAGE, EvidenceKind.SUITE, EvidenceKind.PRESENCE})
"""Kinds that may be spread over several files, named in `paths`."""

_COMMIT_ID: Final = re.compile(r"\b[0-9a-f]{40,64}\b")
_remembered: Final = Memory()


type Source = Snapshot | str
"""Where evidence stands: a snapshot, or the path of a workspace that nobody changes meanwhile."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A workspace or its snapshot, held open for files.

    Attributes:
        base: Commit to compare with; None for the merge base with the main branch.
    """

    source: Source
    workspace: Workspace
    base: str | None

    def change(self) -> GitDiff | Unreadable:
        if isinstance(self.source, Snapshot):
            return self.source.change(self.base)
        return open_range(Path(self.source), self.base)


def measure_all(
    artifacts: Iterable[tuple[RequiredArtifact, Artifact]],
    source: Source | Unreadable | None,
    *,
    base: str | None = None,
) -> dict[str, Measured]:
    """Measure each artifact; by type. The workspace is opened only where something stands in it.

    From a snapshot, files and change are read as they were at one moment; a live workspace may move.
    Where no snapshot could be taken, nothing that stands in the workspace is known.
    """
    given = list(artifacts)
    if source is None or not needs_workspace(given):
        return {artifact.type: _inline(required.kind, artifact) for required, artifact in given}
    if isinstance(source, Unreadable):
        return _unknown(given, source)
    root = source.root if isinstance(source, Snapshot) else Path(source)
    opened = open_workspace(root, follow=False)
    if isinstance(opened, Unreadable):
        return _unknown(given, opened)
    with opened as workspace:
        place = _Place(source, workspace, base)
        return {artifact.type: _measure(required.kind, artifact, place) for required, artifact in given}


def _unknown(
    artifacts: Iterable[tuple[RequiredArtifact, Artifact]], problem: Unreadable
) -> dict[str, Measured]:
    return {
        artifact.type: Measured(artifact, problem, _claims(artifact), artifact.path or INLINE)
        for _, artifact in artifacts
    }


def needs_workspace(artifacts: Iterable[tuple[RequiredArtifact, Artifact]]) -> bool:
    """Whether any of the evidence stands in the workspace; without it no snapshot has to be taken."""
    return any(
        required.kind is EvidenceKind.CHANGES or _paths(required.kind, artifact)
        for required, artifact in artifacts
    )


def named_paths(artifacts: Iterable[tuple[RequiredArtifact, Artifact]]) -> tuple[str, ...]:
    """The files that artifacts name: a snapshot holds them although git mostly ignores reports."""
    return tuple(
        sorted({path for required, artifact in artifacts for path in _paths(required.kind, artifact)})
    )


def _measure(kind: EvidenceKind, artifact: Artifact, place: _Place) -> Measured:
    if kind is EvidenceKind.CHANGES:
        measured = _from_range(artifact, place)
        handed_in = artifact.path or _inline_key(kind, artifact)
        if not (_is_no_repository(measured) and handed_in):
            return measured
    paths = _paths(kind, artifact)
    if not paths:
        return _inline(kind, artifact)
    where = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1:,} more"
    facts = read_files(paths, place.workspace, _reader(kind))
    return Measured(artifact, facts, _claims(artifact), where)


def _paths(kind: EvidenceKind, artifact: Artifact) -> list[str]:
    """The files that the artifact names; inline evidence comes before a list of paths beside it."""
    if artifact.path:
        return [artifact.path]
    content = artifact.content or {}
    paths = content.get("paths")
    if kind not in _SEVERAL or _inline_key(kind, artifact) or not isinstance(paths, list):
        return []
    return [path for path in paths if isinstance(path, str)] if all(isinstance(p, str) for p in paths) else []


def _from_range(artifact: Artifact, place: _Place) -> Measured:
    diff = place.change()
    if isinstance(diff, Unreadable):
        return Measured(artifact, diff, _claims(artifact), "git")
    where = f"diff from the {_COMMIT_ID.sub(lambda found: found[0][:12], diff.base_name)}"
    return Measured(artifact, read_diff(io.BytesIO(diff.diff)), _claims(artifact), where)


def _is_no_repository(measured: Measured) -> bool:
    return isinstance(measured.facts, Unreadable) and measured.facts.code is UnreadableCode.NO_REPOSITORY


def _reader(kind: EvidenceKind) -> Callable[[BinaryIO, Limits], Facts | Unreadable]:
    match kind:
        case EvidenceKind.DOCUMENT:
            return lambda source, _: read_document(source)
        case EvidenceKind.COVERAGE:
            return read_coverage
        case EvidenceKind.SUITE:
            return read_junit
        case EvidenceKind.CHANGES:
            return read_diff
        case EvidenceKind.PRESENCE:
            return _presence


def _presence(source: BinaryIO, _limits: Limits) -> PresenceFacts | Unreadable:
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    if source.read(64 * 1024).strip():
        return PresenceFacts(size)
    return Unreadable(UnreadableCode.EMPTY, "the file is empty", "Write what it should hold.")


def _claims(artifact: Artifact) -> Claims:
    return read_claims(artifact.content)


# Inline


def _inline(kind: EvidenceKind, artifact: Artifact) -> Measured:
    if artifact.digest is None or artifact.path:
        return Measured(artifact, _inline_facts(kind, artifact), _claims(artifact), INLINE)
    # A reader is a pure function of its bytes, so the same content is measured once per process.
    facts, claims = _remembered.recall(
        (kind, artifact.digest), lambda: (_inline_facts(kind, artifact), _claims(artifact))
    )
    return Measured(artifact, facts, claims, INLINE)


def _inline_key(kind: EvidenceKind, artifact: Artifact) -> str | None:
    content = artifact.content or {}
    return next((key for key in _INLINE_KEYS[kind] if content.get(key) is not None), None)


def _inline_facts(kind: EvidenceKind, artifact: Artifact) -> Facts | Unreadable:
    if artifact.broken:
        return Unreadable(
            UnreadableCode.MALFORMED, "the stored content cannot be read", "Attach the evidence again."
        )
    key = _inline_key(kind, artifact)
    if key is not None:
        return _inline_text(kind, key, (artifact.content or {})[key])
    if kind is EvidenceKind.PRESENCE and _says_something(artifact.content):
        return PresenceFacts(len(msgspec.json.encode(artifact.content)))
    shown = _INLINE_KEYS[kind][0] if _INLINE_KEYS[kind] else "content"
    if artifact.path or (artifact.content or {}).get("paths"):
        return Unreadable(
            UnreadableCode.NO_WORKSPACE,
            f"{artifact.path or 'a list of files'} is named, and the ticket has no workspace to read it from",
            f"Give the ticket a workspace, or attach the text itself as “{shown}”.",
        )
    return Unreadable(
        UnreadableCode.NOT_GIVEN,
        "there are only claims, and nothing to measure",
        f"Attach the evidence: artifact_path in the workspace, or the text itself as “{shown}”.",
    )


def _says_something(content: object) -> bool:
    """Whether a record holds at least one text; numbers and flags alone are claims."""
    match content:
        case str():
            return bool(content.strip())
        case dict():
            return any(key != "paths" and _says_something(value) for key, value in content.items())
        case list():
            return any(map(_says_something, content))
        case _:
            return False


def _inline_text(kind: EvidenceKind, key: str, value: object) -> Facts | Unreadable:
    if isinstance(value, dict) and kind is EvidenceKind.COVERAGE:
        value = msgspec.json.encode(value).decode()
    if not isinstance(value, str):
        return Unreadable(
            UnreadableCode.MALFORMED, f"`{key}` is not a text", f"Attach the text itself as “{key}”."
        )
    if not value.strip():
        return Unreadable(UnreadableCode.EMPTY, f"`{key}` is empty", "Attach the text itself.")
    return _reader(kind)(io.BytesIO(value.encode("utf-8", "replace")), Limits())
