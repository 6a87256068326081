"""Side-by-side timing. The machine is shared, so only ratios of interleaved rounds are worth printing."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table

# Linux counts ru_maxrss in KiB, macOS in bytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024

# The peak of a child starts at the peak of its parent (fork and exec keep ru_maxrss), which hides a small
# reader behind a large benchmark. VmHWM starts afresh with the new program, so it is preferred.
_PEAK = """
import resource
def _peak():
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * {unit}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number beside its target.

    Attributes:
        what: What is compared with what ("read_junit / bare parse, 10 MB").
        measured: The ratio or number; its unit belongs into `what`.
        target: The limit, or None for a number that is only for information.
        better: Whether the target is a ceiling ("lower") or a floor ("higher").
        note: The absolute numbers behind it ("0.41 s / 0.35 s").
    """

    what: str
    measured: float
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the target is met; a row without one always is."""
        if self.target is None:
            return True
        return self.measured <= self.target if self.better == "lower" else self.measured >= self.target


def interleave(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each contender, after one warm-up round.

    Every round runs all of them once, forwards and backwards in turn, so that a slow minute of the machine
    and the warmth that a neighbour leaves behind hit all alike.
    """
    names = list(contenders)
    for name in names:
        contenders[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            seconds[name].append(_timed(contenders[name]))
    return {name: statistics.median(values) for name, values in seconds.items()}


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak_growth(code: str, setup: str = "") -> int:
    """Bytes by which `code` raises the peak memory of a fresh interpreter.

    Args:
        code: Python statements, at top level.
        setup: Statements that run before the first measurement: put the imports there.

    Raises:
        subprocess.CalledProcessError: The code failed; its traceback went to stderr.
    """
    script = "\n".join(
        (_PEAK.format(unit=_RSS_UNIT), setup, "_before = _peak()", code, "print('growth', _peak() - _before)")
    )
    return int(_last_word(script))


def interleave_fresh(contenders: Mapping[str, str], rounds: int, setup: str = "") -> dict[str, float]:
    """Like `interleave`, but every run has an interpreter of its own; `setup` is not timed.

    For contenders that leave a large heap behind: what runs after them in the same process pays for it.
    """
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            lines = ("import time", setup, "_start = time.perf_counter()", contenders[name])
            script = "\n".join((*lines, "print('seconds', time.perf_counter() - _start)"))
            seconds[name].append(float(_last_word(script)))
    return {name: statistics.median(values) for name, values in seconds.items()}


def _last_word(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.rsplit(maxsplit=1)[-1]


def table(rows: Iterable[Row], title: str = "") -> None:
    """Print the rows; a missed target is named in words, not only in colour."""
    grid = Table(title=title or None)
    grid.add_column("what")
    grid.add_column("measured", justify="right")
    grid.add_column("target", justify="right")
    grid.add_column("")
    grid.add_column("behind it")
    for row in rows:
        sign = "<=" if row.better == "lower" else ">="
        target = "" if row.target is None else f"{sign} {row.target:g}"
        answer = "" if row.target is None else ("ok" if row.reached else "MISSED")
        grid.add_row(row.what, f"{row.measured:.2f}", target, answer, row.note)
    Console().print(grid)
