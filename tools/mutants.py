"""Break the gate in known ways, one at a time, and see that the tests notice.

`uv run tools/mutants.py [NAME ...]` applies each fault to a copy of the tree, and runs there the tests that
must fail. It exits with 1 where one passes, and with 2 where the list of faults does not fit the code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gate_faults import FAULTS, Fault

ROOT: Final = Path(__file__).resolve().parent.parent
AT_ONCE: Final = 2
SECONDS: Final = 300.0
"""In which the tests of one fault must end; all of them together, without a fault, in five times as long."""
_PASSED, _FAILED = 0, 1
"""Exit codes of pytest; any other says that it could not run."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of one fault.

    Attributes:
        code: pytest's exit code; None where it took too long.
    """

    fault: Fault
    code: int | None
    seconds: float
    last_line: str

    @property
    def caught(self) -> bool:
        return self.code == _FAILED

    @property
    def told(self) -> str:
        match self.code:
            case 0:
                return "SURVIVED"
            case 1:
                return "caught"
            case None:
                return "TOO SLOW"
            case code:
                return f"BROKEN ({code})"


def main() -> int:
    """Try the faults that are named, or all of them."""
    names = sys.argv[1:]
    known = {fault.name for fault in FAULTS}
    if unknown := [name for name in names if name not in known]:
        print(f"no such fault: {', '.join(unknown)}", file=sys.stderr)
        return 2
    faults = [fault for fault in FAULTS if not names or fault.name in names]
    if problems := [problem for fault in faults if (problem := _problem(fault))]:
        print(*problems, sep="\n", file=sys.stderr)
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="omoi-mutants-") as folder:
        tree = Path(folder) / "tree"
        _copy_tree(tree)
        sound = _run(tree, Path(folder), None, sorted({test for fault in faults for test in fault.tests}))
        if sound.code != _PASSED:
            print(f"without any fault: {sound.told} {sound.last_line}", file=sys.stderr)
            return 2
        survivors = _try(faults, tree, Path(folder))
    print(
        f"\n{len(faults)} faults, {len(faults) - survivors} caught, in {time.monotonic() - began:.0f} seconds"
    )
    return 1 if survivors else 0


def _try(faults: Sequence[Fault], tree: Path, folder: Path) -> int:
    """Print a table, and say how many faults were not caught."""
    survivors = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for ran in pool.map(lambda fault: _run(tree, folder, fault, fault.tests), faults):
            survivors += not ran.caught
            print(f"{ran.told:10}  {ran.seconds:5.1f} s  {ran.fault.name:40}  {ran.last_line}", flush=True)
    return survivors


def _problem(fault: Fault) -> str:
    """Why a fault cannot be applied; empty where it can."""
    count = (ROOT / fault.file).read_text().count(fault.old)
    return "" if count == 1 else f"{fault.name}: its text occurs {count} times in {fault.file}"


def _copy_tree(copy: Path) -> None:
    """Copy what git tracks or would track; what is edited meanwhile does not matter any more."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, done.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


def _run(tree: Path, folder: Path, fault: Fault | None, tests: Iterable[str]) -> Ran:
    copy = folder / (fault.name if fault else "sound")
    shutil.copytree(tree, copy, symlinks=True)
    if fault is not None:
        path = copy / fault.file
        path.write_text(path.read_text().replace(fault.old, fault.new))
    began = time.monotonic()
    try:
        code, last_line = _pytest(copy, tests, SECONDS if fault else 5 * SECONDS)
    except subprocess.TimeoutExpired:
        code, last_line = None, ""
    shutil.rmtree(copy, ignore_errors=True)
    return Ran(fault or _SOUND, code, time.monotonic() - began, last_line)


def _pytest(copy: Path, tests: Iterable[str], seconds: float) -> tuple[int, str]:
    options = ("-x", "-n0", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=no", "-W", "ignore")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--basetemp={copy / 'tmp'}", *tests],
        cwd=copy,
        # The package of the copy and not the one that is installed, in the tests' own processes as well.
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    lines = failed or (done.stdout + done.stderr).strip().splitlines()[-1:]
    return done.returncode, lines[0].removeprefix("FAILED ").split(" - ")[0] if lines else ""


_SOUND: Final = Fault("sound", "", "", "", ())


if __name__ == "__main__":
    sys.exit(main())
