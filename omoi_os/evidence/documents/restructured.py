"""Sections of a reStructuredText document, and how to tell one from Markdown.

A title is underlined, or over- and underlined, with one punctuation mark; which mark means which
level is decided by the order in which they first occur.
"""

from __future__ import annotations

import re

from omoi_os.evidence.documents.sections import Bounds, Outline

_LOOKED_AT = 200_000
_LINES_BETWEEN_CLOCKS = 2048

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*[ \t]*")
_DIRECTIVE = re.compile(r"\.\.[ \t]+(?:\|[^|]+\|[ \t]+)?([A-Za-z][\w:+.-]*)::(?:[ \t]+(.*))?$")
_NOTE = re.compile(r"\.\.[ \t]+(\[[^\]]+\][ \t]*.*)")
_LISTINGS = frozenset(
    ("code-block", "code", "sourcecode", "parsed-literal", "math", "graphviz", "mermaid", "uml", "raw")
)
_UNSEEN = frozenset(("image", "figure", "include", "literalinclude", "toctree", "contents", "index", "meta"))

# Signs that Markdown does not have: directives, targets, "Title" over "~~~~~", "=====" over "Title".
_RST_SIGN = re.compile(
    r"^\.\. (?:[\w:-]+::|_[^\n:]+:|\|[^\n|]+\| )"
    r"|^[^\s#>|*+-][^\n]*\n([~^\"'+#:.])\1{3,}[ \t]*$"
    r"|^([=~^\"#+])\2{3,}\n[^\n]*\w[^\n]*\n\2{4,}[ \t]*$",
    re.MULTILINE,
)
_MARKDOWN_SIGN = re.compile(
    r"^ {0,3}(?:#{1,6}[ \t]+\S|```)|^[-*+] \[[ xX]\] |\]\((?:https?:|\.{0,2}/|#)", re.MULTILINE
)


def is_restructured(text: str) -> bool:
    """Whether a text has a sign of reStructuredText and none of Markdown.

    Headings underlined with "=" and "-" alone belong to both and mean the same in both.
    """
    return _MARKDOWN_SIGN.search(text, 0, _LOOKED_AT) is None and bool(_RST_SIGN.search(text, 0, _LOOKED_AT))


def read_restructured(text: str, bounds: Bounds) -> Outline:
    """Find the sections of a text whose lines end in a line feed.

    Raises:
        Refused: A bound was broken.
    """
    reader = _Reader(text.split("\n"))
    line = 0
    while line < len(reader.lines):
        if line % _LINES_BETWEEN_CLOCKS < 3:
            bounds.check_time()
        line = reader.take(line)
    reader.end_paragraph()
    return reader.outline


class _Reader:
    """Reads line by line; `_inside` says what an indented line belongs to."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = [line.rstrip() for line in lines]
        self.outline = Outline()
        self._levels: list[tuple[str, bool]] = []
        self._inside = "text"
        self._indent = 0
        self._paragraph: list[str] = []
        self._paragraph_end = 0

    def take(self, line: int) -> int:
        """Read the element that starts here and return the line behind it."""
        text = self.lines[line]
        if not text:
            return line + 1
        indent = len(text) - len(text.lstrip())
        if self._inside != "text" and indent > self._indent:
            self._indented(text)
            return line + 1
        self._inside, self._indent = "text", indent
        if indent == 0 or self._is_adornment(text):
            behind = self._title(line)
            if behind:
                return behind
        self._line(line, text.lstrip())
        return line + 1

    def _indented(self, text: str) -> None:
        if self._inside == "code":
            self.outline.current.code.append(text)

    def _title(self, line: int) -> int:
        """Start a section if a title stands here; 0 where none does."""
        if self._is_adornment(self.lines[line]):
            title, under = self._at(line + 1), self._at(line + 2)
            if title and not self._is_adornment(title) and under == self.lines[line]:
                self._start(line, title.strip(), under[0], over=True)
                return line + 3
            return 0
        title, under = self.lines[line], self._at(line + 1)
        before = self._at(line - 1) if line else ""
        free = not before or before.startswith("..") or self._is_adornment(before)
        if free and self._is_adornment(under) and len(under) >= min(4, len(title)):
            self._start(line, title, under[0], over=False)
            return line + 2
        return 0

    def _start(self, line: int, title: str, mark: str, *, over: bool) -> None:
        style = (mark, over)
        if style not in self._levels:
            self._levels.append(style)
        self.end_paragraph()
        self.outline.start(title, self._levels.index(style) + 1, line)

    def _line(self, line: int, text: str) -> None:
        if text.startswith("..") and (len(text) == 2 or text[2] in " \t"):
            self._explicit(line, text)
        elif not self._is_adornment(text) and not text.startswith("__ "):
            if text.endswith("::"):
                self._inside = "code"
            self._say(line, text)

    def _say(self, line: int, text: str) -> None:
        if line != self._paragraph_end:
            self.end_paragraph()
        self._paragraph.append(text)
        self._paragraph_end = line + 1

    def end_paragraph(self) -> None:
        """Hand on the lines that follow each other without an empty one."""
        if self._paragraph:
            first = self._paragraph_end - len(self._paragraph)
            self.outline.say(first, "\n".join(self._paragraph))
            self._paragraph = []

    def _explicit(self, line: int, text: str) -> None:
        """Directives say something, footnotes too; targets and comments do not."""
        directive, note = _DIRECTIVE.match(text), _NOTE.match(text)
        if note:
            self._say(line, note.group(1))
        elif directive is None:
            self._inside = "nothing"
        elif directive.group(1) in _LISTINGS:
            self._inside = "code"
        elif directive.group(1) in _UNSEEN:
            self._inside = "nothing"
        elif directive.group(2):
            self._say(line, directive.group(2))

    def _at(self, line: int) -> str:
        return self.lines[line] if line < len(self.lines) else ""

    @staticmethod
    def _is_adornment(text: str) -> bool:
        return len(text) > 1 and _ADORNMENT.fullmatch(text) is not None
