"""lcov's tracefile: one record per source file, `DA:<line>,<hits>[,<checksum>]` for each line."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from omoi_os.domain.evidence import CoverageFacts
from omoi_os.evidence.coverage.lines import (
    HIT,
    LISTED,
    MAX_DIGITS,
    LineMarks,
    check_line,
    conclude,
    percent_of,
    plain_count,
)
from omoi_os.evidence.coverage.source import CHUNK, Source, malformed, too_many

# Functions, branches, conditions and names: known, and not what is counted here. A key that is not known
# ends the read, since it might be a "DA" that went wrong.
_IGNORED = {
    b"TN",
    b"VER",
    b"FN",
    b"FNDA",
    b"FNF",
    b"FNH",
    b"FNL",
    b"FNA",
    b"BRDA",
    b"BRF",
    b"BRH",
    b"MCDC",
    b"MCF",
    b"MCH",
}
_TOTALS = (b"LF", b"LH")
KEYS = {*_IGNORED, *_TOTALS, b"SF", b"DA"}

_DA = re.compile(r"(\d{1,10}),(\d{1,20})(?:,[\w+/=-]*)?", re.ASCII)
_RUN_END = re.compile(rb"\n(?!DA:)")
_PAIR = re.compile(rb"\nDA:([0-9]++,[0-9]++),")
_DIGITS = b"0123456789"
_OF_CHECKSUMS = _DIGITS + b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_+/=-"
# A block is less than two chunks, and what is left of a line in it is as short as this.
_PLAIN_SHAPE, _CHECKSUM_SHAPE = b"DA:,\n" * (2 * CHUNK // 5), b":,,\n" * (2 * CHUNK // 4)
_COMMAS = bytes.maketrans(b"\n", b",")
_numbers = msgspec.json.Decoder(list[Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]])


class Lcov:
    """The state of one read.

    A run of "DA" lines is rewritten as a JSON array and decoded at once: a loop that takes each line apart
    needs four times as long as a bare one. What has any other shape goes the long way, line by line.
    """

    def __init__(self, marks: LineMarks) -> None:
        self.marks = marks
        self.current: bytearray | None = None
        self._totals = dict.fromkeys(_TOTALS, 0)

    def take(self, block: bytes) -> None:
        """Read a block of whole lines."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        place, quick = 0, True
        while (start := _next_run(block, place)) >= 0:
            self._one_by_one(block[place:start])
            place = _quick_end(block, start) if quick else _sure_end(block, start)
            read = self._run(block[start:place])
            if not read and quick:
                quick, place = False, start
            elif not read:
                self._one_by_one(block[start:place])
        self._one_by_one(block[place:])

    def _run(self, run: bytes) -> bool:
        numbers = _decoded(_with_checksums(run) if _has_checksum(run) else _plain(run))
        if not numbers:
            return False
        lines, mark = self._open_record(), self.marks.mark
        self.marks.reach(lines, check_line(numbers[-2]))
        pairs = iter(numbers)
        for number, hits in zip(pairs, pairs, strict=True):
            try:
                if hits:
                    lines[number] = HIT
                elif not lines[number]:
                    lines[number] = LISTED
            except IndexError:
                mark(lines, check_line(number), HIT if hits else LISTED)
        if lines[0]:
            raise malformed("a line has the number 0")
        return True

    def _one_by_one(self, block: bytes) -> None:
        for line in block.splitlines():
            key, colon, value = line.partition(b":")
            if line == b"end_of_record":
                self._end()
            elif key in _TOTALS and value.isdigit() and len(value) < MAX_DIGITS:
                self._totals[key] += int(value)
            elif colon and key == b"SF":
                self._begin(value.decode("utf-8", "replace").rstrip())
            elif not (colon and key in _IGNORED):
                self._line(line.decode("utf-8", "replace").strip())

    def _line(self, text: str) -> None:
        key, colon, value = text.partition(":")
        if key == "end_of_record" and not colon:
            self._end()
        elif key == "DA":
            self._data(value)
        elif key == "SF":
            self._begin(value)
        elif key in ("LF", "LH"):
            self._totals[key.encode()] += plain_count(value.strip(), f"the header {key}")
        elif text and not text.startswith("#"):
            raise malformed(f"the line {text[:40]!r} is none of lcov's")

    def _begin(self, path: str) -> None:
        if self.current is not None:
            raise malformed(f"the record before {path[:80]!r} has no end")
        self.current = self.marks.of(path)

    def _end(self) -> None:
        if self.current is None:
            raise malformed("an end_of_record ends no record")
        self.current = None

    def _data(self, value: str) -> None:
        match = _DA.fullmatch(value)
        if match is None:
            raise malformed(f"the line 'DA:{value[:40]}' is not a number and a count of hits")
        number = check_line(int(match[1]))
        self.marks.mark(self._open_record(), number, HIT if int(match[2]) else LISTED)

    def _open_record(self) -> bytearray:
        if self.current is None:
            raise malformed("a line stands outside of any source file")
        return self.current

    def conclude(self) -> CoverageFacts:
        if self.current is not None:
            raise malformed("the report ends in the middle of a record")
        found, hit = self._totals[b"LF"], self._totals[b"LH"]
        declared = percent_of(hit, found, "LH of LF") if found or hit else None
        return conclude("lcov", self.marks, (declared, "LH of LF"))


