"""A unified diff as a stream of files and hunks, exact about every count.

unidiff 1.0 takes lines beyond a hunk's counts for free text and drops them, and it keeps an object
per line; both are wrong for evidence, so the hunk headers are walked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import BinaryIO

from omoi_os.domain.evidence import UnreadableCode
from omoi_os.evidence.limits import MIB, Deadline, ReadLimits

_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)", re.DOTALL)
_GIT_EXTENDED = re.compile(
    rb"(old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to"
    rb"|similarity index|dissimilarity index|index) (.*)"
)
_EMPTY_BLOB = re.compile(rb"(?:e69de29|473a0f4)[0-9a-f]*|0+")
_BINARY_PATCH = re.compile(rb"(?:literal|delta) \d+|[A-Za-z][!-~]{5,65}")
_NEW_PATCH = re.compile(rb"(?:commit|From) [0-9a-f]{7,64}\b")
_FREE = (b"Index: ", b"====", b"Only in ", b"Common subdirectories: ", b"Files ", b"diff ", b"# ")
_ESCAPE = re.compile(rb'\\([0-7]{3}|[abfnrtv"\\])')
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CHUNK = MIB
_LONGEST_LINE = 32 * MIB
_BATCH = 1_000


class BadDiff(Exception):
    """The text is not a diff that can be measured; `code` and the message say why."""

    def __init__(self, code: UnreadableCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def malformed(detail: str) -> BadDiff:
    return BadDiff(UnreadableCode.MALFORMED, detail)


@dataclass(frozen=True, slots=True)
class Hunk:
    """One hunk; `body` keeps the sign of each line and no line end, `signs` has one byte for each line."""

    old_start: int
    new_start: int
    heading: bytes
    body: list[bytes]
    signs: bytes


@dataclass(slots=True)
class FileDiff:
    """One file of a diff. A path is "" on the side where the file does not exist."""

    old: str = ""
    new: str = ""
    git_names: bytes | None = None
    extended: dict[bytes, bytes] = field(default_factory=dict)
    is_binary: bool = False
    hunks: int = 0
    next_line: int = 0
    named: bool = False

    @property
    def path(self) -> str:
        return self.new or self.old

    @property
    def mode(self) -> bytes:
        """The git mode after the change, or before it where the file is removed; "" when unknown."""
        for key in (b"new file mode", b"new mode", b"deleted file mode"):
            if key in self.extended:
                return self.extended[key]
        return self.extended.get(b"index", b"").partition(b" ")[2]


def walk(source: BinaryIO, limits: ReadLimits) -> Iterator[tuple[FileDiff, Hunk | None]]:
    """Yields each file once with None, when its header is complete, and then once per hunk.

    Raises:
        BadDiff: The text is no diff, is cut, lies about its counts, or passes a limit.
    """
    return _Walk(chain.from_iterable(_lines(source, limits))).run()


def _lines(source: BinaryIO, limits: ReadLimits) -> Iterator[list[bytes]]:
    deadline = Deadline(limits.max_seconds)
    size = count = 0
    rest = b""
    while chunk := source.read(_CHUNK):
        size += len(chunk)
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        count += len(lines)
        _check(size, count, len(rest), limits)
        if deadline.passed:
            raise BadDiff(UnreadableCode.TOO_SLOW, f"reading took more than {limits.max_seconds:g} seconds")
        yield lines
    if rest:
        yield [rest]


def _check(size: int, count: int, line: int, limits: ReadLimits) -> None:
    if size > limits.max_bytes:
        raise BadDiff(UnreadableCode.TOO_LARGE, f"the diff has more than {limits.max_bytes} bytes")
    if line > _LONGEST_LINE:
        raise BadDiff(UnreadableCode.TOO_LARGE, f"a line of the diff has more than {_LONGEST_LINE} bytes")
    if count > limits.max_items:
        raise BadDiff(UnreadableCode.TOO_MANY, f"the diff has more than {limits.max_items} lines")


class _Walk:
    """The state between two lines: the file that is open and whether its header has been handed out."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self.lines = lines
        self.number = 0
        self.file: FileDiff | None = None
        self.source: bytes | None = None
        self.given = False
        self.free = True
        self.any_text = False
        self.any_file = False

    def run(self) -> Iterator[tuple[FileDiff, Hunk | None]]:
        for line in self.lines:
            self.number += 1
            bare = line.rstrip(b"\r")
            if bare.startswith(b"@@"):
                yield from self._hunk(bare)
            elif bare.startswith((b"diff --git ", b"diff --cc ", b"diff --combined ")) or _NEW_PATCH.match(
                bare
            ):
                yield from self._close()
                self._open_git(bare)
            elif bare.startswith(b"--- ") and self.source is None:
                if self.file is None or self.file.named:
                    yield from self._close()
                self.source = bare[4:]
            elif self.source is not None:
                self._target(bare)
            else:
                yield from self._between(bare)
        if self.source is not None:
            raise malformed("the diff ends after a '---' line")
        yield from self._close()
        if self.any_text and not self.any_file:
            raise BadDiff(UnreadableCode.UNKNOWN_FORMAT, "the text contains no file header of a diff")

    def _hunk(self, line: bytes) -> Iterator[tuple[FileDiff, Hunk | None]]:
        if line.startswith(b"@@@"):
            raise _combined()
        header = _HUNK.match(line)
        if header is None:
            raise malformed(f"line {self.number} is a broken hunk header")
        if self.file is None or not self.file.named or self.source is not None:
            raise malformed(f"the hunk at line {self.number} belongs to no file")
        if self.file.is_binary:
            raise malformed(f"line {self.number} is a hunk in a binary file")
        old, new = int(header[2] or 1), int(header[4] or 1)
        if int(header[1]) < self.file.next_line:
            raise malformed(f"the hunk at line {self.number} lies above the one before it")
        self.file.next_line = int(header[1]) + old
        body, signs = self._body(old, new)
        self.file.hunks += 1
        yield from self._give()
        yield self.file, Hunk(int(header[1]), int(header[3]), header[5], body, signs)

    def _body(self, old: int, new: int) -> tuple[list[bytes], bytes]:
        begun = self.number
        body: list[bytes] = []
        signs: list[bytes] = []
        while old > 0 or new > 0:
            # No line counts more than once on a side, so as many lines at least belong to the hunk. A header
            # that claims a billion of them is found out early.
            lines = list(islice(self.lines, min(max(old, new), _BATCH)))
            if not lines:
                raise malformed(f"the diff ends inside the hunk at line {begun}")
            first = [line[:1] for line in lines]
            minus, plus = first.count(b"-"), first.count(b"+")
            read = len(lines)
            if minus + plus + first.count(b" ") != read:
                lines, first = self._unusual(lines, begun)
            self.number += read
            old -= len(lines) - plus
            new -= len(lines) - minus
            body += lines
            signs += first
        if old or new:
            raise malformed(f"the hunk at line {begun} has other lines than its header counts")
        return body, b"".join(signs)

    def _unusual(self, lines: list[bytes], begun: int) -> tuple[list[bytes], list[bytes]]:
        """The lines that count and their signs, where an empty line has lost its blank."""
        kept: list[bytes] = []
        signs: list[bytes] = []
        for number, line in enumerate(lines, self.number + 1):
            sign = line[:1] if line.rstrip(b"\r") else b" "
            if sign in (b"+", b"-", b" "):
                kept.append(line)
                signs.append(sign)
            elif sign != b"\\":
                raise malformed(f"line {number} is no line of the hunk at line {begun}")
        return kept, signs

    def _open_git(self, line: bytes) -> None:
        if not line.startswith(b"diff "):
            self.free, self.any_text = True, True
            return
        if not line.startswith(b"diff --git "):
            raise _combined()
        self.free = False
        self.any_file = True
        self.file = FileDiff(git_names=line[11:])
        self.given = False

    def _target(self, line: bytes) -> None:
        if not line.startswith(b"+++ "):
            if self.free and self.file is None:
                # A commit message may hold a line that begins with three dashes.
                self.source, self.any_text = None, True
                return
            raise malformed(f"line {self.number} should begin with '+++'")
        if self.file is None:
            self.file, self.given = FileDiff(), False
        self.any_file, self.free = True, False
        old, new = _header_path(self.source or b"", b"a"), _header_path(line[4:], b"b")
        _agree(self.file, old, new, self.number)
        self.file.old, self.file.new, self.file.named = old, new, True
        self.source = None

    def _between(self, line: bytes) -> Iterator[tuple[FileDiff, Hunk | None]]:
        if not line or line.startswith(b"\\ "):
            return
        self.any_text = True
        if self.free:
            if line.startswith((b"Binary files ", b"Files ")) and line.endswith(b" differ"):
                yield from self._plain_binary(line)
            return
        if self.file is not None and not self.file.hunks and self._extended(self.file, line):
            return
        if line in (b"-- ", b"--"):
            yield from self._close()
            self.free = True
            return
        if line.startswith(_FREE):
            yield from self._close()
            return
        if line.startswith((b"Binary files ", b"Files ")) and line.endswith(b" differ"):
            yield from self._plain_binary(line)
            return
        raise malformed(f"line {self.number} belongs to no hunk")

    def _extended(self, file: FileDiff, line: bytes) -> bool:
        if file.is_binary:
            return _BINARY_PATCH.fullmatch(line) is not None
        if file.git_names is None:
            return False
        if line == b"GIT binary patch" or (line.startswith(b"Binary files ") and line.endswith(b" differ")):
            file.is_binary = True
            return True
        found = _GIT_EXTENDED.match(line)
        if found is None or file.named:
            return False
        file.extended[found[1]] = found[2]
        return True

    def _plain_binary(self, line: bytes) -> Iterator[tuple[FileDiff, Hunk | None]]:
        yield from self._close()
        old, _, new = (
            line.partition(b" ")[2].removeprefix(b"files ").removesuffix(b" differ").partition(b" and ")
        )
        self.file = FileDiff(_header_path(old, b"a"), _header_path(new, b"b"), is_binary=True, named=True)
        self.any_file, self.given = True, False
        yield from self._close()

    def _give(self) -> Iterator[tuple[FileDiff, Hunk | None]]:
        if self.file is not None and not self.given:
            self.given = True
            yield self.file, None

    def _close(self) -> Iterator[tuple[FileDiff, Hunk | None]]:
        file = self.file
        if file is None:
            return
        if not file.hunks:
            _complete(file, self.number)
        yield from self._give()
        self.file = None


