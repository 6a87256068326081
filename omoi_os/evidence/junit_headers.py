"""What a suite's header declares, held against what its cases show.

A header can only make things worse. Of 103 public reports 27 declare a wrong number of tests, most of
them harmlessly (filtered or merged reports), so a wrong `tests` is a sentence and no more. A header that
declares a failure which no case shows is different: somebody's tool saw a test fail. It is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import add, sub
from typing import NamedTuple

from lxml import etree

MAX_SENTENCES = 20
FURTHER = "Further differences are not listed."

_MAX_NAME = 120


class Shown(NamedTuple):
    """What the cases of a suite show, those of its nested suites included.

    Attributes:
        failure_marks: Failures that are written down; one case may hold several.
        error_marks: The same for errors.
        repeats: Attempts that failed and were repeated (`flakyFailure`, `rerunFailure` …).
    """

    tests: int = 0
    failed: int = 0
    errored: int = 0
    skipped: int = 0
    failure_marks: int = 0
    error_marks: int = 0
    repeats: int = 0
    suite_errors: int = 0

    def since(self, before: Shown) -> Shown:
        return Shown(*map(sub, self, before))

    def plus(self, other: Shown) -> Shown:
        return Shown(*map(add, self, other))


@dataclass(slots=True)
class OpenSuite:
    """A suite whose end has not been read.

    Attributes:
        before: What was shown when it started.
        declares: Whether its header has numbers to compare; if not, `nested` is not kept.
        nested: What its nested suites showed: some tools leave that out of their numbers.
    """

    before: Shown
    declares: bool
    nested: Shown = Shown()  # noqa: RUF009 - a NamedTuple is immutable


@dataclass(frozen=True, slots=True)
class Header:
    """The attributes of a suite.

    Attributes:
        name: As it is written, but bounded.
        unreadable: Attributes that should be numbers and are not.
    """

    name: str
    numbers: dict[str, int]
    unreadable: tuple[str, ...]


def read_header(suite: etree._Element) -> Header:
    """Take the numbers of a suite's start tag; an attribute that is missing or empty declares nothing."""
    numbers, unreadable = {}, []
    for key in ("tests", "failures", "errors", "skipped", "disabled", "ignored"):
        text = suite.get(key)
        if not text or text.isspace():
            continue
        number = _number(text)
        if number is None:
            unreadable.append(key)
        else:
            numbers[key] = number
    return Header(suite.get("name", "")[: _MAX_NAME * 2], numbers, tuple(unreadable))


def agrees(suite: etree._Element, before: Shown, now: Shown) -> bool:
    """Whether every number is plainly what is shown: the common case, and cheaper than reading the header."""
    tests, failures = suite.get("tests"), suite.get("failures")
    errors, skipped = suite.get("errors"), suite.get("skipped")
    return (
        (tests is None or tests == str(now.tests - before.tests))
        and (failures is None or failures == str(now.failed - before.failed))
        and (errors is None or errors == str(now.errored - before.errored))
        and (skipped is None or skipped == str(now.skipped - before.skipped))
    )


def hidden_troubles(header: Header, shown: Shown) -> int:
    """Failures and errors that the header declares and no case shows.

    A suite that declares tests to run and lists none of them counts as one: nothing says how they went.
    """
    numbers = header.numbers
    declared = numbers.get("failures", 0) + numbers.get("errors", 0)
    explained = shown.failure_marks + shown.error_marks + shown.suite_errors
    # Surefire 3.0 counts each attempt of a flaky test as a test and as a failure.
    if numbers.get("tests") == shown.tests + shown.repeats:
        explained += shown.repeats
    if declared > explained:
        return declared - explained
    idle = sum(numbers.get(key, 0) for key in ("skipped", "disabled", "ignored"))
    lists_nothing = shown.tests == 0 and shown.suite_errors == 0
    return 1 if lists_nothing and numbers.get("tests", 0) > idle else 0


def differences(header: Header, shown: Shown, own: Shown) -> Iterator[str]:
    """Say where the header and the cases differ, one sentence each.

    Args:
        header: What is declared.
        shown: What the suite and its nested suites show.
        own: What it shows without them.
    """
    name = one_line(header.name)
    where = f'suite "{name}"' if name else "a suite without a name"
    for key, accepted, counted in (
        ("tests", (own.tests,), shown.tests),
        ("failures", (own.failed, shown.failure_marks, own.failure_marks), shown.failed),
        ("errors", (own.errored, shown.error_marks, own.error_marks), shown.errored),
        ("skipped", (own.skipped,), shown.skipped),
    ):
        number = header.numbers.get(key, counted)
        if number != counted and number not in accepted:
            yield f"{where} declares {key}={number}, its cases show {counted}"
    for key in header.unreadable:
        yield f"{where} declares {key} as something that is not a number"


def bounded(sentences: Iterable[str]) -> tuple[str, ...]:
    """The first sentences, and one that says so if there were more."""
    kept: list[str] = []
    more = False
    for sentence in sentences:
        if sentence == FURTHER or len(kept) == MAX_SENTENCES:
            more = True
        else:
            kept.append(sentence)
    return (*kept, FURTHER) if more else tuple(kept)


def one_line(text: str, limit: int = _MAX_NAME) -> str:
    """Text from a report, fit for a sentence: no line breaks, control or direction characters."""
    # Cut first: a name can be ten megabytes long.
    cut = text[: limit * 2]
    clean = " ".join("".join(char if char.isprintable() else " " for char in cut).split())
    return clean if len(clean) <= limit and len(cut) == len(text) else clean[: limit - 1] + "…"


def _number(text: str) -> int | None:
    # "1,234" is written by tools that format for people. int() of a very long text would raise.
    digits = text.strip().replace(",", "")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 12 else None
