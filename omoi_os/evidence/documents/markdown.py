"""Sections of a Markdown document, by the block rules of markdown-it alone.

Inline rules would triple the time and cannot make a heading. Headings in block quotes and lists are
quoted text and not sections of this document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

from omoi_os.domain.evidence import UnreadableCode
from omoi_os.evidence.documents.prose import without_comments, without_unseen_elements
from omoi_os.evidence.documents.sections import Bounds, Outline, Refused

# A block is about 280 bytes a token: this is the bound of memory.
_MAX_TOKENS = 600_000
_MAX_COLUMNS = 5_000
_LONG_LINE = 10_000
_DEEPEST = 100  # two Python frames for each level
_DELIMITER_ROW = re.compile(r"[-:|\s]+")
_FRONT_MATTER = re.compile(r"\ufeff?(---|\+\+\+)[ \t]*\n(?=[ \t]*[\w\"'#-][^\n]*[:=])")


def read_markdown(text: str, bounds: Bounds) -> Outline:
    """Find the sections of a text whose lines end in a line feed.

    Raises:
        Refused: A bound was broken.
    """
    body, skipped = without_front_matter(text)
    walk = _Walk(skipped)
    walk.over(_PARSER.parse(body, {"bounds": bounds}))
    return walk.outline


def without_front_matter(text: str) -> tuple[str, int]:
    """The text behind a YAML or TOML header, and how many lines that header takes."""
    opening = _FRONT_MATTER.match(text)
    if opening is None:
        return text, 0
    fence = re.escape(opening.group(1))
    closing = re.compile(rf"^(?:{fence}|\.\.\.)[ \t]*$", re.MULTILINE).search(text, opening.end())
    if closing is None:
        return text, 0
    return text[closing.end() :], text.count("\n", 0, closing.end())


class _Walk:
    """Sorts the tokens of one document into its sections."""

    def __init__(self, first_line: int) -> None:
        self.outline = Outline()
        self._first_line = first_line
        self._heading: Token | None = None
        self._row: list[str] | None = None
        # "<div><!--", a blank line, Markdown: the parser ended the HTML block, the browser did not.
        self._hidden = False

    def over(self, tokens: Sequence[Token]) -> None:
        handlers: dict[str, Callable[[Token], None]] = {
            "inline": self._inline,
            "heading_open": self._heading_open,
            "tr_open": self._row_open,
            "tr_close": self._row_close,
            "fence": self._code,
            "code_block": self._code,
            "html_block": self._html,
        }
        for token in tokens:
            handler = handlers.get(token.type)
            if handler is not None and (not self._hidden or token.type == "html_block"):
                handler(token)

    def _line(self, token: Token) -> int:
        return self._first_line + (token.map[0] if token.map else 0)

    def _inline(self, token: Token) -> None:
        content = token.content
        if "<!--" in content:
            content, _ = without_comments(content)
        if self._heading is not None:
            self.outline.start(content, int(self._heading.tag[1]), self._line(token))
            self._heading = None
        elif self._row is not None:
            self._row.append(content)
        else:
            self.outline.say(self._line(token), content)

    def _heading_open(self, token: Token) -> None:
        self._heading = token if token.level == 0 else None

    def _row_open(self, token: Token) -> None:
        self._row = []
        self._row_line = self._line(token)

    def _row_close(self, _: Token) -> None:
        self.outline.say(self._row_line, " | ".join(self._row or ()))
        self._row = None

    def _code(self, token: Token) -> None:
        self.outline.current.code.append(token.content)

    def _html(self, token: Token) -> None:
        content, self._hidden = without_comments(token.content, opened=self._hidden)
        self.outline.say(self._line(token), without_unseen_elements(content))


def _keep_bounds(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001
    """A rule that matches nothing: the parser asks it at the start of each block and in each table row."""
    bounds: Bounds = state.env["bounds"]
    bounds.check_time()
    if len(state.tokens) > _MAX_TOKENS:
        raise Refused(UnreadableCode.TOO_MANY, "the document has too many blocks")
    if silent:
        return False
    if state.level > min(bounds.limits.max_depth, _DEEPEST):
        detail = f"quotes and lists are nested more than {bounds.limits.max_depth} deep"
        raise Refused(UnreadableCode.TOO_DEEP, detail)
    if state.eMarks[start] - state.bMarks[start] > _LONG_LINE:
        _check_long_line(state, start, end)
    return False


def _check_long_line(state: StateBlock, start: int, end: int) -> None:
    """Refuse the two lines that cost the parser far more memory than their size."""
    row = state.bMarks[start] + state.tShift[start], state.eMarks[start]
    # Its pattern for a tag keeps 600 bytes of stack for each attribute.
    if state.src[row[0]] == "<" and state.src.count(" ", *row) > _MAX_COLUMNS:
        raise Refused(UnreadableCode.TOO_MANY, f"the HTML tag on line {start + 1:,} has too many attributes")
    # A header cell becomes three tokens, in a loop that asks no other rule.
    if state.src.count("|", *row) > _MAX_COLUMNS and start + 1 < end:
        below = state.bMarks[start + 1] + state.tShift[start + 1], state.eMarks[start + 1]
        if _DELIMITER_ROW.fullmatch(state.src, *below):
            raise Refused(UnreadableCode.TOO_MANY, f"a table has more than {_MAX_COLUMNS:,} columns")


def _parser() -> MarkdownIt:
    # Link definitions are read as paragraphs and dropped later: the rule for them takes quadratic time.
    # maxNesting only has to be above _DEEPEST: where it bites, the parser drops text without a word.
    parser = MarkdownIt("commonmark", {"maxNesting": 10 * _DEEPEST}).enable("table").disable("reference")
    parser.core.ruler.enableOnly(["normalize", "block"])
    parser.block.ruler.before("table", "bounds", _keep_bounds, {"alt": ["blockquote"]})
    return parser


_PARSER = _parser()