def _combined() -> BadDiff:
    return BadDiff(
        UnreadableCode.UNKNOWN_FORMAT,
        "it is a combined diff of a merge, which cannot say what one side changed",
    )


def _complete(file: FileDiff, number: int) -> None:
    """Names a file that has no hunks, from git's own header, and refuses one whose hunks are missing."""
    if file.named:
        if file.is_binary:
            return
        raise malformed(f"the file that ends at line {number} has a header and no hunk")
    extended = file.extended
    if not extended:
        raise malformed(f"the file that ends at line {number} has a header and nothing else")
    if not file.is_binary and b"index" in extended:
        ids = extended[b"index"].partition(b" ")[0].split(b"..")
        if not all(_EMPTY_BLOB.fullmatch(one) for one in ids):
            raise malformed(f"the file that ends at line {number} has a change and no hunk")
    old, new = git_names(file)
    file.old = "" if b"new file mode" in extended else old
    file.new = "" if b"deleted file mode" in extended else new
    file.named = True


def git_names(file: FileDiff) -> tuple[str, str]:
    """The two paths of a `diff --git` line."""
    for key in (b"rename", b"copy"):
        if key + b" from" in file.extended and key + b" to" in file.extended:
            return _text(_unquote(file.extended[key + b" from"])), _text(
                _unquote(file.extended[key + b" to"])
            )
    names = file.git_names or b""
    quoted = re.fullmatch(rb'("(?:\\.|[^"\\])*"|\S+) ("(?:\\.|[^"\\])*"|\S+)', names)
    if quoted:
        return _header_path(quoted[1], b"a"), _header_path(quoted[2], b"b")
    half = len(names) // 2
    old, new = _header_path(names[:half], b"a"), _header_path(names[half + 1 :], b"b")
    if old != new:
        raise malformed("a 'diff --git' line names two paths that cannot be told apart")
    return old, new


