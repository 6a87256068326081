"""Opens files of a workspace that somebody else may be changing while we read.

Checking a path and then opening it is two looks at a tree that can change between them: 45 of
20,000 reads left the workspace that way. So the kernel walks the path once, from a descriptor of
the root and without following any link, and every later question is asked of the descriptor.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.beneath import FOLDER_FLAGS, Opener, opener_for

SKIPPED_FOLDERS = frozenset(
    {
        *(".git", ".hg", ".svn", ".omoi", ".venv", "venv", ".tox", ".nox", ".eggs"),
        *("node_modules", "bower_components", "site-packages", "__pycache__"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".gradle", ".terraform"),
    }
)

_LONGEST_PATH = 4095
_LONGEST_NAME = 255


def open_workspace(
    root: Path, *, opener: Opener | None = None, follow: bool = True
) -> Workspace | Unreadable:
    """Hold a directory open.

    Args:
        root: The directory under which everything that is read must lie.
        opener: How a path is walked; chosen by asking the kernel when it is not given.
        follow: Whether the root may be reached through links, as where a person names it. A root that
            was resolved and stored must be without: somebody else could have put a link there since.
    """
    try:
        descriptor = os.open(root, FOLDER_FLAGS & ~os.O_NOFOLLOW) if follow else _walk_to(root)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a path"
        return Unreadable(
            UnreadableCode.NO_WORKSPACE,
            f"the workspace cannot be opened ({reason})",
            "Give a directory that exists and that the reviewer may read.",
        )
    return Workspace(descriptor, opener or opener_for(descriptor))


def _walk_to(root: Path) -> int:
    """A descriptor of an absolute directory, with no link on the way."""
    descriptor = os.open("/", FOLDER_FLAGS)
    for name in root.parts[1:]:
        try:
            below = os.open(name, FOLDER_FLAGS, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


@dataclass(slots=True)
class Workspace:
    """A directory held open by its descriptor. Close it, or use it in a `with` statement."""

    _descriptor: int
    _opener: Opener

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def open(self, relative: str, *, max_bytes: int) -> BinaryIO | Unreadable:
        """Open a regular file with exactly one name, which lies in the workspace without any link.

        Everything is judged on the descriptor that is returned, so nothing can be swapped later.
        """
        parts = parts_of(relative)
        if isinstance(parts, Unreadable):
            return parts
        try:
            descriptor = self._opener(self._descriptor, parts)
        except OSError as error:
            return _refusal(error)
        refused = _unsuitable(os.fstat(descriptor), max_bytes)
        if refused is not None:
            os.close(descriptor)
            return refused
        return os.fdopen(descriptor, "rb")

    def descriptor(self, parts: Sequence[str]) -> int:
        """Open whatever is there by the same walk as `open`; the caller judges it, and closes it.

        Raises:
            OSError: With ELOOP or EXDEV for a link on the way.
        """
        return self._opener(self._descriptor, parts)

    def find(
        self,
        patterns: Sequence[str],
        *,
        max_files: int = 100_000,
        max_depth: int = 12,
        skip: Container[str] = SKIPPED_FOLDERS,
    ) -> list[str] | Unreadable:
        """Paths that match a pattern (`*`, `?`, `**/`; letter case does not matter), sorted.

        Links are not followed but are listed where they match, as is anything else that is not a
        directory: `open` then says why it is refused, where silence would look like "no report".

        Args:
            patterns: Relative to the root, with forward slashes.
            max_files: Entries looked at. With more there is no list, since the part that was not
                looked at could hold the report that fails.
            max_depth: Directories below the root that are entered.
            skip: Names of directories that are not entered.
        """
        wanted = re.compile("|".join(map(_as_regex, patterns)) or r"(?!)", re.IGNORECASE | re.DOTALL)
        found = []
        for count, path in enumerate(_walk(self._descriptor, "", max_depth, skip), start=1):
            if count > max_files:
                return _too_many(max_files)
            if path[-1] == "/" or not wanted.fullmatch(path):
                continue
            if not path.isprintable():
                return _unprintable(path)
            found.append(path)
        return sorted(found)


def _walk(folder: int, prefix: str, depth: int, skip: Container[str]) -> Iterator[str]:
    """Yield every entry; directories end in a slash. Recursion is bounded by `depth`."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            yield f"{prefix}{entry.name}/" if is_folder else f"{prefix}{entry.name}"
            if is_folder and entry.name not in skip:
                folders.append(entry.name)
    for name in sorted(folders) if depth > 0 else ():
        try:
            below = os.open(name, FOLDER_FLAGS, dir_fd=folder)
        except OSError as error:
            # Renamed since, or not ours to read: then there is nothing in it that `open` could read.
            if error.errno in _OPERATOR_ERRORS:
                raise
            continue
        try:
            yield from _walk(below, f"{prefix}{name}/", depth - 1, skip)
        finally:
            os.close(below)


