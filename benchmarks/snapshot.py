"""A snapshot and a digest beside `cp -r`, `git archive | tar x` and bare SHA-256. Run it as a program.

By `python -m benchmarks.snapshot`. The trees are of random bytes, 10 kB per file: 10 MB and 100 MB. Copies go
to the temporary folder (TMPDIR); where that is a disk, its write-back is most of the noise.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

from benchmarks._bench import Row, interleave, table
from omoi_os.evidence.git import GitDiff, open_range
from omoi_os.evidence.snapshot import Snapshot, remove_snapshot, take_snapshot, workspace_digest

SIZES = (1_000, 10_000)
FILE_BYTES = 10_000
ROUNDS = 7
COPY_ROUNDS = 3


def make_tree(root: Path, files: int) -> None:
    """A repository with one commit, a changed file and a new one."""
    chance = random.Random(1)
    for number in range(files):
        path = root / f"package{number % 100}" / f"module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(FILE_BYTES))
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gc.auto=0")
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "start")):
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    (root / "package0" / "module_0.py").write_text("a = 1\n")
    (root / "new.py").write_text("b = 1\n")


def rows(files: int, folder: Path) -> list[Row]:
    """The contenders on one tree; copies stay until the end, so that removing them is not timed."""
    root, store = folder / "tree", folder / "store"
    make_tree(root, files)
    (folder / "copies").mkdir()
    copies = (folder / "copies" / str(number) for number in count())
    names = (store / str(number) for number in count())
    held: list[Snapshot] = []
    copying: dict[str, Callable[[], object]] = {
        "cp": lambda: subprocess.run(["cp", "-r", root, next(copies)], check=True),
        "archive": lambda: _archive(root, next(copies)),
        "snapshot": lambda: held.append(_taken(root, next(names))),
    }
    reading: dict[str, Callable[[], object]] = {
        "digest": lambda: workspace_digest(root),
        "bare": lambda: _bare(root),
    }
    with _taken(root, store / "one") as snapshot:
        diffs: dict[str, Callable[[], object]] = {
            "change": snapshot.change,
            "live": lambda: open_range(root, None),
        }
        assert isinstance(snapshot.change(), GitDiff)
        assert snapshot.digest == workspace_digest(root)
        seconds = interleave(reading, ROUNDS) | interleave(diffs, ROUNDS)
    seconds |= interleave(copying, COPY_ROUNDS)
    for one in held:
        remove_snapshot(one)
    # In a small tree the six starts of git are most of the time.
    large = files > SIZES[0]
    pairs = [
        ("snapshot", "cp", 2.5 if large else None),
        ("snapshot", "archive", 2.0 if large else None),
        ("digest", "bare", 3.0 if large else None),
        ("change", "live", 1.5),
    ]
    return [
        Row(
            f"{ours} / {theirs}, {files:,} files",
            seconds[ours] / seconds[theirs],
            target,
            note=f"{seconds[ours] * 1000:.0f} ms / {seconds[theirs] * 1000:.0f} ms",
        )
        for ours, theirs, target in pairs
    ]


def _taken(root: Path, into: Path) -> Snapshot:
    found = take_snapshot(root, into)
    assert isinstance(found, Snapshot), found
    return found


def _archive(root: Path, copy: Path) -> None:
    copy.mkdir()
    with subprocess.Popen(["git", "archive", "HEAD"], cwd=root, stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "x"], cwd=copy, stdin=archive.stdout, check=True)


def _bare(root: Path) -> None:
    for path in root.glob("package*/*"):
        hashlib.sha256(path.read_bytes())


def main() -> None:
    found = []
    for files in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            found += rows(files, Path(folder).resolve())
    table(found, "snapshot")


if __name__ == "__main__":
    main()
