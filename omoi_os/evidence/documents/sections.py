"""What both grammars produce: headings, and the visible text below each of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from omoi_os.domain.evidence import Heading, Unreadable, UnreadableCode
from omoi_os.domain.slugs import slugify
from omoi_os.evidence.limits import ReadLimits

MAX_HEADINGS = 10_000
_LONGEST_TITLE = 300


class Passage(NamedTuple):
    """A paragraph, table row or line, with markup, and the 0-based line that it starts on."""

    line: int
    text: str


@dataclass(slots=True)
class Section:
    """A heading (None before the first one) and what stands below it, sub-sections excluded."""

    heading: Heading | None = None
    passages: list[Passage] = field(default_factory=list)
    code: list[str] = field(default_factory=list)


class Refused(Exception):
    """The document broke a bound; never leaves the reader."""

    def __init__(
        self, code: UnreadableCode, detail: str, fix: str = "Shorten the document, or attach it in parts."
    ) -> None:
        super().__init__(detail)
        self.answer = Unreadable(code, detail, fix)


@dataclass(slots=True)
class Bounds:
    """The limits of one read and its clock."""

    limits: ReadLimits
    started: float = field(default_factory=time.monotonic)

    def check_time(self) -> None:
        if time.monotonic() - self.started > self.limits.max_seconds:
            seconds = self.limits.max_seconds
            raise Refused(UnreadableCode.TOO_SLOW, f"reading took longer than {seconds:g} s")


@dataclass(slots=True)
class Outline:
    """Collects sections in the order of the document."""

    sections: list[Section] = field(default_factory=lambda: [Section()])

    @property
    def current(self) -> Section:
        return self.sections[-1]

    def start(self, title: str, level: int, line: int) -> None:
        """Open a section.

        Args:
            line: 0-based.

        Raises:
            Refused: There are too many headings.
        """
        if len(self.sections) > MAX_HEADINGS:
            raise Refused(UnreadableCode.TOO_MANY, f"the document has more than {MAX_HEADINGS:,} headings")
        text = " ".join(title[: 2 * _LONGEST_TITLE].split())[:_LONGEST_TITLE]
        self.sections.append(Section(Heading(slugify(title), text, level, line + 1)))

    def say(self, line: int, text: str) -> None:
        self.current.passages.append(Passage(line, text))