def _as_regex(pattern: str) -> str:
    pieces = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens: list[str] = re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern)
    return "(?:" + "".join(pieces.get(token, re.escape(token)) for token in tokens) + ")"


def parts_of(relative: str) -> list[str] | Unreadable:
    """The names along a path, or why it is none. The same answer for every way of opening."""
    if not relative.strip():
        return Unreadable(UnreadableCode.NOT_GIVEN, "the path is empty", "Give a path in the workspace.")
    if "\0" in relative or any(0xD800 <= ord(letter) <= 0xDFFF for letter in relative):
        return _malformed("the path contains a character that no path can have", "Correct the path.")
    if "\\" in relative:
        return _malformed("the path contains a backslash", "Write the path with forward slashes.")
    parts = [part for part in relative.split("/") if part not in {"", "."}]
    if relative.startswith("/") or ".." in parts:
        return _outside("the path is absolute or climbs with '..'")
    if len(relative.encode()) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        return _malformed("the path is longer than a path can be", "Give the path of an existing file.")
    return parts or _not_regular("a directory")


# Faults of this process and not of the workspace: they must not be recorded as missing evidence.
_OPERATOR_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EBADF})


def _refusal(error: OSError) -> Unreadable:
    match error.errno:
        case errno.EMFILE | errno.ENFILE | errno.ENOMEM | errno.EBADF:
            raise error
        case errno.ELOOP | errno.EXDEV:
            return _outside("the path goes through a symbolic link")
        case errno.EAGAIN | errno.EINTR:
            return _outside("the path was being renamed while it was opened")
        case errno.ENOENT:
            return _missing("there is no such file in the workspace")
        case errno.ENOTDIR:
            return _missing("a part of the path is not a directory")
        case errno.ENXIO | errno.ENODEV | errno.EOPNOTSUPP:
            return _not_regular("a socket or a device")
        case _:
            # Ours may be the missing permission: that is not the worker's missing file.
            return Unreadable(
                UnreadableCode.CANNOT_BE_OPENED,
                f"the file cannot be opened ({error.strerror})",
                "Let the reviewer read it.",
            )


def _unsuitable(status: os.stat_result, max_bytes: int) -> Unreadable | None:
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
        return _not_regular(kinds.get(stat.S_IFMT(status.st_mode), "a device"))
    # A second name may lie outside; whoever made the link chose what we would read.
    if status.st_nlink > 1:
        return _outside(f"the file has {status.st_nlink} names (hard links)")
    if status.st_nlink == 0:
        return _missing("the file was deleted while it was opened")
    if status.st_size > max_bytes:
        return Unreadable(
            UnreadableCode.TOO_LARGE,
            f"the file has {status.st_size:,} bytes, more than {max_bytes:,}",
            "Attach a smaller file.",
        )
    return None


def _outside(detail: str) -> Unreadable:
    fix = "Put the file itself into the workspace and give its path relative to the root."
    return Unreadable(UnreadableCode.OUTSIDE_WORKSPACE, detail, fix)


def _missing(detail: str) -> Unreadable:
    return Unreadable(UnreadableCode.MISSING, detail, "Write the file, or correct the path.")


def _malformed(detail: str, fix: str) -> Unreadable:
    return Unreadable(UnreadableCode.MALFORMED, detail, fix)


def _not_regular(kind: str) -> Unreadable:
    detail = f"the path leads to {kind} and not to a regular file"
    return Unreadable(UnreadableCode.NOT_A_REGULAR_FILE, detail, "Give the path of a regular file.")


def _too_many(limit: int) -> Unreadable:
    detail = f"the workspace holds more than {limit:,} files and directories"
    return Unreadable(UnreadableCode.TOO_MANY, detail, "Name the evidence by its path.")


def _unprintable(path: str) -> Unreadable:
    detail = f"the name {path[:200]!a} matches and cannot be printed"
    return Unreadable(UnreadableCode.MALFORMED, detail, "Rename the file.")
