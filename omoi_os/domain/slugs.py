"""Turns a heading into a name that rules and aliases can compare."""

from __future__ import annotations

import html
import re
import unicodedata

_LONGEST = 1000

# Zero-width, direction and tag characters (category Cf), and letters that are drawn as nothing.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TAG = re.compile(r"</?[a-z][^<>]*>")
_LINK_TARGET = re.compile(r"\]\s?(?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])")
_ANCHOR = re.compile(r"\{[#.:][^{}]*\}")
_EMOJI_NAME = re.compile(r"(?<!\S):[a-z0-9_+-]+:(?!\S)")
_APOSTROPHE = re.compile("(?<=\\w)['\u2018\u2019\u02bc](?=\\w)")
# "§ 2.1 ", "2.1.", "(2)", "3 - ", "IV.", "A)". A bare number has at most two digits: not "2024 roadmap".
_NUMBERING = re.compile(
    r"\W*(?:"
    r"\d+(?:\.\d+)+(?:[.):]?[\s\-\u2013\u2014]+|[.):](?=[^\W\d_]))"
    r"|\d+[.):](?:\s*[\-\u2013\u2014]\s*|\s+|(?=[^\W\d_]))"
    r"|\d{1,2}\s+(?:[\-\u2013\u2014:]\s*)?"
    r"|(?:[ivxlc]+|[a-z])(?:\.\d+)*[.):]\s+"
    r"|[\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341]+[\u3001.]\s*"
    r")(?=.*[^\W_])",
    re.DOTALL,
)


def without_invisible(text: str) -> str:
    """Remove characters that no reader sees, so that they can neither pad nor disguise a text."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def slugify(text: str) -> str:
    """Lower-case words joined by "_", without numbering, markup and decoration.

    "## 2.1 **Acceptance criteria:**" is "acceptance_criteria", and so is "acceptance_criteria" itself.
    A heading of only a number keeps it; one without any letter or digit is "".
    """
    plain = _plain(text[:_LONGEST])
    numbering = _NUMBERING.match(plain)
    if numbering is not None:
        plain = plain[numbering.end() :]
    return "_".join("".join(map(_letter_or_space, plain)).split())


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", without_invisible(text))
    folded = unicodedata.normalize("NFKC", folded.casefold())
    folded = _LINK_TARGET.sub("] ", _TAG.sub("", _COMMENT.sub("", folded))).replace("\\", "")
    folded = without_invisible(html.unescape(_ANCHOR.sub("", folded)))
    # U+20E3 draws a key around the digit before it: that emoji is used for numbering.
    return _APOSTROPHE.sub("", _EMOJI_NAME.sub("", folded)).replace("&", " and ").replace("\u20e3", ".")


def _letter_or_space(character: str) -> str:
    # Vowel signs of Indic scripts are marks (category M): splitting there would cut words apart.
    return character if character.isalnum() or unicodedata.category(character)[0] == "M" else " "