def _agree(file: FileDiff, old: str, new: str, number: int) -> None:
    # A header that names a document above hunks of a source file would hide the source file.
    if not old and not new:
        raise malformed(f"the file at line {number} exists on neither side")
    if file.git_names is None:
        return
    first, second = git_names(file)
    if (old and old != first) or (new and new != second):
        raise malformed(f"the file names at line {number} contradict the 'diff --git' line above them")


def _header_path(raw: bytes, side: bytes) -> str:
    name = _unquote(raw) if raw.startswith(b'"') else raw.partition(b"\t")[0]
    if name == b"/dev/null":
        return ""
    if name[:2] in (side + b"/", b"i/", b"w/", b"c/", b"o/", b"1/", b"2/"):
        name = name[2:]
    return _text(name)


def _unquote(raw: bytes) -> bytes:
    raw = raw.strip()
    if len(raw) < 2 or not (raw.startswith(b'"') and raw.endswith(b'"')):
        return raw

    def plain(found: re.Match[bytes]) -> bytes:
        sign = found[1]
        return bytes([int(sign, 8) & 0xFF]) if len(sign) == 3 else _LETTERS.get(sign, sign)

    return _ESCAPE.sub(plain, raw[1:-1])


def _text(name: bytes) -> str:
    return _CONTROL.sub("�", name.decode("utf-8", "replace"))
