"""As much of a JSON value as may be kept."""

from __future__ import annotations

import json
from typing import Any, Final

MOST_ITEMS: Final = 1000
"""Entries of one list or object."""

LONGEST_TEXT: Final = 20_000
"""Characters of one text."""

_DEEPEST: Final = 20


def piece_of(value: object, room: int) -> Any:
    """A part of `value` that takes at most `room` characters as JSON; None where nothing of it fits.

    A text that was cut says so; of an object or list the first entries that fit are kept, and what lies very
    deep is told by its size only.
    """
    return _within(_bounded(value, _DEEPEST), room)


def cut(text: str) -> str:
    """`text`, or its beginning and how much is missing."""
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]} … ({len(text) - LONGEST_TEXT:,} more characters)"


def size(value: object) -> int:
    """The characters of `value` as JSON."""
    return len(json.dumps(value))


def leaves(value: object) -> int:
    """How many values stand in `value` that are neither objects nor lists."""
    found, stack = 0, [value]
    while stack:
        match stack.pop():
            case dict() as entries:
                stack.extend(entries.values())
            case list() as entries:
                stack.extend(entries)
            case _:
                found += 1
    return found


def _bounded(value: object, depth: int) -> Any:
    match value:
        case str():
            return cut(value)
        case dict() | list() if depth == 0:
            return f"({len(value):,} entries)"
        case dict():
            return {key: _bounded(item, depth - 1) for key, item in list(value.items())[:MOST_ITEMS]}
        case list():
            return [_bounded(item, depth - 1) for item in value[:MOST_ITEMS]]
        case _:
            return value


def _within(value: Any, room: int) -> Any:
    if room <= 0:
        return None
    if size(value) <= room:
        return value
    left = room - len("{}")
    match value:
        case dict():
            fields: dict[str, Any] = {}
            for key, item in value.items():
                if (piece := _within(item, left - size({key: 0}))) is not None:
                    fields[key] = piece
                    left -= size({key: piece})
            return fields or None
        case list():
            entries: list[Any] = []
            for item in value:
                if (piece := _within(item, left - len(", "))) is not None:
                    entries.append(piece)
                    left -= size([piece])
            return entries or None
        case _:
            return None
