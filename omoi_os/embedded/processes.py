"""Which processes are the server of a data directory, and how they are ended."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_PAUSE = 0.005
# Seconds for a fast shutdown (it writes a checkpoint), then for an immediate one, then for the kernel.
_FAST, _IMMEDIATE, _KILL = 30.0, 5.0, 5.0


def server_processes(data_dir: Path) -> set[int]:
    """The living PostgreSQL processes whose working directory is this very directory.

    Every process of a server works there, also one that outlived its postmaster. A zombie has no working
    directory any more and so does not count. Without `/proc` (macOS) the pid file is all there is.
    """
    try:
        directory = data_dir.stat()
    except FileNotFoundError:
        return set()
    if not (_PROC / "self/cwd").exists():
        return {pid for pid in [recorded_pid(data_dir)] if pid and _exists(pid)}
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return {pid for pid in pids if _works_in(pid, directory)}


def recorded_pid(data_dir: Path) -> int | None:
    """What `postmaster.pid` says: a hint, since it may be stale, truncated or from another machine."""
    try:
        with (data_dir / "postmaster.pid").open("rb") as file:
            first = file.read(32).split(b"\n")[0].strip()
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() else None


def terminate(data_dir: Path) -> bool:
    """Ends the server of this directory, gently where there is somebody to ask. True if nothing is left."""
    postmaster = server_processes(data_dir) & {recorded_pid(data_dir)}
    if _after(signal.SIGINT, postmaster, data_dir, _FAST):
        return True
    # Backends without a postmaster take a SIGINT for "cancel the query"; SIGQUIT ends them without a trace.
    if _after(signal.SIGQUIT, server_processes(data_dir), data_dir, _IMMEDIATE):
        return True
    return _after(signal.SIGKILL, server_processes(data_dir), data_dir, _KILL)


def _after(number: signal.Signals, pids: set[int], data_dir: Path, patience: float) -> bool:
    """Signals these processes; whether within `patience` seconds all of the server is gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + (patience if pids else 0)
    while server_processes(data_dir):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _works_in(pid: int, directory: os.stat_result) -> bool:
    process = _PROC / str(pid)
    try:
        # The second condition spares the shell of a person who went there to look around.
        return os.path.samestat((process / "cwd").stat(), directory) and _is_postgres(process)
    except OSError:  # it ended, or belongs to somebody else, and then it is not our server
        return False


def _is_postgres(process: Path) -> bool:
    # After an upgrade of the package the kernel says "…/postgres (deleted)".
    return (process / "exe").readlink().name.split(" ")[0] == "postgres"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
