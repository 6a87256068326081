"""Finds the items in a context. Its shape is only a custom: any key, depth, type or cycle may occur."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Final

from omoi_os.domain.context.items import Item, Rank, Reading
from omoi_os.domain.context.text import short
from omoi_os.domain.phases import PHASE_SEQUENCE, Phase

MOST_ENTRIES: Final = 5_000
"""Entries of one phase, or keys of one object, that are looked at; the rest is counted. Five milliseconds."""

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
_CONTENT: Final = frozenset({"content", "artifact_content"})
_TASK: Final = ("task_id", "task")
_ARTIFACT: Final = ("artifact_path", "path", "artifact", "artifact_id")
_POINTERS: Final = frozenset({*_TASK, *_ARTIFACT, "ticket_id", "phase_id"})
# Keys whose value says it all.
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

_LONGEST_JOINED: Final = 1_000
_LONGEST_REFERENCE: Final = 200
_LONGEST_NAME: Final = 60
_BLANK: Final = 65_536
_SHORTEST_LINE: Final = 4  # tokens: "- note: a"
_SPARSEST: Final = 32
"""Characters for each token of the budget after which a rank has enough; prose has five for each."""

_TYPICAL: Final = 100
"""Characters that an entry of unknown length is taken to have."""

_LONGEST_INTEGER: Final = 4_096  # bits; Python refuses to write out more than 4,300 digits
_FRAME: Final = str.maketrans("():[]", "     ")  # what a line puts around a phase
_CONTAINERS: Final = (dict, list, tuple, set, frozenset)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk is.

    Attributes:
        settled: A key has named the rank; nothing below it can name another.
    """

    rank: Rank = Rank.OUTPUT
    settled: bool = False
    task: str = ""
    artifact: str = ""

    @property
    def reference(self) -> str:
        return f"{self.task}, {self.artifact}" if self.task and self.artifact else self.task or self.artifact


@dataclass(slots=True)
class _Level:
    """A container that is being read: its entries, and how many are left."""

    entries: Iterator[tuple[str, object, _Place]]
    left: int
    place: _Place


def read(context: object, budget: int) -> Reading:
    """The items of `context`: of each rank in each phase as many as `budget` tokens could take at the most.

    The rest is only counted. Lists are read from their end, where the newest stands. The order of keys does
    not matter, since a database does not keep it.
    """
    readers: dict[str, _Reader] = {}
    for phase, value, without in _parts(context):
        reader = readers.setdefault(phase, _Reader(phase, budget))
        reader.read(value, without)
    found = tuple(items for reader in readers.values() if (items := reader.in_order()))
    unread = sum(reader.unread for reader in readers.values())
    return Reading(found, unread, sum(reader.characters for reader in readers.values()))


_NEAREST: Final[dict[str, int]] = {phase: place for place, phase in enumerate(reversed(PHASE_SEQUENCE))}


def _parts(context: object) -> list[tuple[str, object, frozenset[str]]]:
    """Phase, value and keys to pass over; nearest phase first, and last what belongs to no phase."""
    if not isinstance(context, dict):
        return [("", context, frozenset())]
    parts = [(phase.value, context[phase]) for phase in Phase if phase in context]
    without = {phase for phase, _ in parts}
    phases = context.get("phases")
    if isinstance(phases, dict):
        without.add("phases")
        parts += [(_scalar(key) or "", value) for key, value in islice(phases.items(), MOST_ENTRIES)]
    parts.sort(key=lambda part: (_NEAREST.get(part[0], len(_NEAREST)), part[0]))
    own = context.get("phase_id")
    return [
        *((_phase_name(phase), value, frozenset[str]()) for phase, value in parts),
        (_phase_name(own) if isinstance(own, str) else "", context, frozenset(without)),
    ]


def _phase_name(phase: str) -> str:
    name = phase[: 2 * _LONGEST_NAME].removeprefix("PHASE_").lower()
    return short(name.translate(_FRAME), _LONGEST_NAME)


class _Bucket:
    """The items of one rank in one phase, until no budget can take more."""

    def __init__(self, budget: int) -> None:
        self.items: list[Item] = []
        self._most = budget // _SHORTEST_LINE + 1
        self._characters = budget * _SPARSEST + 1
        # One huge text must not keep the others from being seen.
        self._most_of_one = budget * _SPARSEST // 8
        self._seen: dict[tuple[str, int, str, str], str] = {}

    @property
    def full(self) -> bool:
        return len(self.items) >= self._most or self._characters <= 0

    def is_new(self, name: str, text: str) -> bool:
        # Hashing 20 MB takes longer than all the rest; comparing does only where length and ends agree.
        mark = (name, len(text), text[:_LONGEST_JOINED], text[-_LONGEST_JOINED:])
        if self._seen.get(mark) == text:
            return False
        self._seen[mark] = text
        self._characters -= min(len(text), self._most_of_one)
        return True


