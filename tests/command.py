"""The `omoi` command as a person runs it: another process, with a clean environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

COMMAND = (sys.executable, "-c", "from omoi_os.cli import main; main()")


def environment(**more: str) -> dict[str, str]:
    """What a person's shell has, without any setting of omoi or of a terminal."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    checkout = str(Path(__file__).resolve().parent.parent)
    return {**kept, "PYTHONPATH": checkout, **more}


def hears_ctrl_c() -> None:
    """For `preexec_fn`: what was started in the background ignores Ctrl-C, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def omoi(*arguments: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `omoi` to its end; `more` are environment variables."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def servers_under(folder: Path) -> list[str]:
    """Processes that work in `folder`, as an embedded server does in its data directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            place = (entry / "cwd").readlink() if entry.name.isdigit() else None
        except OSError:
            continue
        if place is not None and place.is_relative_to(folder.resolve()):
            found.append(f"{entry.name} in {place}")
    return found
