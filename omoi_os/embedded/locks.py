"""Advisory locks between processes, as files beside the data directory."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omoi_os.errors import EmbeddedDatabaseError

_PATIENCE = 90.0  # seconds; longer than the slowest start or stop that another process may be in
_PAUSE = 0.01


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the lock `path` alone, between processes and between threads.

    Raises:
        EmbeddedDatabaseError: another process kept it for 90 seconds.
        OSError: the file cannot be made.
    """
    descriptor = _take(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def take_shared(path: Path) -> int:
    """Takes a share of the lock `path`. The descriptor is the share, with its copies after a fork."""
    return _take(path, fcntl.LOCK_SH)


def is_current(descriptor: int, path: Path) -> bool:
    """Whether the lock file that we hold is still the one that others find at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def become_last(descriptor: int) -> bool:
    """Turns a share into the whole lock, if nobody else has a share. On False the share is lost."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def give_back(descriptor: int) -> None:
    """Ends a share, also where a fork without Python's hooks copied the descriptor."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _take(path: Path, kind: int) -> int:
    """Waits by polling: a blocking flock would wait for ever on a holder that is frozen."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if _locked(descriptor, kind) and is_current(descriptor, path):
            return descriptor
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise EmbeddedDatabaseError(
                f"Another process has held {path} for {_PATIENCE:.0f} s to start or stop the embedded "
                f"PostgreSQL. Find it with `fuser {path}`, end it and try again.",
                path=str(path),
            )
        time.sleep(_PAUSE)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except BaseException:
        os.close(descriptor)
        raise
    return True
