"""What the keys of a context mean. They are only a custom: any other key may occur, too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, TypeGuard

from omoi_os.domain.context.items import Rank
from omoi_os.domain.context.text import clean, round_brackets

_MOST_BESIDE: Final = 40
"""Tokens, more or less, of a name or a reference beside a text: what is longer is told as text itself."""

_LONGEST_BESIDE: Final = 3 * _MOST_BESIDE  # characters
_TRIPLE: Final = re.compile("[A-Za-z]{3}")
_LONGEST_INTEGER: Final = 4_096  # bits; Python refuses to write out more than 4,300 digits

_RANKS: Final = {
    "decisions": Rank.DECISION,
    "decision": Rank.DECISION,
    "key_decisions": Rank.DECISION,
    "blocking_reasons": Rank.BLOCKING,
    "blockers": Rank.BLOCKING,
    "artifacts": Rank.ARTIFACT,
    "artifact": Rank.ARTIFACT,
    "risks": Rank.RISK,
    "risk": Rank.RISK,
    "summary": Rank.OUTCOME,
    "summaries": Rank.OUTCOME,
    "outcome": Rank.OUTCOME,
    "outcomes": Rank.OUTCOME,
    "feedback": Rank.OUTCOME,
    "notes": Rank.NOTE,
    "note": Rank.NOTE,
    "outputs": Rank.OUTPUT,
    "output": Rank.OUTPUT,
}
LEFT_OUT: Final = "left_out"
"""Of a phase: how many of its values whoever gathered them did not keep."""

_CONTENT: Final = frozenset({"content", "artifact_content"})
_TASK: Final = ("task_id", "task")
_ARTIFACT: Final = ("artifact_path", "path", "artifact", "artifact_id")
POINTERS: Final = frozenset({*_TASK, *_ARTIFACT})
KNOWN: Final = dict.fromkeys((*_RANKS, *sorted(_CONTENT), *_TASK, *_ARTIFACT))
"""Keys that are looked at also where there are too many for all."""

_PLAIN: Final = frozenset(
    {
        "text",
        "title",
        "type",
        "artifact_type",
        "description",
        "decision",
        "risk",
        "note",
        "message",
        "summary",
    }
)


class Place(NamedTuple):
    """Where the walk is.

    Attributes:
        settled: A key has named the rank; nothing below it can name another.
        task: As given, as `artifact`; "" where none is named that has room beside a text.
        reference: What is shown of both.
    """

    rank: Rank = Rank.OUTPUT
    settled: bool = False
    task: str = ""
    artifact: str = ""
    reference: str = ""

    def below(self, key: Key) -> Place:
        """Where the value of `key` is."""
        if key.rank is None or (self.settled and not key.content):
            return self
        return self._replace(rank=key.rank, settled=True) if self.reference else _SETTLED[key.rank]

    def pointed(self, value: Mapping[object, object]) -> Place:
        """Where the values of an object are that says which task or artifact it is about."""
        task = _pointer(value, _TASK) or self.task
        artifact = _pointer(value, _ARTIFACT) or self.artifact
        return Place(self.rank, self.settled, task, artifact, _reference(task, artifact))

    def shows(self, key: object, value: object) -> bool:
        """Whether the reference says what stands at `key`."""
        shown = self.task if key in _TASK else self.artifact if key in _ARTIFACT else ""
        return bool(shown) and isinstance(value, (str, int)) and scalar(value) == shown


_SETTLED: Final = {rank: Place(rank, settled=True) for rank in Rank}


class Key(NamedTuple):
    """What a key says.

    Attributes:
        label: How it is shown; "" where the value says it all.
        rank: That of what stands below it, or None if it names none.
        content: Whether that holds even where another key has named the rank before.
        long: Whether it has no room beside its value.
    """

    label: str
    rank: Rank | None = None
    content: bool = False
    long: bool = False


_LONG: Final = Key("", long=True)


def meaning(name: str) -> Key:
    """What the key `name` says."""
    return _meaning(name) if len(name) <= _LONGEST_BESIDE else _LONG


@lru_cache(1_000)
def _meaning(name: str) -> Key:
    plain = name.strip().lower().replace(" ", "_")
    content = plain in _CONTENT
    rank = Rank.OUTPUT if content else _RANKS.get(plain)
    label = "" if name in _PLAIN else _beside(name)
    return Key(label, rank, content, long=not (label or name in _PLAIN) and bool(clean(name)))


def is_count(value: object) -> TypeGuard[int]:
    """Whether it can be a number of values."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _pointer(value: Mapping[object, object], keys: Iterable[str]) -> str:
    for key in keys:
        found = value.get(key)
        if isinstance(found, (str, int)) and _beside(text := scalar(found)):
            return text
    return ""


@lru_cache(1_000)  # a task's id stands beside each of its items
def _reference(task: str, artifact: str) -> str:
    both = (f"task {_beside(task)}" if task else "", _beside(artifact))
    return round_brackets(", ".join(filter(None, both)))


def _beside(text: str) -> str:
    """`text` as it stands beside another; "" where it has no room there."""
    return _short(text) if len(text) <= _LONGEST_BESIDE else ""


@lru_cache(1_000)
def _short(text: str) -> str:
    shown = clean(text)
    # Three letters are taken for a token, and each byte of anything else.
    return shown if len(_TRIPLE.sub("x", shown).encode()) <= _MOST_BESIDE else ""


def scalar(value: object) -> str:
    """A value as text; "" for None, and only the type of what is no JSON."""
    if isinstance(value, str):
        return value
    match value:
        case None:
            return ""
        case int() if value.bit_length() > _LONGEST_INTEGER:
            return f"(an integer of {value.bit_length():,} bits)"
        case bool() | int() | float():
            return str(value)
        case _:
            return f"({type(value).__name__})"
