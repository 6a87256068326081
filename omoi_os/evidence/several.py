"""Evidence that is spread over several files, under one bound of bytes and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import BinaryIO, Final

from omoi_os.domain.evidence import CoverageFacts, PresenceFacts, SuiteFacts, Unreadable, UnreadableCode
from omoi_os.domain.rules import Facts
from omoi_os.evidence.coverage import merge_coverage
from omoi_os.evidence.junit import merge_suites
from omoi_os.evidence.limits import MIB, Deadline
from omoi_os.evidence.limits import ReadLimits as Limits
from omoi_os.evidence.paths import Workspace

__all__ = ["Limits", "read_files"]

MAX_FILES: Final = 10_000
"""Files of one artifact; Gradle and Surefire write one report per test class."""

MAX_BYTES: Final = 256 * MIB
MAX_SECONDS: Final = 60.0

type Reader = Callable[[BinaryIO, Limits], Facts | Unreadable]


def read_files(paths: Sequence[str], workspace: Workspace, read: Reader) -> Facts | Unreadable:
    """Read all files as one piece of evidence.

    A file that cannot be read makes the whole unreadable, unless another one shows a failure: that is
    known, whatever the rest would say.
    """
    if len(paths) > MAX_FILES:
        return Unreadable(
            UnreadableCode.TOO_MANY,
            f"{len(paths):,} files are named, and {MAX_FILES:,} are read",
            "Merge the reports into fewer files.",
        )
    if len(set(paths)) < len(paths):
        return Unreadable(
            UnreadableCode.MALFORMED, "one file is named twice", "Name each file once in `paths`."
        )
    parts, unreadable = _read_each(paths, workspace, read)
    if unreadable is None:
        return _merged(parts)
    broken = [part for part in parts if isinstance(part, SuiteFacts) and part.broken]
    return merge_suites(broken) if broken else unreadable


def _read_each(
    paths: Sequence[str], workspace: Workspace, read: Reader
) -> tuple[list[Facts], Unreadable | None]:
    """What could be read, and the first refusal."""
    parts: list[Facts] = []
    first: Unreadable | None = None
    left = MAX_BYTES
    clock = Deadline(MAX_SECONDS)
    for path in paths:
        opened = workspace.open(path, max_bytes=left)
        if isinstance(opened, Unreadable):
            first = first or _named(path, opened, paths)
            continue
        with opened:
            facts = read(opened, Limits(max_bytes=left, max_seconds=clock.left))
            left -= opened.tell()
        if isinstance(facts, Unreadable):
            first = first or _named(path, facts, paths)
        else:
            parts.append(_with_path(facts, path) if len(paths) > 1 else facts)
        if clock.passed:
            return parts, first or Unreadable(
                UnreadableCode.TOO_SLOW, "the files take too long to read", "Merge or shorten the reports."
            )
    return parts, first


def _named(path: str, unreadable: Unreadable, paths: Sequence[str]) -> Unreadable:
    if len(paths) == 1:
        return unreadable
    return Unreadable(unreadable.code, f"{path}: {unreadable.detail}", unreadable.fix)


def _with_path(facts: Facts, path: str) -> Facts:
    """The same facts; failures say in which of the files they stand."""
    if not isinstance(facts, SuiteFacts):
        return facts
    return replace(facts, failures=tuple(f"{name} ({path})" for name in facts.failures))


def _merged(parts: Sequence[Facts]) -> Facts | Unreadable:
    if len(parts) == 1:
        return parts[0]
    if suites := [part for part in parts if isinstance(part, SuiteFacts)]:
        return merge_suites(suites)
    if coverages := [part for part in parts if isinstance(part, CoverageFacts)]:
        return merge_coverage(coverages)
    present = [part for part in parts if isinstance(part, PresenceFacts)]
    return PresenceFacts(sum(part.size for part in present))
