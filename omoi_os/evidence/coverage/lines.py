"""The lines of each source file, one byte per line while a report is read.

A line counts as covered when any entry has seen it run: a generic, a template, a partial class or a second
test name lists the same line again, and one run is a run. There are two ranks of entries, because Cobertura
lists a line under its method and again under its class: there the class decides (a consumer that shows the
file shows the class), and a method's entry counts only for a line of the file that no class lists.
"""

from __future__ import annotations

import math
from collections import Counter

from omoi_os.domain.evidence import CoverageFacts, FileCoverage, UnreadableCode
from omoi_os.evidence.coverage.source import Refused, malformed, too_many
from omoi_os.evidence.limits import ReadLimits

LISTED, HIT = 0b0001, 0b0011
METHOD_LISTED, METHOD_HIT = 0b0100, 0b1100

MAX_LINE = 10_000_000
MAX_DIGITS = 20  # a 64-bit counter
_MEMO = 65_536
# Bytes of line numbers that may be spanned: 16 source lines for each executable one, and some for the start.
_SPAN_PER_ITEM, _SPAN_FREE, _SHORTEST = 16, 65_536, 128


def _verdict(mark: int) -> int:
    """What the marks of both ranks make of a line: 0, LISTED or HIT."""
    return mark & HIT or mark >> 2 & HIT


_VERDICTS = bytes(_verdict(mark) for mark in range(256))


def plain_count(text: str, what: str) -> int:
    """An integer of plain digits; `int()` also takes "1_0", " 1", "+1" and digits of other scripts.

    Raises:
        Refused: The text is anything else, or has more digits than a 64-bit counter.
    """
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return int(text)
    raise malformed(f"{what} is {text[:40]!r}, which is no count")


def check_line(number: int) -> int:
    """The number of a line that a source file can have.

    Raises:
        Refused: There is no line 0, and nobody writes a file of ten million lines.
    """
    if 1 <= number <= MAX_LINE:
        return number
    raise malformed(f"a line has the number {str(number)[:40]}")


def percent_of(part: float, whole: float, what: str) -> float:
    """A header's share in percent.

    Raises:
        Refused: It is not between nothing and everything (NaN is not).
    """
    if math.isfinite(part) and math.isfinite(whole) and 0 <= part <= whole and whole > 0:
        return part / whole * 100
    raise malformed(f"the header's {what} is not between 0 and 100 percent")


class LineNumbers(dict[str, int]):
    """Line numbers by their text: looking one up is three times quicker than reading it again."""

    def __missing__(self, text: str) -> int:
        number = check_line(plain_count(text, "a line's number"))
        if len(self) < _MEMO:
            self[text] = number
        return number


class HitMarks(dict[str, int]):
    """The mark that a count of hits makes, by its text."""

    def __init__(self, hit: int, listed: int) -> None:
        super().__init__({"0": listed, "1": hit})
        self._hit, self._listed = hit, listed

    def __missing__(self, text: str) -> int:
        mark = self._hit if plain_count(text, "a line's count of hits") else self._listed
        if len(self) < _MEMO:
            self[text] = mark
        return mark


class LineMarks:
    """All source files of one report, bounded in files and in the lines that they span."""

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._marks: dict[tuple[str, str], bytearray] = {}
        self._span = _SPAN_PER_ITEM * limits.max_items + _SPAN_FREE

    def of(self, path: str | None, group: str = "") -> bytearray:
        """The marks of one file, by line number; the same again when it is listed again.

        Args:
            group: Tells two files of the same path apart (a module, a package).
        """
        if not path:
            raise malformed("a source file has no name")
        marks = self._marks.get((path, group))
        if marks is None:
            if len(self._marks) >= self._limits.max_items:
                raise too_many(f"the report lists more than {self._limits.max_items:,} files")
            marks = self._marks[path, group] = bytearray()
        return marks

    def mark(self, marks: bytearray, number: int, bits: int) -> None:
        """Note one line, in a file that may not be long enough for it yet."""
        self.reach(marks, number)
        marks[number] |= bits

    def reach(self, marks: bytearray, number: int) -> None:
        """Make room for one line and those before it."""
        if number >= len(marks):
            growth = max(number + 1, 2 * len(marks), _SHORTEST) - len(marks)
            self._span -= growth
            if self._span < 0:
                raise too_many("the report's line numbers span more lines than a reader keeps")
            marks.extend(bytes(growth))

    def files(self) -> tuple[FileCoverage, ...]:
        """One entry per file, in the report's order; a shared path names its group."""
        times = Counter(path for path, _ in self._marks)
        shared = {path for path, count in times.items() if count > 1}
        return tuple(
            as_file(f"{path} (in {group})" if path in shared else path, _verdicts(marks))
            for (path, group), marks in self._marks.items()
        )


def _verdicts(marks: bytearray) -> bytes:
    return bytes(marks.translate(_VERDICTS).rstrip(b"\0"))


def as_file(path: str, lines: bytes) -> FileCoverage:
    """One file from the verdict on each of its lines; what ran is always a part of what there is."""
    return FileCoverage(path, covered=lines.count(HIT), total=len(lines) - lines.count(0), lines=lines)


def conclude(
    form: str,
    marks: LineMarks,
    declared: tuple[float | None, str],
    comparable: float | None = None,
) -> CoverageFacts:
    """The facts of one report.

    Args:
        declared: The header's percentage and what it means.
        comparable: The percentage of lines that the header declares, where `declared` is something else.

    Raises:
        Refused: The report lists no lines; a header alone bears nothing out.
    """
    percent, meaning = declared
    facts = CoverageFacts(form, marks.files(), percent, meaning if percent is not None else "")
    if facts.total == 0:
        raise Refused(
            UnreadableCode.EMPTY,
            "the report lists no executable lines, and its totals alone are not believed",
            "Write the report with its lines, for all source files.",
        )
    said = percent if comparable is None else comparable
    counted = facts.covered / facts.total * 100
    if said is None or abs(said - counted) <= 1:
        return facts
    sentence = f"{meaning} says {said:.2f} %, the lines add up to {counted:.2f} %"
    return CoverageFacts(facts.format, facts.files, percent, meaning, (sentence,))
