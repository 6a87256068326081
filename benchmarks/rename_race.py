"""200,000 reads while another process swaps a directory with a link to the outside. Run it as a program.

For contrast, the usual check (`resolve()` and `is_relative_to()`, then open) runs in the same race.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from omoi_os.domain.evidence import Unreadable
from omoi_os.evidence.beneath import Opener, by_component, by_kernel
from omoi_os.evidence.paths import open_workspace

READS = 200_000
NAIVE_READS = 20_000
INSIDE, OUTSIDE = "inside", "OUTSIDE"

# renameat2 with RENAME_EXCHANGE swaps two names at once, so the path always exists: the hardest case.
SWAPPER = """
import ctypes, os, sys
here, link, hold = (os.fsencode(sys.argv[1] + tail) for tail in ("", ".link", ".hold"))
exchange = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
if exchange is not None and exchange(-100, here, -100, link, 2) == 0:
    while True:
        exchange(-100, here, -100, link, 2)
while True:
    os.rename(here, hold); os.rename(link, here); os.rename(here, link); os.rename(hold, here)
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        root = _tree(Path(folder))
        swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, str(root / "docs")])
        try:
            time.sleep(0.2)
            leaks = _race("openat2", READS, _confined(root, by_kernel))
            leaks += _race("by component", READS, _confined(root, by_component))
            _race("resolve() and is_relative_to()", NAIVE_READS, lambda: _naive(root))
        finally:
            swapper.kill()
            swapper.wait()
    return 1 if leaks else 0


def _tree(folder: Path) -> Path:
    for name, content in (("workspace/docs", INSIDE), ("outside", OUTSIDE)):
        (folder / name).mkdir(parents=True)
        (folder / name / "plan.md").write_text(content)
    (folder / "workspace" / "docs.link").symlink_to(folder / "outside")
    return folder / "workspace"


def _race(name: str, reads: int, read: Callable[[], str]) -> int:
    started = time.perf_counter()
    seen = Counter(read() for _ in range(reads))
    rate = reads / (time.perf_counter() - started)
    refused = reads - seen[INSIDE] - seen[OUTSIDE]
    print(
        f"{name:32} {reads:>8,} reads  {seen[INSIDE]:>8,} inside  {refused:>8,} refused"
        f"  {seen[OUTSIDE]:>6,} LEAKED  {rate:>8,.0f} reads/s"
    )
    return seen[OUTSIDE]


def _confined(root: Path, opener: Opener) -> Callable[[], str]:
    workspace = open_workspace(root, opener=opener)
    if isinstance(workspace, Unreadable):
        raise SystemExit(workspace.detail)

    def read() -> str:
        source = workspace.open("docs/plan.md", max_bytes=1000)
        if isinstance(source, Unreadable):
            return source.code
        with source:
            return source.read().decode()

    return read


def _naive(root: Path) -> str:
    path = root / "docs" / "plan.md"
    try:
        if path.resolve().is_relative_to(root.resolve()):
            return path.read_text()
    except OSError:
        return "error"
    return "refused"


if __name__ == "__main__":
    raise SystemExit(main())
