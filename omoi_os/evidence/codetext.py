"""What the lines of a diff say in test code: tests, assertions and skips outside comments and strings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import compress

from omoi_os.evidence.testwords import Words

_NOT_NEWLINE = re.compile(r"[^\n]")
_TRIPLE = re.compile(r"\"\"\"|'''")
_IDENTIFIER = re.compile(r"(?<![\w.])[A-Za-z_$@]\w*")
_INTERPOLATED = re.compile(r"\b[rRbB]?[fF][rR]?[\"']|\$[{(\w]|#\{|\$\"")
_VALUES = ("True", "False", "None", "true", "false", "nil", "null", "NULL", "undefined", "NaN")
_CONSTANTS = frozenset((*_VALUES, "not", "is", "in", "and", "or", "to", "be", "eq"))
# Each with a sign that it cannot do without, since most texts lack it.
_SAME_SIDES = (
    ("assert", re.compile(r"assert\s+(.+?)\s*(?:==|<=|>=|\bis\b|\bin\b)\s*(.+)$", re.DOTALL)),
    (
        ",",
        re.compile(r"assert\s+(.+?)\s*(?:==|<=|>=|\bis\b|\bin\b)\s*(.+?),\s*[\"'][^\n]*$", re.DOTALL),
    ),
    (",", re.compile(r"\(\s*([^(),]+?)\s*,\s*([^(),]+?)\s*[,)]", re.DOTALL)),
    (".", re.compile(r"\(\s*(.+?)\s*\)\s*\.(?:\w+\.)*\w+\s*\(\s*(.+?)\s*\)+;?$", re.DOTALL)),
    ("=", re.compile(r"\(\s*([\w.\[\]]+?)\s*(?:===?|<=|>=)\s*([\w.\[\]]+?)\s*\)")),
)
# What is asserted stands in front of these words.
_POSTFIX = (".", "should", "must", "wont")
_STATEMENT_LINES = 20

type Span = tuple[int, int]


@dataclass(slots=True)
class Side:
    """What one side of a hunk (the old text or the new text) says on its changed lines.

    Attributes:
        asserts: The text of each changed line that asserts, by line.
        tests: The name of each test that a changed line defines, by line.
        skips: The text of each changed line that skips, by line.
    """

    asserts: dict[int, str] = field(default_factory=dict)
    tests: dict[int, str] = field(default_factory=dict)
    skips: dict[int, str] = field(default_factory=dict)


_CHANGED = bytes(sign in b"+-" for sign in range(256))


class Hints:
    """What a hunk, still undecoded, holds of the words that a test, an assertion or a skip needs.

    Attributes:
        found: Those of the language's hints that are on its changed lines.
        any_test: The definition of a test that may span lines can be in it.
        everything: Nothing can be said before the lines are read.
    """

    def __init__(self, words: Words, lines: list[bytes], signs: bytes) -> None:
        self.words = words
        changed = b"\n".join(compress(lines, signs.translate(_CHANGED)))
        self._plain = [hint for hint in words.byte_hints if hint in changed]
        if words.word_starts:
            self._plain = [hint for hint in self._plain if _stands(hint, words, changed)]
        self.found = [words.byte_hints[hint] for hint in self._plain]
        self.any_test = not words.tests_on_one_line and _all_match(words.test_hints, lines)
        self.everything = self.any_test or not words.hints

    def __bool__(self) -> bool:
        return self.everything or bool(self.found)

    def matter(self, changed: bytes) -> bool:
        """Whether these lines of the hunk can hold any of it."""
        return self.everything or any(hint in changed for hint in self._plain)

    def allow(self, what: str) -> bool:
        """Whether a pattern of the language can match on any changed line."""
        needed = self.words.hints_of.get(what)
        return needed is None or not needed.isdisjoint(self.found)


def _stands(hint: bytes, words: Words, changed: bytes) -> bool:
    start = words.word_starts.get(hint)
    return start is None or start.search(changed) is not None


def _all_match(patterns: tuple[re.Pattern[bytes], ...], lines: list[bytes]) -> bool:
    hunk = b"\n".join(lines)
    return all(pattern.search(hunk) for pattern in patterns)


def blank(text: str, words: Words, *, starts_inside: str = "") -> tuple[str, bool]:
    """Replaces comments and the inside of strings by spaces; every position stays.

    Args:
        starts_inside: The sign of a string that was opened before the text begins.

    Returns:
        The text, and whether it ends inside a string or a block comment.
    """
    head = 0
    if starts_inside:
        close = text.find(starts_inside)
        head = len(text) if close < 0 else close + 3
    if words.has_blocks:
        head = max(head, _end_of_open_block(text))
    ends_inside = False

    def hide(found: re.Match[str]) -> str:
        nonlocal ends_inside
        whole = found.group()
        if found.lastgroup:
            ends_inside = ends_inside or found.lastgroup.startswith("open_")
        first = whole[0]
        if first in "\"'`" and len(whole) > 1 and whole[-1] == first:
            return first + _spaces(whole[1:-1]) + first
        return _spaces(whole)

    masked = words.hidden.sub(hide, text[head:] if head else text)
    return _spaces(text[:head]) + masked if head else masked, ends_inside


def _spaces(text: str) -> str:
    return " " * len(text) if "\n" not in text else _NOT_NEWLINE.sub(" ", text)


def _end_of_open_block(text: str) -> int:
    # A comment that began above the hunk: its end comes before any beginning.
    close = text.find("*/")
    begin = text.find("/*")
    return close + 2 if close >= 0 and (begin < 0 or close < begin) and "//" not in text[:close] else 0


def read_side(text: str, counts: list[int], hints: Hints, *, from_top: bool) -> Side:
    """Finds tests, assertions and skips on one side of a hunk.

    Args:
        counts: For each line, whether it is changed and test code.
        from_top: The text starts at line 1, so no string can be open already.
    """
    if 1 not in counts:
        return Side()
    masked, ends_inside = blank(text, hints.words)
    side = _find(text, masked, counts, hints)
    sign = _TRIPLE.search(text) if ends_inside and not from_top else None
    if sign:
        # A cut text cannot tell a closing sign from an opening one: the reading with less in it holds.
        other = _find(text, blank(text, hints.words, starts_inside=sign.group())[0], counts, hints)
        side = min(side, other, key=lambda one: len(one.asserts))
    return side


def _find(text: str, masked: str, counts: list[int], hints: Hints) -> Side:
    words = hints.words
    side = Side()
    if hints.any_test:
        _read_tests(side, text, words.tests.finditer(masked), counts)
    fails = words.fails if hints.allow("fails") else None
    skips = words.skips if hints.allow("skips") else None
    tests = words.tests if words.tests_on_one_line and hints.allow("tests") else None
    for line, span in _candidates(masked, counts, hints):
        name = tests.search(masked, *span) if tests else None
        if name:
            side.tests[line] = _name(text, name)
        if skips and skips.search(masked, *span):
            side.skips[line] = text[slice(*span)].strip()
        if (fails and fails.search(masked, *span)) or _asserts(text, masked, span, words):
            side.asserts[line] = text[slice(*span)].strip()
    return side


def _read_tests(side: Side, text: str, matches: Iterator[re.Match[str]], counts: list[int]) -> None:
    line = place = 0
    for found in matches:
        begin = found.start(found.lastindex or 0)
        line += text.count("\n", place, begin)
        place = begin
        if counts[line]:
            side.tests[line] = _name(text, found)


def _name(text: str, found: re.Match[str]) -> str:
    return text[slice(*found.span(found.lastindex or 0))].strip().strip("\"'`") or "(unnamed)"


def _asserts(text: str, masked: str, span: Span, words: Words) -> bool:
    """Whether a line asserts anything that is not always true."""
    return any(not _is_trivial(text, masked, found) for found in words.asserts.finditer(masked, *span))


def _candidates(masked: str, counts: list[int], hints: Hints) -> Iterable[tuple[int, Span]]:
    """The lines that count and hold a hint, and where each begins and ends."""
    found: dict[int, Span] = {}
    for hint in hints.found if hints.words.hints else [""]:
        line = counted = 0
        place = masked.find(hint)
        while place >= 0:
            line += masked.count("\n", counted, place)
            counted = place
            end = masked.find("\n", place)
            end = end if end >= 0 else len(masked)
            if counts[line]:
                found[line] = (masked.rfind("\n", 0, place) + 1, end)
            place = masked.find(hint, end + 1)
    return sorted(found.items())


def _is_trivial(text: str, masked: str, found: re.Match[str]) -> bool:
    """Whether an assertion names nothing of the program, or compares a thing with itself."""
    end = _end_of_statement(masked, found.end())
    raw = text[found.start() : end].strip()
    arguments = masked[found.end() : end]
    if found.group().lstrip().startswith(_POSTFIX):
        arguments = masked[masked.rfind("\n", 0, found.end()) + 1 : found.start()] + " " + arguments
    if _CONSTANTS.issuperset(_IDENTIFIER.findall(arguments)) and not _INTERPOLATED.search(raw):
        return not _is_open(found.group() + arguments)
    for sign, pattern in _SAME_SIDES:
        same = pattern.search(raw) if sign in raw else None
        if same and same[1].strip() == same[2].strip():
            return True
    return False


def _is_open(text: str) -> bool:
    # Still open after all these lines: what is compared stands outside the hunk.
    return text.count("(") > text.count(")")


def _end_of_statement(masked: str, start: int) -> int:
    line_start = masked.rfind("\n", 0, start) + 1
    end = start
    for _ in range(_STATEMENT_LINES):
        newline = masked.find("\n", end)
        end = len(masked) if newline < 0 else newline
        if not _is_open(masked[line_start:end]) or newline < 0:
            break
        end += 1
    return end


def inline_regions(lines: list[str], words: Words, heading: str) -> list[bool]:
    """Which lines of a source file are test code, by its inline markers and the layout of formatters.

    A region ends at a closing brace as deep as the line that opened it, or at a statement that ends
    on that depth before any brace.
    """
    marker = words.inline
    if marker is None:
        return [False] * len(lines)
    inside = marker.match(heading) is not None
    indent = 0
    regions = []
    for line in lines:
        if not inside and marker.match(line):
            inside, indent = True, len(line) - len(line.lstrip())
        regions.append(inside)
        if inside and len(line) - len(line.lstrip()) == indent and _closes(line.strip()):
            inside = False
    return regions


def _closes(line: str) -> bool:
    return line.startswith("}") or (line.endswith((";", "}")) and not line.startswith(("#", "//")))
