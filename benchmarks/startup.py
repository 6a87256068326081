"""How long a person waits for `omoi --help`, beside an interpreter that does nothing.

uv run python -m benchmarks.startup
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks._bench import Row, interleave, table

ROUNDS = 21
LONGEST = 0.5


def _runs(*command: str) -> Callable[[], object]:
    # With it, every run would compile the modules again: that is not what a person waits for.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return lambda: subprocess.run(command, env=environment, check=True, capture_output=True)


def main() -> None:
    omoi = str(Path(sys.executable).with_name("omoi"))
    seconds = interleave(
        {
            "nothing": _runs(sys.executable, "-c", "pass"),
            "version": _runs(omoi, "--version"),
            "help": _runs(omoi, "--help"),
        },
        ROUNDS,
    )
    nothing = seconds["nothing"]
    rows = [Row("omoi --help, seconds", seconds["help"], LONGEST)]
    for name in ("version", "help"):
        behind = f"{seconds[name] * 1000:.0f} ms / {nothing * 1000:.0f} ms"
        rows.append(Row(f"omoi --{name} / python -c pass", seconds[name] / nothing, note=behind))
    table(rows, f"Start of the command, medians of {ROUNDS} rounds")


if __name__ == "__main__":
    main()
