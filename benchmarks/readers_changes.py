"""The changes reader against unidiff and a bare loop over the lines, and a git range of 5,000 files.

Run it by `python -m benchmarks.readers_changes`.

The diffs are synthetic, 10 MB each: hunks of three context lines around changed ones. In the one half
of the files are tests; in the other all are, which is the most work that a diff can ask for.
"""

from __future__ import annotations

import io
import random
import subprocess
import tempfile
from pathlib import Path

from unidiff.patch import PatchSet

from benchmarks._bench import Row, interleave, table
from omoi_os.domain.evidence import ChangeFacts
from omoi_os.evidence.git import GitDiff, open_range
from omoi_os.evidence.gitdiff import read_diff

SIZE = 10_000_000
ROUNDS = 5
LIMIT = 1.5
FILES = 5_000

_LINES = (
    "    total = sum(item.price for item in basket.items)",
    "    # A comment about the next line",
    '    name = "a string with some text in it"',
    "    assert total == basket.total",
    "    if total > limit and not basket.is_empty:",
    "        return basket.discounted(total, rate=0.1)",
    "",
)


def make_diff(test_share: float, seed: int = 1) -> bytes:
    """A git diff of `SIZE` bytes, in which that share of the files are tests."""
    chance = random.Random(seed)
    parts: list[str] = []
    size = number = 0
    while size < SIZE:
        number += 1
        path = f"tests/test_{number}.py" if chance.random() < test_share else f"src/module_{number}.py"
        text = f"diff --git a/{path} b/{path}\nindex 1111111..2222222 100644\n--- a/{path}\n+++ b/{path}\n"
        text += "".join(_hunk(chance, place) for place in range(1, 20))
        parts.append(text)
        size += len(text)
    return "".join(parts).encode()


def _hunk(chance: random.Random, place: int) -> str:
    removed, added = chance.randrange(1, 6), chance.randrange(1, 12)
    start = place * 40
    signs = " " * 3 + "-" * removed + "+" * added + " " * 3
    body = "".join(f"{sign}{chance.choice(_LINES)}\n" for sign in signs)
    name = f" def test_number_{start}():\n"
    return f"@@ -{start},{removed + 7} +{start},{added + 7} @@\n{name}{body}"


def as_typescript(raw: bytes) -> bytes:
    """The same diff in a language whose tests may span lines, so that the context of a change counts too."""
    raw = raw.replace(b".py", b".test.ts").replace(b"    # A", b"    // A")
    return raw.replace(b"assert total == basket.total", b"expect(total).toBe(basket.total);")


def bare_loop(raw: bytes) -> int:
    """Decode the lines and look at their signs: what no reader of a diff can leave out."""
    changed = 0
    for line in io.TextIOWrapper(io.BytesIO(raw), "utf-8", newline="\n"):
        if line[0] in "+-":
            changed += 1
    return changed


def reader_rows(name: str, raw: bytes) -> list[Row]:
    """The three parses of one diff, interleaved."""
    text = raw.decode()
    seconds = interleave(
        {
            "reader": lambda: read_diff(io.BytesIO(raw)),
            "unidiff": lambda: PatchSet(text),
            "loop": lambda: bare_loop(raw),
        },
        ROUNDS,
    )
    assert isinstance(read_diff(io.BytesIO(raw)), ChangeFacts)
    rows = []
    for other, target in (("unidiff", LIMIT), ("loop", None)):
        note = f"{seconds['reader'] * 1000:.0f} ms / {seconds[other] * 1000:.0f} ms"
        rows.append(
            Row(f"read_diff / {other}, {name}", seconds["reader"] / seconds[other], target, note=note)
        )
    return rows


def _git(where: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gc.auto=0")
    subprocess.run(["git", *identity, *arguments], cwd=where, check=True, capture_output=True)


def range_rows() -> list[Row]:
    """A repository of `FILES` files, of which fifty are changed and ten are new, against `git status`."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(FILES):
            path = root / f"pkg{number % 100}" / f"module_{number}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"value = {number}\n" * 100)
        _git(root, "init", "-q", "-b", "main")
        _git(root, "add", "-A")
        _git(root, "commit", "-q", "-m", "start")
        for number in range(60):
            (root / f"pkg{number}" / f"module_{number if number < 50 else number + FILES}.py").write_text(
                "a\n"
            )
        assert isinstance(open_range(root, None), GitDiff)
        seconds = interleave(
            {"range": lambda: open_range(root, None), "status": lambda: _git(root, "status", "--short")},
            ROUNDS,
        )
    note = f"plain `git status`: {seconds['status']:.3f} s"
    return [Row(f"open_range, {FILES:,} files, seconds", seconds["range"], 1.0, note=note)]


def main() -> None:
    rows = reader_rows("10 MB, half tests", make_diff(0.5))
    rows += reader_rows("10 MB, all tests", make_diff(1.0))
    rows += reader_rows("10 MB, all tests, TypeScript", as_typescript(make_diff(1.0)))
    rows += range_rows()
    table(rows, "changes")


if __name__ == "__main__":
    main()
