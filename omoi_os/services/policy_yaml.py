"""Reads YAML so that every value has a line and means one thing.

What YAML can do beyond mappings, lists and plain values is refused: aliases (a few bytes can stand for
gigabytes), tags, several documents. Numbers are written as in JSON; an octal 010, a 1:30 that is 90 and
an `off` that is false have surprised people before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

from omoi_os.domain.policy.problems import Path, Problem
from omoi_os.domain.storable import problem_in_text

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 20
MAX_NODES: Final = 20_000
MAX_PROBLEMS: Final = 50

_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_FRACTION: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}\Z")
_WORDS: Final = {"true": True, "false": False}
_AMBIGUOUS: Final = frozenset({"off", "on", "yes", "no"})


@dataclass(slots=True)
class Content:
    """What a file holds.

    Attributes:
        lines: The 1-based line of each key and of each item of a list, by its path.
    """

    value: object = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)

    def line_of(self, problem: Problem) -> int:
        """The line of what the problem is about, or of the nearest thing around it."""
        path = problem.path
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Stop(Exception):
    """Nothing behind this line can be understood; never leaves this module."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


def read_yaml(raw: bytes) -> Content:
    """The content, with what is wrong with it as YAML; never raises for what a file can hold."""
    reader = _Reader(Content())
    try:
        reader.read(_text(raw))
    except _Stop as stop:
        reader.content.problems.append((stop.line, stop.text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(filter(None, (error.context, error.problem)))
        text = f"this is no YAML ({said}); check the indentation, colons and quotes around here"
        reader.content.problems.append((mark.line + 1 if mark else 1, text))
    except yaml.reader.ReaderError as error:
        character = f"U+{error.character:04X}" if isinstance(error.character, int) else "a character"
        line = _text(raw).count("\n", 0, error.position) + 1
        reader.content.problems.append((line, f"{character} cannot stand in YAML; delete it"))
    return reader.content


def _text(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise _Stop(1, f"the file has more than {MAX_BYTES:,} bytes; write a shorter one")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _Stop(line, f"byte {error.start + 1:,} is not UTF-8; save the file as UTF-8") from None


class _Reader:
    """Builds values from the parser's events, which come one by one: nothing large is ever built."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.nodes = 0

    def read(self, text: str) -> None:
        self.events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        event = self._next(after=yaml.StreamStartEvent)
        if isinstance(event, yaml.StreamEndEvent):
            raise _Stop(1, "the file is empty; write version: 1 in the first line")
        self.content.value = self._node(self._next(), ())
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise _Stop(_line(event), "a second document begins here; write one document without ---")

    def _next(self, after: type[yaml.Event] | None = None) -> yaml.Event:
        event = next(self.events)
        return next(self.events) if after is not None and isinstance(event, after) else event

    def _report(self, line: int, text: str) -> None:
        if len(self.content.problems) <= MAX_PROBLEMS:
            self.content.problems.append((line, text))

    def _node(self, event: yaml.Event, path: Path) -> object:
        self._check(event, path)
        match event:
            case yaml.MappingStartEvent():
                return self._mapping(path)
            case yaml.SequenceStartEvent():
                return self._list(path)
            case yaml.ScalarEvent():
                return self._scalar(event, path)
            case _:
                raise _Stop(_line(event), "this cannot be read; write a mapping of keys to values")

    def _check(self, event: yaml.Event, path: Path) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _Stop(_line(event), f"the file has more than {MAX_NODES:,} values; write a shorter one")
        if len(path) > MAX_DEPTH:
            raise _Stop(_line(event), f"this is nested deeper than {MAX_DEPTH} levels; write it flatter")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Stop(
                _line(event), "anchors (&) and aliases (*) are not read; write the value itself, or quote it"
            )
        if getattr(event, "tag", None):
            raise _Stop(_line(event), "tags (!) are not read; write the value without, or in quotes")
        if isinstance(event, yaml.ScalarEvent) and (problem := problem_in_text(event.value)):
            raise _Stop(_line(event), f"this text cannot be stored: {problem}; write it without")

    def _mapping(self, path: Path) -> dict[str, object]:
        read: dict[str, object] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            self._check(event, path)
            if not isinstance(event, yaml.ScalarEvent):
                raise _Stop(_line(event), "a key must be one word; write key: value")
            key, line = event.value, _line(event)
            if event.implicit[0] and key.lower() in _AMBIGUOUS:
                self._report(line, f'YAML reads a bare {key} as true or false; write "{key}" in quotes')
            if known := key in read:
                first = self.content.lines[*path, key]
                self._report(line, f"{_short(key)} stands in line {first} already; delete one of the two")
            else:
                self.content.lines[*path, key] = line
            value = self._node(self._next(), (*path, key))
            if not known:
                read[key] = value
        return read

    def _list(self, path: Path) -> list[object]:
        read: list[object] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            place = (*path, len(read))
            self.content.lines[place] = _line(event)
            read.append(self._node(event, place))
        return read

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> object:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in ("", "~", "null"):
            name = _short(str(path[-1])) if path else "the file"
            self._report(_line(event), f"{name} is empty; write a value, or delete the line")
            return None
        if text.lower() in _AMBIGUOUS:
            self._report(
                _line(event),
                f'YAML reads a bare {text} as true or false; write "{text}" in quotes, or true or false',
            )
        if _WHOLE.match(text):
            return int(text)
        return float(text) if _FRACTION.match(text) else _WORDS.get(text, text)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
