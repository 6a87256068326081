"""What the elements of each XML dialect mean. The parser calls `start` and `end` for every element.

The line comes first in each `start`: a report is nine tenths lines, and each step there costs a tenth of
what the parser itself takes for one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from omoi_os.domain.evidence import CoverageFacts, UnreadableCode
from omoi_os.evidence.coverage.lines import (
    HIT,
    LISTED,
    METHOD_HIT,
    METHOD_LISTED,
    HitMarks,
    LineMarks,
    LineNumbers,
    conclude,
    percent_of,
    plain_count,
)
from omoi_os.evidence.coverage.source import Refused, malformed
from omoi_os.evidence.limits import ReadLimits

Attributes = Mapping[str, str]

_RATE = re.compile(r"\d{1,3}(?:\.\d{1,40})?(?:[eE]-?\d{1,3})?", re.ASCII)


class Dialect:
    """What all dialects share: the marks of the file that is being listed, depth and count.

    Attributes:
        items: Elements so far.
    """

    form = ""
    meaning = ""

    def __init__(self, limits: ReadLimits) -> None:
        self.items = 0
        self.depth = 0
        self.max_depth = limits.max_depth
        self.marks = LineMarks(limits)
        self.nowhere = bytearray()
        self.current = self.nowhere
        self.numbers = LineNumbers()
        self.hits = HitMarks(HIT, LISTED)
        self.declared: float | None = None

    def enter(self) -> None:
        self.items += 1
        self.depth += 1
        if self.depth > self.max_depth:
            raise Refused(UnreadableCode.TOO_DEEP, f"elements are nested more than {self.max_depth} deep")

    def note(self, attributes: Attributes, number: str, mark: int) -> None:
        """Mark a line in the long way: its file is too short for it, or something is wrong with it."""
        if self.current is self.nowhere:
            raise malformed("a line stands outside of any source file")
        self.marks.mark(self.current, self.numbers[required(attributes, number)], mark)

    def close(self) -> None:
        """The parser's last call; its result is not used."""

    def conclude(self) -> CoverageFacts:
        return conclude(self.form, self.marks, (self.declared, self.meaning))


def required(attributes: Attributes, name: str) -> str:
    """An attribute that a line cannot do without."""
    value = attributes.get(name)
    if value is None:
        raise malformed(f"a line has no attribute {name!r}")
    return value


class Cobertura(Dialect):
    """`coverage/packages/package/classes/class[filename]/lines/line[number, hits]`."""

    form = "cobertura"
    meaning = "line-rate"

    def __init__(self, limits: ReadLimits) -> None:
        super().__init__(limits)
        self._class_hits = self.hits
        self._method_hits = HitMarks(METHOD_HIT, METHOD_LISTED)
        self._sources = 0
        self._package = ""

    def start(self, tag: str, attributes: Attributes) -> None:
        self.enter()
        if tag == "line":
            try:
                self.current[self.numbers[attributes["number"]]] |= self.hits[attributes["hits"]]
            except (KeyError, IndexError):
                self.note(attributes, "number", self.hits[required(attributes, "hits")])
            return
        match tag:
            case "class":
                # Below several roots two packages can each have an "app.py". Merged, one would lend its
                # runs to the other.
                group = self._package if self._sources > 1 else ""
                self.current = self.marks.of(attributes.get("filename"), group)
            case "methods":
                self.hits = self._method_hits
            case "package":
                self._package = attributes.get("name", "")
            case "source":
                self._sources += 1
            case "coverage" if self.depth == 1:
                self.declared = _rate(attributes.get("line-rate"))

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == "methods":
            self.hits = self._class_hits
        elif tag == "class":
            self.current = self.nowhere


def _rate(text: str | None) -> float | None:
    if text is None:
        return None
    if not _RATE.fullmatch(text):
        raise malformed(f"the header's line-rate is {text[:40]!r}, which is no rate")
    return percent_of(float(text), 1, "line-rate")


