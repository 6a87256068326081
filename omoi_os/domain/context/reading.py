"""Finds the items in a context. Its shape is only a custom: any key, depth, type or cycle may occur."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import repeat
from operator import itemgetter, length_hint
from typing import Final

from omoi_os.domain.context.items import Item, Rank, Reading
from omoi_os.domain.context.keys import KNOWN, LEFT_OUT, POINTERS, Place, is_count, meaning, scalar
from omoi_os.domain.context.text import short
from omoi_os.domain.phases import PHASE_SEQUENCE, Phase

MOST_ENTRIES: Final = 5_000
"""Entries of one phase, or keys of one object, that are looked at; the rest is counted. Five milliseconds."""

_LONGEST_PHASE: Final = 60
_LONGEST_JOINED: Final = 1_000
_MOST_JOINED: Final = 200
_BLANK: Final = 65_536
_ENDS: Final = 100
_SPARSEST: Final = 64
"""Characters for each token of the budget after which a rank has enough: rules of a table have as many."""

_SHORTEST: Final = 4 * _SPARSEST  # the tokens of "- note: a"

_TYPICAL: Final = 100
"""Characters that an entry of unknown length is taken to have."""

_FRAME: Final = str.maketrans("():[]", "     ")  # what a line puts around a phase
_DEEPEST_MEMBER: Final = 8
_CONTAINERS: Final = (dict, list, tuple, set, frozenset)
_SIZED: Final = (str, *_CONTAINERS)
_PHASES: Final = tuple(phase.value for phase in Phase)
_NEAREST: Final[dict[str, int]] = {phase: place for place, phase in enumerate(reversed(PHASE_SEQUENCE))}

_BY_RANK_AND_KEY: Final = itemgetter(0, 1)
_POINTERS_LAST: Final = itemgetter(0, 1)
_TOP: Final = Place()
_NO_KEYS: Final = frozenset[str]()

type _Entry = tuple[str, object, Place]
type _Sortable = tuple[str, str, list[_Sortable]]


@dataclass(slots=True)
class _Level:
    """A container that is being read.

    Attributes:
        container: What is read; it stays alive while it is, so that its id names it.
        source: The iterator behind `entries`, which knows how many are left.
    """

    container: object
    entries: Iterator[_Entry]
    source: Iterator[object]
    place: Place


def read(context: object, budget: int) -> Reading:
    """The items of `context`: of each rank in each phase as many as `budget` tokens could take at the most.

    The rest is only counted. Lists are read from their end, where the newest stands. The order of keys does
    not matter, since a database does not keep it.
    """
    parts, beyond = _parts(context)
    readers: dict[str, _Reader] = {}
    for phase, value, without in parts:
        reader = readers.setdefault(phase, _Reader(phase, budget))
        reader.read(value, without)
    found = tuple(items for reader in readers.values() if (items := reader.in_order()))
    unread = sum(reader.unread for reader in readers.values())
    characters = sum(reader.characters for reader in readers.values())
    return Reading(found, unread + beyond, characters + beyond * _TYPICAL)


def _parts(context: object) -> tuple[list[tuple[str, object, frozenset[str]]], int]:
    """Phase, value and keys to pass over; nearest phase first, and last what belongs to no phase.

    And how many phases there are beyond those.
    """
    if not isinstance(context, dict):
        return [("", context, _NO_KEYS)], 0
    parts = [(phase, context[phase]) for phase in _PHASES if phase in context]
    without = {phase for phase, _ in parts}
    phases = context.get("phases")
    if isinstance(phases, dict):
        without.add("phases")
        parts += [(scalar(key), value) for key, value in phases.items()]
    parts.sort(key=lambda part: (_NEAREST.get(part[0], len(_NEAREST)), part[0]))
    found = [_part(_phase_name(phase), value) for phase, value in parts[:MOST_ENTRIES]]
    if len(without) < len(context):
        own = context.get("phase_id")
        found.append(_part(_phase_name(own) if isinstance(own, str) else "", context, without))
    return found, max(0, len(parts) - MOST_ENTRIES)


def _part(phase: str, value: object, without: Iterable[str] = ()) -> tuple[str, object, frozenset[str]]:
    """Its own phase's name and its ticket's id say nothing new."""
    if not isinstance(value, dict):
        return phase, value, _NO_KEYS
    own = value.get("phase_id")
    named = {"phase_id"} if isinstance(own, str) and _phase_name(own) == phase else set()
    if isinstance(value.get("ticket_id"), str):
        named.add("ticket_id")
    return phase, value, frozenset(named.union(without))


@lru_cache(100)
def _phase_name(phase: str) -> str:
    name = phase[: 2 * _LONGEST_PHASE].removeprefix("PHASE_").lower()
    return short(name.translate(_FRAME), _LONGEST_PHASE)


class _Bucket:
    """The items of one rank in one phase, until it is full: no budget can take more."""

    def __init__(self, budget: int) -> None:
        self.items: list[Item] = []
        self.full = False
        self._room = budget * _SPARSEST + 1
        # One huge text must not keep the others from being seen.
        self._most_of_one = budget * _SPARSEST // 4
        self._seen: dict[object, str] = {}

    def add(self, phase: str, name: str, text: str, place: Place) -> None:
        """Take it unless the same was said of the same artifact before."""
        mark: object = (text, name, place.artifact) if name or place.artifact else text
        size = len(text)
        if size > _LONGEST_JOINED:
            # Hashing 20 MB takes longer than all the rest; comparing does only where length and ends agree.
            mark = (size, text[:_ENDS], text[-_ENDS:], name, place.artifact)
        if self._seen.get(mark) == text:
            return
        self._seen[mark] = text
        self.items.append(Item(place.rank, phase, name, text, place.reference))
        taken = size if size > _SHORTEST else _SHORTEST
        self._room -= taken if taken < self._most_of_one else self._most_of_one
        self.full = self._room <= 0


class _Reader:
    """Walks one phase without recursion: a context may be 10,000 levels deep, or contain itself."""

    def __init__(self, phase: str, budget: int) -> None:
        self.unread = 0
        self.characters = 0
        self._phase = phase
        self._buckets: defaultdict[Rank, _Bucket] = defaultdict(partial(_Bucket, budget))
        self._levels: list[_Level] = []
        self._inside: set[int] = set()  # ids of their containers

    def in_order(self) -> tuple[Item, ...]:
        return tuple(item for rank in sorted(self._buckets) for item in self._buckets[rank].items)

    def read(self, value: object, without: frozenset[str]) -> None:
        if isinstance(value, dict) and is_count(more := value.get(LEFT_OUT)):
            self._leave(more)
            without |= {LEFT_OUT}
        self._take("", value, _TOP, without)
        left = MOST_ENTRIES
        while self._levels and left:
            left = self._go_on(self._levels[-1], left)
        self._leave(sum(length_hint(level.source) for level in self._levels))
        self._levels.clear()
        self._inside.clear()

    def _go_on(self, level: _Level, most: int) -> int:
        """Read a level until another is opened or it ends; returns how many entries may follow."""
        levels = self._levels
        for name, child, place in level.entries:
            most -= 1
            if isinstance(child, str):
                self._add(name, child, place)
            else:
                self._take(name, child, place)
            if not most or not levels or levels[-1] is not level:
                return most
        self._close()
        return most

    def _take(self, name: str, value: object, place: Place, without: frozenset[str] = _NO_KEYS) -> None:
        if not isinstance(value, _CONTAINERS):
            self._add(name, scalar(value), place)
            return
        if not value or id(value) in self._inside:  # it contains itself
            return
        if place.settled and self._buckets[place.rank].full:
            entries = 1 if isinstance(value, dict) else len(value)
            self._leave(entries + self._rest_of_list(place))
        elif isinstance(value, dict):
            self._take_object(name, value, place, without)
        else:
            source = reversed(value) if isinstance(value, (list, tuple)) else self._in_order(value)
            self._open(value, zip(repeat(name), source, repeat(place)), source, place)

    def _take_object(
        self, name: str, value: dict[object, object], place: Place, without: frozenset[str]
    ) -> None:
        points = not POINTERS.isdisjoint(value)
        if points:
            place = place.pointed(value)
        text = _joined(value, place) if place.settled or self._levels else None
        entries = _entries(value, place, without) if text is None else ()
        if not entries:
            # All that it says may be what it is about.
            about = (place.artifact or place.task) if points else ""
            if not text and about == place.artifact:
                place = place.below(meaning("artifact"))
            self._add(name, text or about, place)
            return
        if len(value) > MOST_ENTRIES:
            self._leave(len(value) - MOST_ENTRIES)
        source = iter(entries)
        self._open(value, source, source, place)

    def _open(
        self, container: object, entries: Iterator[_Entry], source: Iterator[object], place: Place
    ) -> None:
        self._levels.append(_Level(container, entries, source, place))
        self._inside.add(id(container))

    def _close(self) -> _Level:
        level = self._levels.pop()
        self._inside.discard(id(level.container))
        return level

    def _in_order(self, values: set[object] | frozenset[object]) -> Iterator[object]:
        """A set in an order that does not depend on the hashes of this process."""
        self._leave(max(0, len(values) - MOST_ENTRIES))
        return iter(sorted(values, key=_sortable)[:MOST_ENTRIES])

    def _add(self, name: str, text: str, place: Place) -> None:
        if not text or (text[0].isspace() and text[:_BLANK].isspace()):
            self._leave(len(text) > _BLANK)
            return
        bucket = self._buckets[place.rank]
        if bucket.full:
            self._leave(1 + self._rest_of_list(place), len(text))
        else:
            bucket.add(self._phase, name, text, place)

    def _rest_of_list(self, place: Place) -> int:
        """Stop reading a list in which no other rank can follow; how many entries it has left."""
        if place.settled and self._levels and self._levels[-1].place is place:
            return length_hint(self._close().source)
        return 0

    def _leave(self, entries: int, length: int = _TYPICAL) -> None:
        self.unread += entries
        self.characters += entries * length


def _sortable(value: object, depth: int = _DEEPEST_MEMBER) -> _Sortable:
    """A member of a set by what it says."""
    kind = type(value).__name__
    if not isinstance(value, (tuple, frozenset)):
        return kind, scalar(value), []
    if not depth:
        return kind, f"{len(value)}", []
    members = [_sortable(member, depth - 1) for member in value]
    return kind, "", members if isinstance(value, tuple) else sorted(members)


def _looked_at(value: dict[object, object]) -> Iterable[tuple[object, object]]:
    """As many entries as are looked at: the same ones whatever their order."""
    if len(value) <= MOST_ENTRIES:
        return value.items()
    rest = sorted([key for key in value if key not in KNOWN], key=scalar)
    keys = [*filter(value.__contains__, KNOWN), *rest]
    return [(key, value[key]) for key in keys[:MOST_ENTRIES]]


def _entries(value: dict[object, object], place: Place, without: frozenset[str]) -> list[_Entry]:
    """What stands in an object, by rank and then by key, without what its place shows.

    A key that is too long to stand beside its value goes before it.
    """
    found: list[tuple[Rank, str, str, object, Place]] = []
    for key, child in _looked_at(value):
        if key in without or (not child and (child is None or isinstance(child, _SIZED))):
            continue
        if key in POINTERS and place.shows(key, child):
            continue
        name = key if isinstance(key, str) else scalar(key)
        said = meaning(name)
        below = place if said.rank is None else place.below(said)
        if said.long:
            found.append((below.rank, name, "", name, below))
        found.append((below.rank, name, said.label if below is place else "", child, below))
    if len(found) > 1:
        found.sort(key=_BY_RANK_AND_KEY)
    return [entry[2:] for entry in found]


def _joined(value: dict[object, object], place: Place) -> str | None:
    """A small flat object as one text ("cause: a race; since: 1.2"); None where it is not one."""
    if len(value) > _MOST_JOINED:
        return None
    parts = []
    for key, child in value.items():
        if isinstance(child, _CONTAINERS):
            return None
        points = key in POINTERS
        if points and place.shows(key, child):
            continue
        name = key if isinstance(key, str) else scalar(key)
        said = meaning(name)
        if said.rank is not None and place.below(said) is not place:
            return None
        text = child if isinstance(child, str) else scalar(child)
        if len(text) > _LONGEST_JOINED:
            return None
        if text:
            label = name if said.long else said.label
            parts.append((points, name, f"{label}: {text}" if label else text))
    if len(parts) == 1:
        joined = parts[0][2]
    else:
        parts.sort(key=_POINTERS_LAST)
        joined = "; ".join([part[2] for part in parts])
    return joined if len(joined) <= _LONGEST_JOINED else None
