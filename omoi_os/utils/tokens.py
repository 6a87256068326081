"""Counts tokens without a network, and without trusting the text.

The vocabularies come from the files that litellm (a dependency of the OpenHands SDK) carries.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import tiktoken

# tiktoken looks for a vocabulary under the SHA-1 of its address.
_FILES: Final = {
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
}
_FOLDER: Final = "TIKTOKEN_CACHE_DIR"

_LONGEST_TOKEN: Final = 128
"""Bytes, and so at least as many as characters, in both vocabularies."""

_PIECE: Final = 32_768
"""Characters encoded at once. A run of a million spaces makes the tokenizer panic (a BaseException)."""

_LAST_WORD: Final = 12
"""Tokens of a last word that may be given up in order not to cut it."""

_FAR: Final = 64
"""Tokens among which the end of a word is looked for."""

_TORN: Final = 4
"""Tokens added for each place where a piece ends inside a word: halves may need fewer than the whole."""


class Tokens:
    """The tokens of one vocabulary; it is loaded when it is first used, once per process (0.35 s)."""

    def __init__(self, encoding: str = "o200k_base") -> None:
        """
        Raises:
            ValueError: Not one of the vocabularies that are at hand.
        """
        if encoding not in _FILES:
            known = " and ".join(_FILES)
            raise ValueError(f"there is no encoding {encoding[:60]!r}; only {known} work without a network")
        self.encoding = encoding

    def count(self, text: str, at_most: int = sys.maxsize) -> int:
        """The tokens of `text`; some number above `at_most` where there are more than that.

        Exact for texts up to 32,768 characters, and for longer ones made of shorter lines that begin with
        neither white space nor "/"; otherwise never less than the truth.
        """
        if len(text) > at_most * _LONGEST_TOKEN:
            return at_most + 1
        if len(text) <= _PIECE:
            return len(self._vocabulary.encode_ordinary(text))
        total = 0
        for piece, torn in _pieces(text):
            total += len(self._vocabulary.encode_ordinary(piece)) + torn * _TORN
            if total > at_most:
                break
        return total

    def head(self, text: str, at_most: int) -> tuple[str, int]:
        """A beginning of `text` with at most so many tokens, and how many it has; never half a character.

        It is the longest one within the first 32,768 characters, unless it can end before a space instead of
        inside a short word that is not the first.
        """
        if at_most <= 0:
            return "", 0
        piece = text[: min(_PIECE, at_most * _LONGEST_TOKEN)]
        found = self._vocabulary.encode_ordinary(piece)
        if len(found) <= at_most:
            return piece, len(found)
        words = self._end_of_words(found, at_most)
        behind = len(self._vocabulary.decode_bytes(found[words:]))
        head = piece.encode()[:-behind].decode()
        if words and at_most - words <= _LAST_WORD:
            return head, words
        # A part of a word may need more tokens than it has as a part.
        for end in range(at_most, words, -1):
            part = self._vocabulary.decode_bytes(found[words:end]).decode(errors="ignore")
            if words + (tokens := self.count(part)) <= at_most:
                return head + part, words + tokens
        return head, words

    def _end_of_words(self, tokens: list[int], end: int) -> int:
        """The last place up to `end` that has a space behind it; 0 if it is far."""
        for place in range(end, max(0, end - _FAR), -1):
            if self._vocabulary.decode_single_token_bytes(tokens[place]).startswith(b" "):
                return place
        return 0

    @cached_property
    def _vocabulary(self) -> tiktoken.Encoding:
        return _load(self.encoding)


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """`text` in pieces that can be encoded, each with whether it ends elsewhere than at a line's end."""
    start = 0
    while len(text) - start > _PIECE:
        line = text.rfind("\n", start, start + _PIECE) + 1
        end = line or start + _PIECE
        yield text[start:end], not line
        start = end
    yield text[start:], False


@lru_cache
def _load(name: str) -> tiktoken.Encoding:
    # Where a folder has no vocabulary, tiktoken would look for one on the network.
    folder = os.environ.get(_FOLDER)
    if not folder or not (Path(folder) / _FILES[name]).is_file():
        os.environ[_FOLDER] = str(_vocabularies(name))
    return tiktoken.get_encoding(name)


def _vocabularies(name: str) -> Path:
    """The folder with the vocabulary; finding the package does not import it, which would take seconds.

    Raises:
        FileNotFoundError: The installation is incomplete.
    """
    package = importlib.util.find_spec("litellm")
    for folder in (package and package.submodule_search_locations) or ():
        vocabularies = Path(folder) / "litellm_core_utils" / "tokenizers"
        if (vocabularies / _FILES[name]).is_file():
            return vocabularies
    raise FileNotFoundError(f"the vocabulary of {name} is missing from this installation; install it again")
