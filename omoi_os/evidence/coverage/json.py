"""JSON reports of coverage.py and gcovr, decoded into the few fields that count.

JSON is not streamed: the text is kept, each file's list of lines is decoded alone and dropped again.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from omoi_os.domain.evidence import CoverageFacts, UnreadableCode
from omoi_os.evidence.coverage.lines import HIT, LISTED, MAX_LINE, LineMarks, check_line, conclude, percent_of
from omoi_os.evidence.coverage.source import Refused, Source, malformed, too_many, unknown_format

MAX_BYTES = 64 * 1024 * 1024
_ABSENT = b""
# gcovr marks lines that its user excluded: "noncode" in 5.x, "excluded" since. Its own totals leave them out.
_GCOVR_VERSION = re.compile(r"0\.\d{1,3}", re.ASCII)


class _Outline(msgspec.Struct):
    meta: msgspec.Raw = msgspec.Raw(_ABSENT)
    files: msgspec.Raw = msgspec.Raw(_ABSENT)
    totals: msgspec.Raw = msgspec.Raw(_ABSENT)
    gcovr: msgspec.Raw = msgspec.field(default=msgspec.Raw(_ABSENT), name="gcovr/format_version")
    summary: msgspec.Raw = msgspec.field(default=msgspec.Raw(_ABSENT), name="gcovr/summary_format_version")


class _PythonMeta(msgspec.Struct):
    branch_coverage: bool = False


class _PythonFile(msgspec.Struct):
    executed_lines: msgspec.Raw
    missing_lines: msgspec.Raw


class _PythonTotals(msgspec.Struct):
    percent_covered: float
    covered_lines: int
    num_statements: int


class _PythonReport(msgspec.Struct):
    meta: _PythonMeta
    files: dict[str, _PythonFile]
    totals: _PythonTotals


class _GcovrLine(msgspec.Struct):
    line_number: int
    count: int
    excluded: bool = msgspec.field(default=False, name="gcovr/excluded")
    noncode: bool = msgspec.field(default=False, name="gcovr/noncode")


class _GcovrFile(msgspec.Struct):
    file: str
    lines: msgspec.Raw


class _GcovrReport(msgspec.Struct):
    version: str | float = msgspec.field(name="gcovr/format_version")
    files: list[_GcovrFile]


_outline = msgspec.json.Decoder(_Outline)
_python = msgspec.json.Decoder(_PythonReport)
_gcovr = msgspec.json.Decoder(_GcovrReport)
_numbers = msgspec.json.Decoder(list[Annotated[int, msgspec.Meta(ge=0, le=MAX_LINE)]])
_gcovr_lines = msgspec.json.Decoder(list[_GcovrLine])


def read_json(source: Source, head: bytes) -> CoverageFacts:
    """Read coverage.py's or gcovr's JSON.

    Raises:
        Refused: For every reason but a stream that cannot be read.
    """
    text = _whole(source, head)
    try:
        outline = _outline.decode(text)
        if bytes(outline.gcovr):
            return _read_gcovr(source, text)
        if bytes(outline.meta) and bytes(outline.files):
            return _read_python(source, text)
        if bytes(outline.summary):
            raise Refused(
                UnreadableCode.EMPTY,
                "gcovr's summary lists no lines, and its totals alone are not believed",
                "Write the report with gcovr's --json.",
            )
    except RecursionError:
        raise Refused(UnreadableCode.TOO_DEEP, "the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(f"the JSON does not fit ({str(error)[:160]})") from None
    raise unknown_format("this JSON")


def _whole(source: Source, head: bytes) -> bytes:
    parts = []
    for chunk in source.chunks(head):
        if source.count > MAX_BYTES:
            detail = f"the JSON is larger than {MAX_BYTES:,} bytes"
            raise Refused(UnreadableCode.TOO_LARGE, detail, "Write the report as XML or lcov.")
        parts.append(chunk)
    return b"".join(parts).removeprefix(b"\xef\xbb\xbf")


class _Room:
    """How many lines may still be decoded; asked before, so that a list cannot fill the memory first."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = source.limits.max_items

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise too_many(f"the report has more than {self._source.limits.max_items:,} lines")
        self._source.check_time()


def _read_python(source: Source, text: bytes) -> CoverageFacts:
    report = _python.decode(text)
    marks, room = LineMarks(source.limits), _Room(source)
    for path, file in report.files.items():
        executed, missing = _list(file.executed_lines, room), _list(file.missing_lines, room)
        if not set(missing).isdisjoint(executed):
            raise malformed(f"{path[:80]!r} lists a line both as executed and as missing")
        lines = marks.of(path)
        # coverage.py gives an empty file an executed line 0, which exists in no source.
        if executed == [0] and not missing:
            continue
        marks.reach(lines, max(max(executed, default=0), max(missing, default=0)))
        for number in missing:
            lines[number] = LISTED
        for number in executed:
            lines[number] = HIT
        if lines[0]:
            raise malformed(f"{path[:80]!r} lists a line 0")
    totals = report.totals
    meaning = "percent_covered with branches" if report.meta.branch_coverage else "percent_covered"
    declared = percent_of(totals.percent_covered, 100, "percent_covered")
    of_lines = percent_of(totals.covered_lines, totals.num_statements or 1, "count of covered lines")
    return conclude("coverage.py", marks, (declared, meaning), comparable=of_lines)


def _list(raw: msgspec.Raw, room: _Room) -> list[int]:
    room.take(bytes(raw).count(b",") + 1)
    return _numbers.decode(raw)


def _read_gcovr(source: Source, text: bytes) -> CoverageFacts:
    report = _gcovr.decode(text)
    if not _GCOVR_VERSION.fullmatch(str(report.version)):
        raise unknown_format(f"gcovr JSON of version {str(report.version)[:20]}")
    marks, room = LineMarks(source.limits), _Room(source)
    for file in report.files:
        lines = marks.of(file.file)
        entries = _gcovr_lines.decode(file.lines)
        room.take(len(entries) + 1)
        for entry in entries:
            if entry.count < 0:
                raise malformed(f"a line's count of hits is {str(entry.count)[:40]}")
            if not (entry.excluded or entry.noncode):
                marks.mark(lines, check_line(entry.line_number), HIT if entry.count else LISTED)
    return conclude("gcovr", marks, (None, ""))
