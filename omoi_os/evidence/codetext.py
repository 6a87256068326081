"""What the lines of a diff say in test code: tests, assertions and skips outside comments and strings."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate

from omoi_os.evidence.testwords import WORDS, Words

_NOT_NEWLINE = re.compile(r"[^\n]")
_TRIPLE = re.compile(r"\"\"\"|'''")
_IDENTIFIER = re.compile(r"(?<![\w.])[A-Za-z_$@]\w*")
_INTERPOLATED = re.compile(r"\b[rRbB]?[fF][rR]?[\"']|\$[{(\w]|#\{|\$\"")
_VALUES = ("True", "False", "None", "true", "false", "nil", "null", "NULL", "undefined", "NaN")
_CONSTANTS = frozenset((*_VALUES, "not", "is", "in", "and", "or", "to", "be", "eq"))
_SAME_SIDES = (
    re.compile(r"assert\s+(.+?)\s*(?:==|<=|>=|\bis\b|\bin\b)\s*(.+)$", re.DOTALL),
    re.compile(r"assert\s+(.+?)\s*(?:==|<=|>=|\bis\b|\bin\b)\s*(.+?),\s*[\"'][^\n]*$", re.DOTALL),
    re.compile(r"\(\s*([^(),]+?)\s*,\s*([^(),]+?)\s*[,)]", re.DOTALL),
    re.compile(r"\(\s*(.+?)\s*\)\s*\.(?:\w+\.)*\w+\s*\(\s*(.+?)\s*\)+;?$", re.DOTALL),
    re.compile(r"\(\s*([\w.\[\]]+?)\s*(?:===?|<=|>=)\s*([\w.\[\]]+?)\s*\)"),
)
# What is asserted stands in front of these words.
_POSTFIX = (".", "should", "must", "wont")
_STATEMENT_LINES = 20


@dataclass(slots=True)
class Side:
    """What one side of a hunk (the old text or the new text) says on its changed lines.

    Attributes:
        asserts: The text of each changed line that asserts, by line.
        trivial: How many changed lines assert only what is always true.
        tests: The name of each test that a changed line defines, by line.
        skips: The text of each changed line that skips, by line.
    """

    asserts: dict[int, str] = field(default_factory=dict)
    trivial: int = 0
    tests: dict[int, str] = field(default_factory=dict)
    skips: dict[int, str] = field(default_factory=dict)


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
    if words.hidden.pattern.find(r"/\*") >= 0:
        head = max(head, _end_of_open_block(text))
    state = {"open": False}

    def hide(found: re.Match[str]) -> str:
        whole = found.group()
        groups = found.groupdict()
        if groups.get("triple") and not groups.get("end"):
            state["open"] = True
        if len(whole) > 1 and whole[0] in "\"'`" and whole[-1] == whole[0]:
            return whole[0] + _spaces(whole[1:-1]) + whole[-1]
        return _spaces(whole)

    return _spaces(text[:head]) + words.hidden.sub(hide, text[head:]), state["open"]


def _spaces(text: str) -> str:
    return " " * len(text) if "\n" not in text else _NOT_NEWLINE.sub(" ", text)


def _end_of_open_block(text: str) -> int:
    # A comment that began above the hunk: its end comes before any beginning.
    close = text.find("*/")
    begin = text.find("/*")
    return close + 2 if close >= 0 and (begin < 0 or close < begin) and "//" not in text[:close] else 0


def read_side(
    lines: list[str], changed: list[bool], language: str, *, regions: list[bool] | None, from_top: bool
) -> Side:
    """Finds tests, assertions and skips on the changed lines of one side.

    Args:
        regions: Which lines are test code, or None where all are.
        from_top: The text starts at line 1, so no string can be open already.
    """
    counts = [
        mark and (regions is None or inside) for mark, inside in zip(changed, regions or changed, strict=True)
    ]
    if not any(counts):
        return Side()
    words = WORDS[language]
    text = "\n".join(lines)
    masked, ends_inside = blank(text, words)
    side = _find(text, masked, counts, lines, words)
    sign = _TRIPLE.search(text)
    if ends_inside and not from_top and sign:
        # A cut text cannot tell a closing sign from an opening one: the reading with less in it holds.
        other = _find(text, blank(text, words, starts_inside=sign.group())[0], counts, lines, words)
        side = min(side, other, key=lambda one: len(one.asserts))
    return side


def _find(text: str, masked: str, counts: list[bool], lines: list[str], words: Words) -> Side:
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    side = Side()
    if not words.tests_on_one_line:
        _read_tests(side, text, words.tests.finditer(masked), starts, counts)
    for line in _candidates(masked, starts, counts, words.hints.split()):
        span = (starts[line], starts[line + 1] - 1)
        said = lines[line].strip()
        if words.tests_on_one_line:
            _read_tests(side, text, words.tests.finditer(masked, *span), starts, counts)
        if words.skips.search(masked, *span):
            side.skips[line] = said
        asserts, trivial = _asserts(text, masked, span, words)
        side.trivial += trivial
        if asserts:
            side.asserts[line] = said
    return side


def _read_tests(
    side: Side, text: str, matches: Iterator[re.Match[str]], starts: list[int], counts: list[bool]
) -> None:
    for found in matches:
        begin, end = found.span(found.lastindex or 0)
        line = bisect_right(starts, begin) - 1
        if counts[line]:
            side.tests[line] = text[begin:end].strip().strip("\"'`") or "(unnamed)"


def _asserts(text: str, masked: str, span: tuple[int, int], words: Words) -> tuple[bool, bool]:
    """Whether a line asserts, and whether all that it asserts is always true."""
    if words.fails.search(masked, *span):
        return True, False
    hits = list(words.asserts.finditer(masked, *span))
    real = any(not _is_trivial(text, masked, found) for found in hits)
    return real, bool(hits) and not real


def can_matter(changed: bytes, language: str) -> bool:
    """Whether changed lines, still undecoded, can hold a test, an assertion or a skip at all."""
    words = WORDS[language]
    return not words.tests_on_one_line or any(hint in changed for hint in _byte_hints(language))


@cache
def _byte_hints(language: str) -> tuple[bytes, ...]:
    return tuple(hint.encode() for hint in WORDS[language].hints.split())


def _candidates(masked: str, starts: list[int], counts: list[bool], hints: list[str]) -> list[int]:
    if not hints:
        return [line for line, counted in enumerate(counts) if counted]
    found = set()
    for hint in hints:
        place = masked.find(hint)
        while place >= 0:
            line = bisect_right(starts, place) - 1
            found.add(line)
            place = masked.find(hint, starts[line + 1])
    return sorted(line for line in found if counts[line])


def _is_trivial(text: str, masked: str, found: re.Match[str]) -> bool:
    """Whether an assertion names nothing of the program, or compares a thing with itself."""
    end = _end_of_statement(masked, found.end())
    raw = text[found.start() : end].strip()
    if not _INTERPOLATED.search(raw):
        arguments = masked[found.end() : end]
        if found.group().lstrip().startswith(_POSTFIX):
            arguments = masked[masked.rfind("\n", 0, found.end()) + 1 : found.start()] + " " + arguments
        if not any(word not in _CONSTANTS for word in _IDENTIFIER.findall(arguments)):
            return not _is_open(found.group() + arguments)
    for pattern in _SAME_SIDES:
        same = pattern.search(raw)
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
