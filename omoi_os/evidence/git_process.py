"""One git command: bounded in time and output, and nothing of it left behind."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.evidence.limits import Deadline

_CHUNK = 1 << 16
_STDERR_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one command may use; the deadline is that of the whole read."""

    max_bytes: int
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Output:
    """What a command left: its exit code, what it wrote, and one readable line of its complaint."""

    code: int
    stdout: bytes
    complaint: str


def find_git(workspace: Path) -> str | None:
    """The operator's git; entries of PATH that are relative or inside the workspace are not looked at."""
    return shutil.which("git", path=safe_path(workspace))


def safe_path(workspace: Path) -> str:
    """The operator's PATH without entries that the workspace could fill."""
    root = workspace.resolve()
    kept = []
    for entry in os.environ.get("PATH", os.defpath).split(os.pathsep):
        folder = Path(entry)
        if folder.is_absolute() and not folder.resolve().is_relative_to(root):
            kept.append(entry)
    return os.pathsep.join(kept)


def run(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: bytes, bounds: Bounds
) -> Output | Unreadable:
    """Runs a command to its end, or kills its whole process group at a limit."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as complaints:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            command,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
        try:
            stdout = _read(process, bounds.max_bytes, bounds.deadline)
            if isinstance(stdout, Unreadable):
                return stdout
            code = process.wait(timeout=max(0.1, _left(bounds.deadline)))
        except subprocess.TimeoutExpired:
            return _too_slow(bounds.deadline)
        finally:
            _end(process)
        complaints.seek(0)
        return Output(code, stdout, _one_line(complaints.read(_STDERR_KEPT)))


def _read(process: subprocess.Popen[bytes], max_bytes: int, deadline: Deadline) -> bytes | Unreadable:
    stream: BinaryIO = process.stdout  # type: ignore[assignment]  # it was asked for
    parts: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, _left(deadline))):
                return _too_slow(deadline)
            part = os.read(stream.fileno(), _CHUNK)
            if not part:
                return b"".join(parts)
            size += len(part)
            if size > max_bytes:
                return Unreadable(
                    UnreadableCode.TOO_LARGE,
                    f"git's answer has more than {max_bytes} bytes",
                    "Compare with a nearer base, or ignore generated files.",
                )
            parts.append(part)


def _left(deadline: Deadline) -> float:
    return deadline.seconds - (time.monotonic() - deadline.started)


def _too_slow(deadline: Deadline) -> Unreadable:
    return Unreadable(
        UnreadableCode.TOO_SLOW,
        f"git took more than {deadline.seconds:g} seconds",
        "Compare with a nearer base, or ignore large generated files.",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills whatever is left of the group; after a clean end there is nothing to kill."""
    # Not poll(): a leader that has ended but is not yet waited for may have left children.
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _one_line(raw: bytes) -> str:
    # The complaint quotes names out of the workspace: no control character of theirs reaches a terminal.
    text = raw.decode("utf-8", "replace").strip().splitlines()
    line = next((one for one in text if one.startswith(("fatal:", "error:"))), text[0] if text else "")
    return "".join(sign if sign.isprintable() else "?" for sign in line)[:200]
