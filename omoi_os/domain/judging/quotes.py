"""Whether a quote stands where it is said to.

A quote counts if its words stand in that one text in that order. Only white space may differ, and what the
judge is shown differently from what is stored: see `presentable`. Letter case, quotation marks and accents
must agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

SHORTEST_QUOTE: Final = 8
"""Letters and digits. A lone ":" stands in every text."""

# What a reader does not see and a model does, or what turns round what is read: control characters, overrides
# of direction, zero-width marks, the invisible copy of ASCII and the variation selectors in which whole texts
# have been hidden. The joiners of emoji and of Persian stay.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_FENCE: Final = re.compile("<{3,}|>{3,}")
_MOST_TORN: Final = 1_000
"""Places inside words at which a quote is looked at: in two million equal letters there are as many."""


def presentable(text: str) -> str:
    """`text` as a judge may be shown it: nothing unseen, no fence, no control word of a tokenizer.

    The same again when it is applied again, so that quotes of it can be looked up in texts that it was not
    applied to.
    """
    clean = _UNSEEN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    # A whole run at once: what is left of five is a fence again where three are taken.
    return _FENCE.sub(lambda run: " ".join(run[0]), clean).replace("<|", "< |")


def _plain(text: str) -> str:
    return " ".join(presentable(text).split())


class Sources(Protocol):
    """The texts that may be quoted."""

    def text(self, where: str) -> str | None:
        """The text of the artifact or file called `where`; None where there is none that can be read."""


@dataclass(frozen=True, slots=True)
class TextSources:
    """Texts by their names, for reviews without a workspace."""

    texts: Mapping[str, str]

    def text(self, where: str) -> str | None:
        return self.texts.get(where)


def flaw_of_quote(quote: str, where: str, sources: Sources, not_evidence: Sequence[str] = ()) -> str:
    """What is wrong with a quote, as a clause; "" for nothing.

    Args:
        not_evidence: Texts of ours. Where an artifact repeats one, that it does says nothing.
    """
    plain = _plain(quote)
    if not plain:
        return "there is no quote"
    if _letters(plain) < SHORTEST_QUOTE:
        return f"the quote is too short to show anything; quote at least {SHORTEST_QUOTE} letters or digits"
    if _repeats(plain, not_evidence):
        return "the quote only repeats the question"
    if not where.strip():
        return "it is not said where the quote stands"
    text = sources.text(where)
    if text is None:
        return f"there is no text called {where[:200]!r} that can be read"
    return "" if _stands_in(plain, _plain(text)) else f"the quote does not stand in {where[:200]!r}"


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _repeats(quote: str, not_evidence: Sequence[str]) -> bool:
    folded = quote.casefold()
    rest = folded
    for ours in map(str.casefold, map(_plain, not_evidence)):
        if folded in ours:
            return True
        rest = rest.replace(ours, " ") if ours else rest
    return _letters(rest) < SHORTEST_QUOTE


def _stands_in(quote: str, text: str) -> bool:
    start = -1
    for _ in range(_MOST_TORN):
        start = text.find(quote, start + 1)
        if start < 0:
            return False
        if not _tears(text, start) and not _tears(text, start + len(quote)):
            return True
    return False


def _tears(text: str, at: int) -> bool:
    """Whether a cut at `at` tears a word: “complete” must not be found in “incomplete”.

    Scripts without letter case are let through: several do not put spaces between words.
    """
    return 0 < at < len(text) and _in_a_word(text[at - 1]) and _in_a_word(text[at])


def _in_a_word(character: str) -> bool:
    return character.isdigit() or character.lower() != character.upper()