def _next_run(block: bytes, place: int) -> int:
    """Where the next "DA" line starts, or -1."""
    if block.startswith(b"DA:", place):
        return place
    return block.find(b"\nDA:", place) + 1 or -1  # not found is -1


def _quick_end(block: bytes, start: int) -> int:
    """Where a run ends if it holds all "DA" lines of its record: found without a look at each line.

    Of another run the shape is wrong. To guess anew for each run of such a record would take quadratic time,
    so a block gets one wrong guess.
    """
    end = block.find(b"\nend_of_record", start)
    last = block.rfind(b"\nDA:", start, end if end >= 0 else len(block))
    end = block.find(b"\n", max(start, last + 1))
    return end if end >= 0 else len(block)


def _sure_end(block: bytes, start: int) -> int:
    end = _RUN_END.search(block, start)
    return end.start() if end else len(block)


def _has_checksum(run: bytes) -> bool:
    return run.count(b",", 0, run.find(b"\n")) > 1


def _plain(run: bytes) -> bytes:
    """Line, hits, line, hits … between commas, if every line of a run is a plain pair; else nothing.

    A run starts with "DA:", so a line of this shape with digits and one comma can be nothing else.
    """
    shape = run.translate(None, _DIGITS)
    if len(shape) % 5 != 4 or not _PLAIN_SHAPE.startswith(shape):
        return b""
    return run.translate(_COMMAS, b"DA:")


def _with_checksums(run: bytes) -> bytes:
    """The same, if every line is a pair and a checksum.

    Each line has one colon, so as many pairs as lines leave no room for a line of another kind.
    """
    shape = run.translate(None, _OF_CHECKSUMS)
    if len(shape) % 4 != 3 or not _CHECKSUM_SHAPE.startswith(shape):
        return b""
    found = _PAIR.findall(b"\n" + run)
    return b",".join(found) if len(found) == len(shape) // 4 + 1 else b""


def _decoded(flat: bytes) -> list[int]:
    try:
        return _numbers.decode(b"[" + flat + b"]")
    except msgspec.DecodeError:
        return []


def read_lcov(source: Source, head: bytes) -> CoverageFacts:
    """Read an lcov tracefile.

    Raises:
        Refused: For every reason but a stream that cannot be read.
    """
    lcov = Lcov(LineMarks(source.limits))
    rest, count = b"", 0
    for chunk in source.chunks(head):
        block, newline, tail = chunk.rpartition(b"\n")
        count += block.count(b"\n")
        if count > source.limits.max_items:
            raise too_many(f"the report has more than {source.limits.max_items:,} lines")
        if newline:
            lcov.take(rest + block + newline)
            rest = b""
        rest += tail
        if len(rest) > CHUNK:
            raise malformed("a line is longer than 64 KiB")
    lcov.take(rest)
    return lcov.conclude()
