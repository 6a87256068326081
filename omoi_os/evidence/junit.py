"""JUnit XML in its many dialects, counted case by case.

The worst thing that is said about a case is what counts: a `<failure>` beside `<skipped>` is a failure,
and so is `status="failed"` without an element. A status that we do not know is not taken for a pass.
A case that is listed twice counts twice: a later pass does not take back an earlier failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import BinaryIO

from lxml import etree

from omoi_os.domain.evidence import SuiteFacts, Unreadable, UnreadableCode
from omoi_os.evidence.junit_headers import (
    FURTHER,
    Header,
    OpenSuite,
    Shown,
    agrees,
    bounded,
    differences,
    hidden_troubles,
    one_line,
    read_header,
)
from omoi_os.evidence.junit_words import MARKS, REPEATS, Outcome, outcome_of
from omoi_os.evidence.limits import ReadLimits
from omoi_os.evidence.xmlstream import Refused, XmlStream, local_name

_MAX_FAILURES = 20
_SUITES = frozenset({"testsuite", "testsuites"})
_TAGS = tuple("{*}" + name for name in ("testcase", *_SUITES, *MARKS))


def read_junit(source: BinaryIO, limits: ReadLimits = ReadLimits()) -> SuiteFacts | Unreadable:  # noqa: B008 - frozen
    """Count the cases of one report.

    NUnit, xUnit.net, TRX and CTest files in their own formats are UNKNOWN_FORMAT.

    Args:
        source: An open file; read to its end, not closed.
        limits: `max_items` bounds cases and suites together, `max_depth` suites in suites; other elements
            may be nested 256 deep, which is libxml2's own bound.
    """
    try:
        stream = XmlStream(source, limits)
        if stream.root_name not in _SUITES:
            raise _not_junit(stream.root_name)
        counter = _Counter(limits)
        for batch in stream.batches(_TAGS):
            counter.take(batch)
        return counter.facts()
    except Refused as refused:
        return refused.reason


def merge_suites(parts: Sequence[SuiteFacts]) -> SuiteFacts:
    """Add up several reports of one run; the same report given twice counts twice."""
    return SuiteFacts(
        passed=sum(part.passed for part in parts),
        failed=sum(part.failed for part in parts),
        errored=sum(part.errored for part in parts),
        skipped=sum(part.skipped for part in parts),
        suite_errors=sum(part.suite_errors for part in parts),
        flaky=sum(part.flaky for part in parts),
        declared=bounded(sentence for part in parts for sentence in part.declared),
        failures=tuple(name for part in parts for name in part.failures)[:_MAX_FAILURES],
    )


class _Counter:
    """Running totals over the events of one report."""

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._open: list[OpenSuite] = []
        self._suites = 0
        self._tests = 0
        self._outcomes = [0] * len(Outcome)
        self._failure_marks = 0
        self._error_marks = 0
        self._repeats = 0
        self._suite_errors = 0
        # Marks of the case that is open; a mark stands in front of the end of its case.
        self._marks: dict[str, int] = {}
        self._failures: list[str] = []
        self._differences: tuple[str, ...] = ()
        self._unknown = ""

    def take(self, batch: Iterable[tuple[str, etree._Element]]) -> None:
        marks = self._marks
        for event, element in batch:
            tag = element.tag
            # Most events are cases without a namespace and most cases hold nothing: these lines decide how
            # fast a report is read.
            name = tag if tag == "testcase" else local_name(tag)
            if name == "testcase":
                if event == "end":
                    self._tests += 1
                    status, result = element.get("status"), element.get("result")
                    if marks or status or result:
                        self._judge(element, status or "", result or "")
            elif name in _SUITES:
                if event == "start":
                    self._start_suite(element)
                else:
                    self._end_suite(element)
            elif event == "end":
                self._mark(name, element)
        if self._tests + self._suites > self._limits.max_items:
            raise Refused(
                UnreadableCode.TOO_MANY,
                f"the report lists more than {self._limits.max_items:,} cases and suites",
                "Split the report, or raise the limit.",
            )

    def facts(self) -> SuiteFacts:
        count = self._outcomes
        broken = count[Outcome.FAILED] + count[Outcome.ERRORED] + self._suite_errors
        declared = self._differences
        if self._unknown:
            if not broken:
                raise _unknown_outcome(self._unknown)
            declared = bounded((f"it is not known how a case ended: {self._unknown}", *declared))
        skipped = count[Outcome.SKIPPED] + count[Outcome.UNKNOWN]
        return SuiteFacts(
            passed=self._tests - skipped - count[Outcome.FAILED] - count[Outcome.ERRORED],
            failed=count[Outcome.FAILED],
            errored=count[Outcome.ERRORED],
            skipped=skipped,
            suite_errors=self._suite_errors,
            flaky=count[Outcome.FLAKY],
            declared=declared,
            failures=tuple(self._failures),
        )

    def _start_suite(self, element: etree._Element) -> None:
        self._suites += 1
        get = element.get
        declares = bool(get("tests") or get("failures") or get("errors") or get("skipped"))
        self._open.append(OpenSuite(self._shown(), declares))
        if len(self._open) > self._limits.max_depth:
            raise Refused(
                UnreadableCode.TOO_DEEP,
                f"suites are nested more than {self._limits.max_depth} deep",
                "Write the report with fewer levels.",
            )

    def _end_suite(self, element: etree._Element) -> None:
        suite, now = self._open.pop(), self._shown()
        if not agrees(element, suite.before, now):
            self._compare(read_header(element), now.since(suite.before), suite.nested)
        if self._open and self._open[-1].declares:
            self._open[-1].nested = self._open[-1].nested.plus(now.since(suite.before))

    def _compare(self, header: Header, shown: Shown, nested: Shown) -> None:
        self._suite_errors += hidden_troubles(header, shown)
        if self._differences[-1:] != (FURTHER,):
            found = differences(header, shown, shown.since(nested))
            self._differences = bounded((*self._differences, *found))

    def _shown(self) -> Shown:
        _, _, skipped, _, errored, failed = self._outcomes
        return Shown(
            self._tests,
            failed,
            errored,
            skipped,
            self._failure_marks,
            self._error_marks,
            self._repeats,
            self._suite_errors,
        )

    def _mark(self, name: str, element: etree._Element) -> None:
        parent = element.getparent()
        if parent is not None and (parent.tag == "testcase" or local_name(parent.tag) == "testcase"):
            self._marks[name] = self._marks.get(name, 0) + 1
        elif MARKS[name] >= Outcome.ERRORED:
            self._suite_errors += 1

    def _judge(self, case: etree._Element, status: str, result: str) -> None:
        marks = self._marks
        outcome = max(outcome_of(status), outcome_of(result)) if status or result else Outcome.PASSED
        for name, count in marks.items():
            outcome = max(outcome, MARKS[name])
            if name in REPEATS:
                self._repeats += count
        self._outcomes[outcome] += 1
        if outcome >= Outcome.ERRORED:
            self._note_broken(case, outcome, marks)
        elif outcome is Outcome.UNKNOWN and not self._unknown:
            said = " ".join(word for word in (status[:60], result[:60], *marks) if word)
            self._unknown = one_line(f"{_case_name(case)} ({said})", 300)
        marks.clear()

    def _note_broken(self, case: etree._Element, outcome: Outcome, marks: dict[str, int]) -> None:
        failures, errors = marks.get("failure", 0) + marks.get("failed", 0), marks.get("error", 0)
        self._failure_marks += max(failures, outcome is Outcome.FAILED)
        self._error_marks += max(errors, outcome is Outcome.ERRORED)
        if len(self._failures) < _MAX_FAILURES:
            self._failures.append(_case_name(case))


def _case_name(case: etree._Element) -> str:
    place, name = case.get("classname", ""), case.get("name", "")
    return one_line(f"{place[:400]}.{name[:400]}".strip("."), 200) or "a case without a name"


def _not_junit(root: str) -> Refused:
    return Refused(
        UnreadableCode.UNKNOWN_FORMAT,
        f"the root element is <{one_line(root, 60)}>, which is not JUnit XML",
        "Let the test runner write JUnit XML (NUnit, xUnit.net and MSTest need a JUnit logger).",
    )


def _unknown_outcome(case: str) -> Refused:
    return Refused(
        UnreadableCode.UNKNOWN_FORMAT,
        f"it is not known how a case ended: {case}",
        "Write a status that JUnit readers know, or a <failure>, <error> or <skipped> element.",
    )