class _Reader:
    """Walks one phase without recursion: a context may be 10,000 levels deep, or contain itself."""

    def __init__(self, phase: str, budget: int) -> None:
        self.unread = 0
        self.characters = 0
        self._phase = phase
        self._buckets = [_Bucket(budget) for _ in Rank]
        # Containers stay alive while we read, so an id names one of them.
        self._opened: set[tuple[int, int, bool]] = set()
        self._levels: list[_Level] = []

    def in_order(self) -> tuple[Item, ...]:
        return tuple(item for bucket in self._buckets for item in bucket.items)

    def read(self, value: object, without: frozenset[str]) -> None:
        self._take("", value, _Place(), without)
        for _ in range(MOST_ENTRIES):
            entry = self._next()
            if entry is None:
                return
            self._take(*entry)
        self._leave(sum(level.left for level in self._levels))
        self._levels.clear()

    def _next(self) -> tuple[str, object, _Place] | None:
        while self._levels:
            level = self._levels[-1]
            for entry in level.entries:
                level.left -= 1
                return entry
            self._levels.pop()
        return None

    def _take(self, name: str, value: object, place: _Place, without: frozenset[str] = frozenset()) -> None:
        if isinstance(value, str) or not isinstance(value, _CONTAINERS):
            self._add(name, _scalar(value), place)
            return
        mark = (id(value), place.rank.value, place.settled)
        if mark in self._opened:
            return
        self._opened.add(mark)
        if place.settled and self._buckets[place.rank].full:
            self._leave(len(value))
        elif isinstance(value, dict):
            self._open(name, value, place, without)
        else:
            newest_first = reversed(value) if isinstance(value, list | tuple) else _in_order(value)
            self._levels.append(_Level(zip(repeat(name), newest_first, repeat(place)), len(value), place))

    def _open(self, name: str, value: dict[object, object], place: _Place, without: frozenset[str]) -> None:
        task, artifact = _pointer(value, _TASK, "task "), _pointer(value, _ARTIFACT)
        if task or artifact:
            place = _Place(place.rank, place.settled, task or place.task, artifact or place.artifact)
        entries = _entries(value, place)
        if without:
            entries = [entry for entry in entries if entry[0] not in without]
        self._leave(max(0, len(value) - MOST_ENTRIES))
        joined = _joined(entries, place) if place.settled or self._levels else None
        if joined is None:
            self._levels.append(_Level(iter(entries), len(entries), place))
        else:
            self._add(name, joined or artifact or task, place)

    def _add(self, name: str, text: str, place: _Place) -> None:
        if not text or (text[0].isspace() and text[:_BLANK].isspace()):
            self._leave(len(text) > _BLANK)
            return
        bucket = self._buckets[place.rank]
        if bucket.full:
            self._leave(1 + self._rest_of_list(place), len(text))
        elif bucket.is_new(name, text):
            bucket.items.append(Item(place.rank, self._phase, name, text, place.reference))

    def _rest_of_list(self, place: _Place) -> int:
        """Stop reading a list in which no other rank can follow; how many entries it has left."""
        if place.settled and self._levels and self._levels[-1].place is place:
            return self._levels.pop().left
        return 0

    def _leave(self, entries: int, length: int = _TYPICAL) -> None:
        self.unread += entries
        self.characters += entries * length


def _entries(value: dict[object, object], place: _Place) -> list[tuple[str, object, _Place]]:
    """What stands in an object, by rank and then by key; pointers are no content."""
    entries = []
    for key, child in islice(value.items(), MOST_ENTRIES):
        if key in _POINTERS and not isinstance(child, _CONTAINERS):
            continue
        name = _scalar(key)
        below = _below(name[:_LONGEST_NAME].strip().lower().replace(" ", "_"), place)
        entries.append((name, child, below))
    entries.sort(key=lambda entry: (entry[2].rank, entry[0]))
    return [(_label(name, below, place), child, below) for name, child, below in entries]


def _below(key: str, place: _Place) -> _Place:
    if key in _CONTENT:
        return _Place(Rank.OUTPUT, settled=True, task=place.task, artifact=place.artifact)
    if place.settled or key not in _RANKS:
        return place
    return _Place(_RANKS[key], settled=True, task=place.task, artifact=place.artifact)


def _label(name: str, below: _Place, place: _Place) -> str:
    """The key as it is shown, or "" where the rank or the value says as much."""
    if below is not place or name in _PLAIN:
        return ""
    return name if name.isidentifier() and len(name) <= _LONGEST_NAME else short(name, _LONGEST_NAME)


def _joined(entries: list[tuple[str, object, _Place]], place: _Place) -> str | None:
    """A small flat object as one text ("cause: a race; since: 1.2"); None where it is not one."""
    parts = []
    for name, child, below in entries:
        if below is not place or isinstance(child, _CONTAINERS):
            return None
        text = _scalar(child)
        if len(text) > _LONGEST_JOINED:
            return None
        if text:
            parts.append(f"{name}: {text}" if name else text)
    joined = "; ".join(parts)
    return joined if len(joined) <= _LONGEST_JOINED else None


def _pointer(value: dict[object, object], keys: Iterable[str], what: str = "") -> str:
    for key in keys:
        found = value.get(key)
        if isinstance(found, str | int) and (text := short(_scalar(found), _LONGEST_REFERENCE)):
            return what + text
    return ""


def _in_order(values: Iterable[object]) -> Iterator[object]:
    """A set in an order that does not depend on the hashes of this process."""
    few = islice(values, MOST_ENTRIES)
    return iter(sorted(few, key=lambda value: (type(value).__name__, _scalar(value))))


def _scalar(value: object) -> str:
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
