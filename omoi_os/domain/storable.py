"""What PostgreSQL can hold: refuse the rest at the edge, with a sentence, before a driver raises."""

from __future__ import annotations

import math
import re
from typing import Final

MAX_JSON_DEPTH: Final = 100
"""JSON deeper than this is refused; PostgreSQL's own parser gives up at a few thousand."""

MAX_TEXT: Final = 200_000
"""Characters of a text field that has no length of its own (descriptions, paths, messages)."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LARGEST_INTEGER: Final = 2**63 - 1


def problem_in_text(text: str, limit: int = MAX_TEXT) -> str | None:
    """Why `text` cannot be stored in a field of `limit` characters, or None."""
    if len(text) > limit:
        return f"it has {len(text):,} characters, and {limit:,} are allowed"
    if match := _UNSTORABLE.search(text):
        what = "a NUL character" if match.group() == "\x00" else "half of a surrogate pair"
        return f"it holds {what} at position {match.start()}; remove it"
    return None


def storable(text: str) -> str:
    """`text` with U+FFFD for each character that cannot be stored."""
    return _UNSTORABLE.sub("\ufffd", text)


def problem_in_json(value: object) -> str | None:
    """Why `value` cannot be stored as JSONB, or None; walks without recursion."""
    stack: list[tuple[object, int]] = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_JSON_DEPTH:
            return f"it is nested deeper than {MAX_JSON_DEPTH} levels"
        if isinstance(item, dict):
            for key in item:
                if not isinstance(key, str):
                    return f"the key {key!r} is not a text"
                if _UNSTORABLE.search(key):
                    return "a key holds a NUL character or half of a surrogate pair; remove it"
            stack.extend((child, depth + 1) for child in item.values())
        elif isinstance(item, list | tuple):
            stack.extend((child, depth + 1) for child in item)
        elif problem := _problem_in_scalar(item):
            return problem
    return None


def _problem_in_scalar(item: object) -> str | None:
    match item:
        case None | bool():
            return None
        case str():
            return (
                "a text holds a NUL character or half of a surrogate pair"
                if _UNSTORABLE.search(item)
                else None
            )
        case int():
            return None if abs(item) <= _LARGEST_INTEGER else "an integer needs more than 64 bits"
        case float():
            return None if math.isfinite(item) else "a number is not finite (NaN or infinity)"
        case _:
            return f"a {type(item).__name__} is not JSON"