class Jacoco(Dialect):
    """`report/(group/)*package/sourcefile/line[nr, mi, ci]`: instructions missed and covered.

    A line counts as covered when any of its instructions ran, as in JaCoCo's own LINE counter.
    """

    form = "jacoco"
    meaning = "LINE counter"

    def __init__(self, limits: ReadLimits) -> None:
        super().__init__(limits)
        self._groups: list[str] = []
        self._package = ""

    def start(self, tag: str, attributes: Attributes) -> None:
        self.enter()
        if tag == "line":
            try:
                self.hits[attributes["mi"]]
                self.current[self.numbers[attributes["nr"]]] |= self.hits[attributes["ci"]]
            except (KeyError, IndexError):
                self.hits[required(attributes, "mi")]
                self.note(attributes, "nr", self.hits[required(attributes, "ci")])
            return
        match tag:
            case "counter" if self.depth == 2 and attributes.get("type") == "LINE":
                self.declared = _counter(attributes)
            case "sourcefile":
                name = attributes.get("name")
                path = f"{self._package}/{name}" if name and self._package else name
                self.current = self.marks.of(path, "/".join(self._groups))
            case "package":
                self._package = attributes.get("name", "")
            case "group":
                self._groups.append(attributes.get("name", ""))

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == "sourcefile":
            self.current = self.nowhere
        elif tag == "group":
            self._groups.pop()


def _counter(attributes: Attributes) -> float | None:
    covered = plain_count(attributes.get("covered", ""), "the header's count of covered lines")
    missed = plain_count(attributes.get("missed", ""), "the header's count of missed lines")
    return percent_of(covered, covered + missed, "LINE counter") if covered + missed else None


class Clover(Dialect):
    """`coverage/project/(package/)file/line[num, type, count]`.

    Statements and conditions are counted, each line once. Lines of type "method" are not: they repeat
    what the body says, and a method of fifty lines that runs one of them would earn a second one.
    `testproject` is left out: tests that run themselves say nothing about the code.
    """

    form = "clover"
    meaning = "statements"

    def __init__(self, limits: ReadLimits) -> None:
        super().__init__(limits)
        self._package = ""
        self._tests = False

    def start(self, tag: str, attributes: Attributes) -> None:
        self.enter()
        if tag == "line":
            kind = attributes.get("type")
            if kind == "stmt" and not self._tests:
                try:
                    self.current[self.numbers[attributes["num"]]] |= self.hits[attributes["count"]]
                except (KeyError, IndexError):
                    self.note(attributes, "num", self.hits[required(attributes, "count")])
                return
            self._other_line(kind, attributes)
            return
        match tag:
            case "file":
                path, name = attributes.get("path"), attributes.get("name")
                self.current = self.marks.of(path or name, "" if path else self._package)
            case "metrics" if self.depth == 3 and not self._tests:
                self.declared = _statements(attributes)
            case "package":
                self._package = attributes.get("name", "")
            case "project" | "testproject":
                self._tests = tag == "testproject"

    def _other_line(self, kind: str | None, attributes: Attributes) -> None:
        if kind not in ("stmt", "cond", "method"):
            raise malformed(f"a line has the type {str(kind)[:40]!r}")
        if kind == "cond" and not self._tests:
            # Only "truecount" can be believed: to OpenClover "falsecount" is how often the condition was
            # false, to ReportGenerator it is how many branches never ran.
            name = "count" if "count" in attributes else "truecount"
            self.note(attributes, "num", self.hits[required(attributes, name)])

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == "file":
            self.current = self.nowhere


def _statements(attributes: Attributes) -> float | None:
    if "statements" not in attributes:
        return None
    total = plain_count(attributes["statements"], "the header's count of statements")
    covered = plain_count(attributes.get("coveredstatements", ""), "the header's count of covered statements")
    if total == 0 and covered == 0:
        return None
    return percent_of(covered, total, "statements")
