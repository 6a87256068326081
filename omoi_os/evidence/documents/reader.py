"""Reads a requirements document, a design or a record: what it says, and what it leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from omoi_os.domain.evidence import DocumentFacts, Placeholder, Unreadable, UnreadableCode
from omoi_os.domain.slugs import without_invisible
from omoi_os.evidence.documents.markdown import read_markdown
from omoi_os.evidence.documents.placeholders import find_placeholders
from omoi_os.evidence.documents.prose import has_content, readable, visible_length
from omoi_os.evidence.documents.restructured import is_restructured, read_restructured
from omoi_os.evidence.documents.sections import Bounds, Outline, Passage, Refused, Section
from omoi_os.evidence.limits import MIB, ReadLimits

# `max_items` counts lines: the parser takes some microseconds for each line and level of nesting.
DOCUMENT_LIMITS = ReadLimits(max_bytes=4 * MIB, max_depth=64, max_items=200_000, max_seconds=2.0)

_MAX_PLACEHOLDERS = 100
_LONGEST_QUOTE = 80


def read_document(source: BinaryIO, limits: ReadLimits = DOCUMENT_LIMITS) -> DocumentFacts | Unreadable:
    """Measure a Markdown or reStructuredText document; which of the two is told from the content.

    Errors of the stream itself (`OSError`) are the caller's.
    """
    bounds = Bounds(limits)
    try:
        text = _text(source.read(limits.max_bytes + 1), limits)
        outline = read_restructured(text, bounds) if is_restructured(text) else read_markdown(text, bounds)
        return _facts(outline, bounds)
    except Refused as refused:
        return refused.answer


def _text(content: bytes, limits: ReadLimits) -> str:
    if len(content) > limits.max_bytes:
        raise Refused(UnreadableCode.TOO_LARGE, f"the document has more than {limits.max_bytes:,} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        detail = f"byte {error.start + 1:,} is not UTF-8"
        raise Refused(UnreadableCode.NOT_TEXT, detail, "Save the document as UTF-8.") from error
    if "\0" in text:
        raise Refused(UnreadableCode.NOT_TEXT, "the document holds a NUL", "Save the document as UTF-8.")
    if not text.strip():
        raise Refused(UnreadableCode.EMPTY, "the document is empty", "Write the document.")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.count("\n") > limits.max_items:
        raise Refused(UnreadableCode.TOO_MANY, f"the document has more than {limits.max_items:,} lines")
    return text


def _facts(outline: Outline, bounds: Bounds) -> DocumentFacts:
    placeholders = _Placeholders(bounds)
    # A line that occurs again adds nothing: pasting one two hundred times only serves to reach a
    # minimum. Rows of a table differ, and equal lines of code ("}") are short.
    lines: dict[str, None] = {}
    filled = []
    for section in outline.sections:
        bounds.check_time()
        if section.heading is not None:
            placeholders.cut(Passage(section.heading.line - 1, section.heading.text))
            lines[without_invisible(section.heading.text)] = None
        text = readable("\n\n".join(map(placeholders.cut, section.passages)))
        code = without_invisible("\n".join(section.code))
        filled.append(has_content(text) or has_content(code))
        lines.update(dict.fromkeys(map(str.strip, f"{text}\n{code}".split("\n"))))
    bounds.check_time()
    return DocumentFacts(
        length=visible_length(lines),
        headings=tuple(section.heading for section in outline.sections if section.heading),
        placeholders=tuple(placeholders.noted),
        empty_sections=_empty(outline.sections, filled),
    )


class _Placeholders:
    """Takes out of each passage what is still to be filled in, and notes the first of them."""

    def __init__(self, bounds: Bounds) -> None:
        self.noted: list[Placeholder] = []
        self._bounds = bounds

    def cut(self, passage: Passage) -> str:
        line, text = passage
        kept, position = [], 0
        for start, end in find_placeholders(text):
            self._bounds.check_time()
            if len(self.noted) < _MAX_PLACEHOLDERS:
                quote = " ".join(text[start : min(end, start + _LONGEST_QUOTE)].split())
                quote = quote.rstrip("*") if quote[0].isalpha() else quote
                self.noted.append(Placeholder(quote, line + text.count("\n", 0, start) + 1))
            kept.append(text[position:start])
            position = end
        return "".join((*kept, text[position:])) if kept else text


def _empty(sections: Sequence[Section], filled: Sequence[bool]) -> frozenset[str]:
    """Slugs of headings without text of their own or below a sub-heading.

    Where a heading occurs twice and one is empty, the slug is empty: which of them was meant is
    not ours to guess.
    """
    full: set[int] = set()
    enclosing: list[int] = []
    for number, section in enumerate(sections):
        level = _level(section)
        while enclosing and _level(sections[enclosing[-1]]) >= level:
            enclosing.pop()
        enclosing.append(number)
        if filled[number]:
            full.update(enclosing)
    return frozenset(
        section.heading.slug
        for number, section in enumerate(sections)
        if section.heading is not None and number not in full
    )


def _level(section: Section) -> int:
    return section.heading.level if section.heading else 0
