"""Text that is not ours, between lines that it cannot write, and within a number of tokens."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from omoi_os.domain.judging.quotes import presentable
from omoi_os.domain.verdict import shown

_LONGEST_TOKEN: Final = 128
"""Characters, at most, in any vocabulary that is used."""


class Meter(Protocol):
    """Counts tokens."""

    def count(self, text: str, at_most: int) -> int:
        """The tokens of `text`; some number above `at_most` where there are more than that."""

    def head(self, text: str, at_most: int) -> tuple[str, int]:
        """The longest beginning of `text` with at most so many tokens, and how many it has."""


@dataclass(frozen=True, slots=True)
class Loose:
    """A text that is to be fenced.

    Attributes:
        rest: How what is cut off can be read, as a clause of ours; "" for not at all.
    """

    name: str
    text: str
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Fenced:
    """One text inside its fence.

    Attributes:
        text: With the fence's lines.
        whole: Whether nothing was left out.
    """

    name: str
    text: str
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Fence:
    """The lines between which the texts of one review stand.

    Attributes:
        code: What a judge's submission repeats. It is another one: submissions are stored and shown.
    """

    nonce: str
    code: str

    @classmethod
    def of(cls, conversation_id: str, secret: str) -> Fence:
        """The fence of a conversation: the same when it is taken up again, and unknown to who is reviewed.

        Args:
            secret: Known here and to the model's provider only, such as its key.
        """
        key = secret.encode("utf-8", "replace")
        digest = hmac.new(key, conversation_id.encode(), hashlib.sha256).hexdigest()
        return cls(digest[:16], digest[16:24])

    def around(self, name: str, text: str) -> str:
        """`text` in its fence. Nothing in it can end it: what looks like a fence does not, inside one."""
        body, label = self._without_nonce(text), self._without_nonce(shown(name))
        return f"<<<{self.nonce} {label}\n{body.rstrip('\n')}\n{self.nonce}>>>"

    def _without_nonce(self, text: str) -> str:
        # Replaced by as much, so that nothing closes up to another one.
        return re.sub(re.escape(self.nonce), "·" * len(self.nonce), presentable(text), flags=re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Packed:
    """Texts within a budget, in the order in which they were given.

    Attributes:
        left_out: Names of those that are not whole.
    """

    texts: tuple[Fenced, ...]

    @property
    def left_out(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.texts if not item.whole)


def pack(texts: Sequence[Loose], fence: Fence, budget: int, meter: Meter) -> Packed:
    """Put texts into fences, together in `budget` tokens: whole where they fit, the longest cut first."""
    sizes = [_size(item, fence, budget, meter) for item in texts]
    most = _share(sizes, budget)
    return Packed(
        tuple(
            Fenced(item.name, fence.around(item.name, item.text))
            if size <= most
            else Fenced(item.name, _cut(item, fence, most, meter), whole=False)
            for item, size in zip(texts, sizes, strict=True)
        )
    )


def _size(item: Loose, fence: Fence, budget: int, meter: Meter) -> int:
    """Its tokens and that of the line's end; more than `budget` where it does not fit anyway."""
    if len(item.text) > budget * _LONGEST_TOKEN:
        return budget + 1
    return meter.count(fence.around(item.name, item.text), budget) + 1


def _share(sizes: Sequence[int], budget: int) -> int:
    """The largest size of one text with which all of them fit."""
    left, count = budget, len(sizes)
    for size in sorted(sizes):
        if size * count > left:
            return left // count
        left, count = left - size, count - 1
    return budget


def _cut(item: Loose, fence: Fence, most: int, meter: Meter) -> str:
    """The beginning of a text in its fence, in at most `most` tokens, and a line that says what is missing.

    Where there is less room than that line takes, only the line is left.
    """
    text = presentable(item.text[: (most + 1) * _LONGEST_TOKEN])
    unseen = max(0, len(item.text) - (most + 1) * _LONGEST_TOKEN)
    length, room = 0, most
    while room > 0 and length < len(text):
        head, tokens = meter.head(text[length:], room)
        if not head:
            break
        length, room = length + len(head), room - tokens
    while True:
        missing = f"{unseen + len(text) - length:,} of {unseen + len(text):,} characters are left out here"
        fenced = (
            f"{fence.around(item.name, text[:length])}\n({'; '.join(filter(None, [missing, item.rest]))})"
        )
        if not length or meter.count(fenced, most) <= most:
            return fenced
        length = max(0, length - 100 - length // 50)
