"""Reads every listed file of a workspace once: the bytes that are hashed are the bytes that are kept.

There is no memory of digests by inode, size and times: a program that holds a file mapped changes its text
and none of them, ctime included (seen on ext4 and tmpfs). So a digest always reads.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Final, Protocol

from omoi_os.evidence.beneath import FILE_FLAGS
from omoi_os.evidence.git_layout import Layout, Refs, find_layout, read_refs
from omoi_os.evidence.limits import MIB, Deadline
from omoi_os.evidence.paths import Workspace
from omoi_os.evidence.snapshot_list import (
    Changed,
    Listing,
    SnapshotLimits,
    cannot_open,
    too_large,
    too_slow,
)

_CHUNK: Final = MIB
_FORMAT: Final = b"omoi snapshot 1\0"
NOTHING: Final = b""
"""Instead of a commit: a submodule that is not checked out."""
UNKNOWN: Final = b"unknown"
"""Instead of a commit: the repository inside cannot be read."""

_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV})
_MOVED: Final = frozenset({errno.EAGAIN, errno.EINTR, errno.ESTALE})
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG, errno.ENXIO})


class Kind(StrEnum):
    """What stands under a name; all but the first two are left out of a snapshot."""

    FILE = "file"
    EXECUTABLE = "executable"
    LINK = "link"
    REPOSITORY = "repository"
    HARD_LINK = "hard link"
    SPECIAL = "special file"

    @property
    def is_kept(self) -> bool:
        return self in {Kind.FILE, Kind.EXECUTABLE}


@dataclass(frozen=True, slots=True)
class Entry:
    """One name and what it stood for.

    Attributes:
        content: SHA-256 of a file's bytes.
        text: Where a link leads, or the commit of a repository.
        stamp: What changes with the file, as far as the system tells.
    """

    path: str
    kind: Kind
    size: int
    content: bytes
    text: bytes = b""
    stamp: tuple[int, ...] = ()


class Sink(Protocol):
    """Takes what is read."""

    def folder(self, path: str) -> None:
        """The next files lie here."""

    def file(self, name: str, *, executable: bool) -> int:
        """A descriptor to write the next file to; it is closed by the reader."""


def digest_of(entries: Iterable[Entry]) -> str:
    """One SHA-256 for all: any other name, kind or byte gives another one; the order does not matter.

    Each entry is framed by lengths of fixed width, so no content can pass for the next entry.
    """
    whole = hashlib.sha256(_FORMAT)
    for entry in sorted(entries, key=lambda one: os.fsencode(one.path)):
        path = os.fsencode(entry.path)
        kind = entry.kind.value.encode()
        whole.update(b"%d %d %d\0%s%s" % (len(kind), len(path), entry.size, kind, path))
        whole.update(entry.content)
    return whole.hexdigest()


@dataclass(slots=True)
class Scan:
    """Reads one listing of an open workspace."""

    listing: Listing
    workspace: Workspace
    limits: SnapshotLimits
    clock: Deadline
    sink: Sink | None = None
    size: int = 0

    def read(self) -> list[Entry]:
        """Every entry that is there, in the order of the listing.

        Raises:
            NotTaken: A bound, or a file that may not be read.
            Changed: Something moved meanwhile.
        """
        entries = [entry for folder, path in self._each() if (entry := self._entry(folder, path))]
        return entries + self._repositories()

    def check(self, entries: Iterable[Entry]) -> None:
        """That every entry is still what was read: then all of them were so at one moment.

        Raises:
            Changed: One is not.
        """
        known = {entry.path: entry.stamp for entry in entries if entry.kind is not Kind.REPOSITORY}
        for folder, path in self._each():
            status = _look(folder, path)
            if known.pop(path, None) != (None if status is None else _stamp(status)):
                raise Changed(path)
        if known:
            raise Changed(min(known))
        if self._repositories() != [entry for entry in entries if entry.kind is Kind.REPOSITORY]:
            raise Changed("a repository inside")

    def _each(self) -> Iterator[tuple[int, str]]:
        """Each name with a descriptor of its folder, which is opened once for all of its names."""
        for parent, paths in groupby(self.listing.names, lambda path: path.rpartition("/")[0]):
            with self._folder(parent) as folder:
                for path in paths:
                    if folder is not None:
                        yield folder, path
                    elif path not in self.listing.may_be_gone:
                        raise Changed(path)
            if self.clock.passed:
                raise too_slow(self.limits)

    @contextmanager
    def _folder(self, parent: str) -> Iterator[int | None]:
        try:
            descriptor = self.workspace.descriptor(parent.split("/") if parent else ["."])
        except OSError as error:
            if error.errno not in _GONE:
                raise _refused(parent, error) from error
            yield None
            return
        try:
            yield descriptor if stat.S_ISDIR(os.fstat(descriptor).st_mode) else None
        finally:
            os.close(descriptor)

    def _entry(self, folder: int, path: str) -> Entry | None:
        status = _look(folder, path)
        if status is None:
            if path in self.listing.may_be_gone:
                return None
            raise Changed(path)
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            return self._file(folder, path, status)
        name, text = _last(path), b""
        kind = Kind.HARD_LINK if stat.S_ISREG(status.st_mode) else Kind.SPECIAL
        if stat.S_ISLNK(status.st_mode):
            kind, text = Kind.LINK, _target(folder, name, path)
        return Entry(path, kind, len(text), hashlib.sha256(text).digest(), text, _stamp(status))

    def _file(self, folder: int, path: str, before: os.stat_result) -> Entry:
        self.size += before.st_size
        if self.size > self.limits.max_bytes:
            raise too_large(self.limits)
        name = _last(path)
        executable = bool(before.st_mode & stat.S_IXUSR)
        try:
            source = os.open(name, FILE_FLAGS, dir_fd=folder)
        except OSError as error:
            raise _refused(path, error) from error
        try:
            # Since it was looked at, a FIFO or a folder may have taken its place. What happens from here on
            # is seen by `check`.
            if _stamp(os.fstat(source)) != _stamp(before):
                raise Changed(path)
            content = self._pass_on(source, path, before.st_size, executable=executable)
        finally:
            os.close(source)
        kind = Kind.EXECUTABLE if executable else Kind.FILE
        return Entry(path, kind, before.st_size, content, stamp=_stamp(before))

    def _pass_on(self, source: int, path: str, size: int, *, executable: bool) -> bytes:
        if self.sink is None:
            return self._hash(source, path, size, None)
        try:
            self.sink.folder(path.rpartition("/")[0])
            target = self.sink.file(_last(path), executable=executable)
        except (FileExistsError, NotADirectoryError) as error:
            # A file became a folder, or a folder a file.
            raise Changed(path) from error
        try:
            return self._hash(source, path, size, target)
        finally:
            os.close(target)

    def _hash(self, source: int, path: str, size: int, target: int | None) -> bytes:
        content, left = hashlib.sha256(), size
        while chunk := os.read(source, min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise Changed(path)
            content.update(chunk)
            if target is not None:
                _write(target, chunk)
            if left >= _CHUNK and self.clock.passed:
                raise too_slow(self.limits)
        if left:
            raise Changed(path)
        return content.digest()

    def _repositories(self) -> list[Entry]:
        entries = []
        for path in sorted(self.listing.repositories):
            commit = _commit_of(self.listing.top / path)
            if commit is not None:
                digest = hashlib.sha256(commit).digest()
                entries.append(Entry(path, Kind.REPOSITORY, len(commit), digest, commit))
        return entries


def _commit_of(folder: Path) -> bytes | None:
    """The commit that a repository inside has checked out; None where there is no folder."""
    if folder.is_symlink() or not folder.is_dir():
        return None
    if not os.path.lexists(folder / ".git"):
        return NOTHING
    layout = find_layout(folder)
    if not isinstance(layout, Layout) or layout.top != folder:
        return UNKNOWN
    refs = read_refs(layout)
    return refs.head.encode() if isinstance(refs, Refs) else UNKNOWN


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _look(folder: int, path: str) -> os.stat_result | None:
    try:
        status = os.stat(_last(path), dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise _refused(path, error) from error
    # A folder in the place of a file: what lies in it has names of its own.
    return None if stat.S_ISDIR(status.st_mode) else status


def _target(folder: int, name: str, path: str) -> bytes:
    try:
        return os.fsencode(os.readlink(name, dir_fd=folder))
    except OSError as error:
        raise Changed(path) from error


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_mode, status.st_nlink, status.st_size, *times)


def _refused(path: str, error: OSError) -> Exception:
    """What an error means: the workspace moved, or it may not be read, or this process is at fault."""
    if error.errno in _GONE | _MOVED:
        return Changed(path)
    return cannot_open(path or ".", error) if error.errno in _REFUSED else error


def _write(target: int, chunk: bytes) -> None:
    written = os.write(target, chunk)
    while written < len(chunk):
        written += os.write(target, chunk[written:])
