"""Folders of snapshots: each is locked by its process while it is used, and swept when that has ended."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Final, Self

from omoi_os.errors import SnapshotInUse
from omoi_os.evidence.beneath import FOLDER_FLAGS

LOCK: Final = "snapshot.lock"
"""Marks a folder as a snapshot's; nothing else is ever swept."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_TRIES: Final = 16
_PAUSE: Final = 0.005


@dataclass(frozen=True, slots=True)
class Held:
    """A snapshot's folder, which no sweep touches until it is let go or this process ends."""

    folder: Path
    lock: FileIO

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    def remove(self) -> None:
        """Delete the folder and let go. A second call does nothing."""
        if self.lock.closed:
            return
        with self.lock:
            if _is_locked_by(self.lock, self.folder):
                _remove(self.folder)


def hold(folder: Path) -> Held:
    """Make an empty snapshot folder; one that a crash left there is removed first.

    Raises:
        SnapshotInUse: It belongs to a process that lives.
        ValueError: The folder's name is no plain word.
    """
    if not _NAME.fullmatch(folder.name):
        raise ValueError(f"{folder.name!r} cannot name a snapshot")
    _make_store(folder.parent)
    for _ in range(_TRIES):
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            # Whoever has it may be a sweep, which lets go at once.
            if not _remove_dead(folder):
                time.sleep(_PAUSE)
            continue
        if (lock := _lock(folder, os.O_CREAT)) is not None:
            held = Held(folder, lock)
            held.tree.mkdir(mode=0o700)
            return held
    raise SnapshotInUse(review_id=folder.name)


def sweep(store: Path, *, alive: Callable[[str], bool], older_than: float) -> list[str]:
    """Remove the snapshots whose process is gone.

    Args:
        alive: Whether the review of that id still wants its snapshot.
        older_than: Seconds since a snapshot was begun; younger ones stay.

    Returns:
        The ids of those that were removed.
    """
    removed = []
    for folder in sorted(store.iterdir()) if store.is_dir() else ():
        name = folder.name
        if not _NAME.fullmatch(name) or not _is_older(folder / LOCK, older_than) or alive(name):
            continue
        if _remove_dead(folder):
            removed.append(name)
    return removed


def _make_store(store: Path) -> None:
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore = store / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


def _is_older(lock: Path, seconds: float) -> bool:
    try:
        status = lock.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime >= seconds


def _remove_dead(folder: Path) -> bool:
    """Remove a snapshot that nobody holds; false where somebody does, or it is none."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    try:
        # A crash between two system calls leaves an empty folder.
        folder.rmdir()
    except OSError:
        lock = _lock(folder)
        if lock is None:
            return not folder.exists()
        with lock:
            _remove(folder)
    return True


def _lock(folder: Path, flags: int = 0) -> FileIO | None:
    """Lock a snapshot's folder; None where another process has it, or took it away meanwhile."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    except OSError:
        return None
    lock = FileIO(descriptor, "r+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    # Whoever held the lock until now may have deleted the file: then it locks nothing.
    if not _is_locked_by(lock, folder):
        lock.close()
        return None
    return lock


def _is_locked_by(lock: FileIO, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock.fileno()), (folder / LOCK).lstat())
    except OSError:
        return False


def _remove(folder: Path) -> None:
    """Delete a locked folder: its lock last, so that no half of it is left without one."""
    store = os.open(folder.parent, FOLDER_FLAGS & ~os.O_NOFOLLOW)
    try:
        below = os.open(folder.name, FOLDER_FLAGS, dir_fd=store)
        try:
            with os.scandir(below) as entries:
                names = {entry.name for entry in entries} - {LOCK}
            for name in names:
                _delete(name, below)
            os.unlink(LOCK, dir_fd=below)
        finally:
            os.close(below)
        # Without its lock the folder is anybody's: who wants the name may have taken it already.
        with suppress(OSError):
            os.rmdir(folder.name, dir_fd=store)
    finally:
        os.close(store)


def _delete(name: str, folder: int) -> None:
    """Delete a file, or a folder with all that is in it, of any mode; a link is deleted and not followed."""
    for _, folders, files, inner in os.fwalk(name, topdown=False, dir_fd=folder):
        os.fchmod(inner, 0o700)
        for one in (*files, *folders):
            _unlink(one, inner)
    _unlink(name, folder)


def _unlink(name: str, folder: int) -> None:
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.rmdir(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


@dataclass(slots=True)
class Writer:
    """Writes files into a snapshot's tree."""

    tree: Path
    _folders: set[str] = field(default_factory=lambda: {""})
    _current: str | None = None
    _descriptor: int = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go()

    def folder(self, path: str) -> None:
        if path == self._current:
            return
        self._let_go()
        self.make(path)
        self._descriptor = os.open(self.tree / path, FOLDER_FLAGS)
        self._current = path

    def make(self, path: str) -> None:
        """A folder and those around it."""
        missing = []
        while path not in self._folders:
            missing.append(path)
            self._folders.add(path)
            path = path.rpartition("/")[0]
        for one in reversed(missing):
            (self.tree / one).mkdir(mode=0o700)

    def file(self, name: str, *, executable: bool) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(name, flags, 0o600, dir_fd=self._descriptor)
        # Whatever the umask: the bit that git looks at is the owner's.
        os.fchmod(target, 0o555 if executable else 0o444)
        return target

    def seal(self) -> None:
        """Make the folders read-only, as the files are already."""
        for path in self._folders:
            (self.tree / path).chmod(0o555)

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._current = -1, None
