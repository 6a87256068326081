"""The changes reader: a unified diff becomes `ChangeFacts`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import compress
from typing import BinaryIO

from omoi_os.domain.evidence import ChangeFacts, Unreadable, UnreadableCode, Weakening
from omoi_os.evidence.codetext import Hints, Side, inline_regions, read_side
from omoi_os.evidence.languages import Kind, PathInfo, describe_path
from omoi_os.evidence.limits import ReadLimits
from omoi_os.evidence.testwords import WORDS
from omoi_os.evidence.unified import BadDiff, FileDiff, Hunk, walk

_FIXES = {
    UnreadableCode.UNKNOWN_FORMAT: "Attach the output of `git diff <base>`.",
    UnreadableCode.MALFORMED: "Write the diff again with `git diff <base>` and do not edit it.",
}
_SYMLINK, _SUBMODULE = b"120000", b"160000"


def read_diff(source: BinaryIO, limits: ReadLimits = ReadLimits()) -> ChangeFacts | Unreadable:  # noqa: B008 frozen
    """Measures what a diff changes.

    A file that is renamed counts under both names, so code that becomes a document is still changed
    code. A submodule counts as code: what it changes cannot be seen here.
    """
    tally = _Tally()
    try:
        for file, hunk in walk(source, limits):
            if hunk is None:
                tally.open(file)
            else:
                tally.read(hunk)
    except BadDiff as bad:
        return Unreadable(bad.code, bad.detail, _FIXES.get(bad.code, "Split the change or raise the limit."))
    return tally.facts()


@dataclass(slots=True)
class _FileTally:
    """What one path adds and removes; assertions and skips by their text, so that moved ones cancel."""

    path: str
    info: PathInfo
    is_new: bool = False
    is_deleted: bool = False
    added: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    skips: list[tuple[int, str]] = field(default_factory=list)
    removed_skips: Counter[str] = field(default_factory=Counter)
    new_tests: list[str] = field(default_factory=list)
    lost_tests: list[str] = field(default_factory=list)
    hidden: bool = False


class _Tally:
    def __init__(self) -> None:
        self.files: dict[str, _FileTally] = {}
        self.kinds: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        self.deleted_files: set[str] = set()
        self.weakenings: list[Weakening] = []
        self.current: _FileTally | None = None

    def open(self, file: FileDiff) -> None:
        for path in {file.old, file.new} - {""}:
            self._place(path, file)
        info = describe_path(file.path)
        reads_text = file.mode != _SYMLINK and info.language and info.kind is not Kind.TEST_SUPPORT
        self.current = None
        if not reads_text:
            return
        tally = self.files.setdefault(file.path, _FileTally(file.path, info, is_new=not file.old))
        tally.is_deleted = not file.new
        tally.hidden = tally.hidden or (
            file.is_binary and info.kind is Kind.TEST and bool(file.old and file.new)
        )
        self.current = tally

    def _place(self, path: str, file: FileDiff) -> None:
        kind = describe_path(path).kind
        if file.mode == _SUBMODULE:
            kind = Kind.CODE
        elif file.mode == _SYMLINK and kind is not Kind.CODE:
            # The text of a link is a path: it can neither assert nor document anything.
            kind = Kind.OTHER
        was_test = kind is Kind.TEST and path == file.old
        if was_test and describe_path(file.path).kind is not Kind.TEST:
            self.deleted_files.add(path)
            self.weakenings.append(
                Weakening("deleted_test", path, f"renamed to {file.new}, which is not collected as a test")
            )
        elif kind in (Kind.TEST, Kind.TEST_SUPPORT) and path != file.path:
            return
        elif kind in (Kind.TEST, Kind.TEST_SUPPORT) and not file.new:
            self.deleted_files.add(path)
        else:
            self.kinds[kind].add(path)

    def read(self, hunk: Hunk) -> None:
        tally = self.current
        if tally is None:
            return
        words = WORDS[tally.info.language]
        if tally.info.kind is not Kind.TEST and words.inline is None:
            return
        hints = Hints(words, hunk.body, hunk.signs)
        if not hints:
            return
        old, new = _side(hunk, b"-", tally, hints), _side(hunk, b"+", tally, hints)
        for counter, texts in (
            (tally.added, new.asserts),
            (tally.removed, old.asserts),
            (tally.removed_skips, old.skips),
        ):
            if texts:
                counter.update(texts.values())
        tally.skips += [(hunk.new_start + line, text) for line, text in new.skips.items()]
        renamed = _renames(hunk, old, new)
        tally.new_tests += new.tests.values()
        tally.lost_tests += [name for line, name in old.tests.items() if line not in renamed]

    def facts(self) -> ChangeFacts:
        files = sorted(self.files.values(), key=lambda one: one.path)
        new_tests = [name for one in files for name in one.new_tests]
        deleted = self._deleted_tests(files, Counter(new_tests))
        self._moved(files)
        skips = self._skips(files)
        asserting = tuple(one.path for one in files if self._asserts(one))
        tests = self.kinds[Kind.TEST] | self.kinds[Kind.TEST_SUPPORT]
        return ChangeFacts(
            code_files=_sorted(self.kinds[Kind.CODE]),
            test_files=_sorted(tests - self.deleted_files),
            document_files=_sorted(self.kinds[Kind.DOCUMENT]),
            other_files=_sorted(self.kinds[Kind.OTHER]),
            deleted_test_files=_sorted(self.deleted_files),
            new_tests=_sorted(new_tests),
            deleted_tests=_sorted(deleted),
            asserting_tests=asserting,
            added_assertions=self.total_added,
            removed_assertions=self.total_removed,
            added_skips=skips,
            weakenings=tuple(sorted(self.weakenings, key=lambda one: (one.where, one.kind, one.what))),
        )

    def _deleted_tests(self, files: list[_FileTally], added: Counter[str]) -> list[str]:
        deleted = []
        for one in files:
            for name in one.lost_tests:
                if added[name] > 0:
                    added[name] -= 1
                else:
                    deleted.append(name)
                    self.weakenings.append(Weakening("deleted_test", one.path, name))
            if one.is_deleted and one.info.kind is Kind.TEST and not one.lost_tests:
                self.weakenings.append(Weakening("deleted_test", one.path, "the whole file"))
        return deleted

    def _moved(self, files: list[_FileTally]) -> None:
        """Takes out assertions that only changed their place, within a file first and then between files."""
        self.total_added = sum(one.added.total() for one in files)
        self.total_removed = sum(one.removed.total() for one in files)
        for one in files:
            _cancel(one.added, one.removed)
        everywhere: Counter[str] = Counter()
        for one in files:
            everywhere.update(one.removed)
        for one in files:
            moved = one.added & everywhere
            one.added -= moved
            everywhere -= moved
            _take(files, moved)

    def _skips(self, files: list[_FileTally]) -> int:
        gone: Counter[str] = Counter()
        for one in files:
            gone.update(one.removed_skips)
        count = 0
        for one in files:
            for line, text in one.skips:
                if gone[text] > 0:
                    gone[text] -= 1
                    continue
                count += 1
                self.weakenings.append(Weakening("added_skip", f"{one.path}:{line}", text[:200]))
        return count

    def _asserts(self, one: _FileTally) -> bool:
        added, removed = one.added.total(), one.removed.total()
        if one.hidden:
            what = "the change cannot be read: git takes the file for binary"
            self.weakenings.append(Weakening("removed_assertions", one.path, what))
            return False
        if removed > added and not one.is_deleted:
            what = f"{_assertions(removed)} removed, {added} added"
            self.weakenings.append(Weakening("removed_assertions", one.path, what))
        if one.is_deleted or added <= removed:
            return False
        # The whole text of a new file is here: without a test in it, its assertions never run.
        return bool(one.new_tests) or not one.is_new


def _assertions(count: int) -> str:
    return f"{count} assertion{'' if count == 1 else 's'}"


def _cancel(first: Counter[str], second: Counter[str]) -> None:
    common = first & second
    first -= common
    second -= common


def _take(files: Iterable[_FileTally], moved: Counter[str]) -> None:
    for one in files:
        if not moved:
            return
        found = one.removed & moved
        one.removed -= found
        moved = moved - found


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


_NO_SIDE = Side()
# For each sign: the lines that have it, and all lines of its side of the hunk.
_MINE = {b"-": bytes(c == 45 for c in range(256)), b"+": bytes(c == 43 for c in range(256))}
_KEPT = {b"-": bytes(c != 43 for c in range(256)), b"+": bytes(c != 45 for c in range(256))}


def _side(hunk: Hunk, sign: bytes, tally: _FileTally, hints: Hints) -> Side:
    mine = hunk.signs.translate(_MINE[sign])
    # Half of the sides of a real diff end here; decoding and lexing are what costs.
    if 1 not in mine or not hints.matter(b"\n".join(compress(hunk.body, mine))):
        return _NO_SIDE
    kept = hunk.signs.translate(_KEPT[sign])
    raw = b"\n".join([line[1:] for line in compress(hunk.body, kept)])
    text = raw.decode("utf-8", "replace").replace("\r\n", "\n").removesuffix("\r")
    counts = list(compress(mine, kept))
    if tally.info.kind is not Kind.TEST:
        heading = hunk.heading.decode("utf-8", "replace")
        regions = inline_regions(text.split("\n"), hints.words, heading)
        counts = [mark & inside for mark, inside in zip(counts, regions, strict=True)]
    start = hunk.old_start if sign == b"-" else hunk.new_start
    return read_side(text, counts, hints, from_top=start <= 1)


_BLOCKS = re.compile(r"-+\+*|\++")


def _renames(hunk: Hunk, old: Side, new: Side) -> set[int]:
    """Old lines whose test got another name in place: its block of changed lines loses no assertion."""
    if not old.tests or not new.tests:
        return set()
    signs = hunk.signs.decode("ascii")
    renamed: set[int] = set()
    for block in _BLOCKS.finditer(signs):
        minus, plus = block.group().count("-"), block.group().count("+")
        first_old = block.start() - signs.count("+", 0, block.start())
        first_new = block.start() - signs.count("-", 0, block.start())
        removed = range(first_old, first_old + minus)
        added = range(first_new, first_new + plus)
        lost = Counter(old.asserts[line] for line in removed if line in old.asserts)
        lost -= Counter(new.asserts[line] for line in added if line in new.asserts)
        names = sum(line in new.tests for line in added)
        if not lost:
            renamed.update([line for line in removed if line in old.tests][:names])
    return renamed
