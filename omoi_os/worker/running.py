"""What this process executes, by the engine's names: what it is said to run and does not was mislaid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dbos import DBOS

_running: Final[Counter[str]] = Counter()


@contextmanager
def here() -> Iterator[str]:
    """The block is the body of a workflow; the value is its id."""
    name = DBOS.workflow_id or ""
    _running[name] += 1
    try:
        yield name
    finally:
        _running[name] -= 1
        if not _running[name]:
            del _running[name]


def running() -> set[str]:
    """The workflows that this process executes."""
    return set(_running)
