"""Patterns of paths: `*` and `?` within one folder, `**` for any number of folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from functools import cache
from typing import Final

LONGEST_PATTERN: Final = 200
_DEEPEST: Final = 64
_WILD: Final = re.compile(r"[*?\[]")


def problem_in_pattern(pattern: str) -> str | None:
    """Why nothing should be matched with `pattern`, and what to write; None where it is usable."""
    parts = pattern.split("/")
    if not pattern.strip() or len(pattern) > LONGEST_PATTERN:
        return f"is empty or longer than {LONGEST_PATTERN} characters; write a pattern such as src/**"
    if pattern.startswith(("!", "/", "./")) or "\\" in pattern or ".." in parts:
        return "is no pattern from the root of the project; write one such as src/** or **/*.py"
    if "" in parts:
        return f"has an empty part; write {'/'.join(filter(None, parts))}/**"
    return None


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether `path`, with "/" or "\\" between its parts, fits one of `patterns`.

    A pattern without wildcards is a file or a folder with all that is in it.
    """
    parts = path.replace("\\", "/").removeprefix("./").split("/")
    if ".." in parts or len(parts) > _DEEPEST:
        return False
    return any(_fits(parts, _parts(pattern)) for pattern in patterns)


@cache
def _parts(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    """Each part as an expression; None for `**`. `translate` writes expressions that do not backtrack."""
    parts = pattern.split("/")
    if not _WILD.search(pattern):
        parts.append("**")
    return tuple(None if part == "**" else re.compile(translate(part)) for part in parts)


def _fits(parts: Sequence[str], pattern: Sequence[re.Pattern[str] | None]) -> bool:
    """One pass over the pattern, with the set of places in the path that it can have reached."""
    reached = {0}
    for part in pattern:
        if part is None:
            reached = set(range(min(reached), len(parts) + 1))
        else:
            reached = {place + 1 for place in reached if place < len(parts) and part.match(parts[place])}
        if not reached:
            return False
    return len(parts) in reached
