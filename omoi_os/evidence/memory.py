"""What was measured before, within a bound of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Final

from omoi_os.domain.claims import Claims
from omoi_os.domain.evidence import CoverageFacts, Unreadable, UnreadableCode
from omoi_os.domain.rules import Facts

type Known = tuple[Facts | Unreadable, Claims]

ENTRIES: Final = 256
TOO_MANY_FILES: Final = 2_000
"""Coverage of more files is measured anew each time: 256 such reports would be most of the memory."""


class Memory:
    """The last measurements of inline evidence by digest; safe to use from several threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Known] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, key: Hashable, measure: Callable[[], Known]) -> Known:
        """What `measure` gave for `key` before, or gives now."""
        known = self._known.get(key)
        if known is None:
            known = measure()
            if (small := _small(known)) is not None:
                with self._lock:
                    self._known[key] = known = small
                    if len(self._known) > ENTRIES:
                        self._known.popitem(last=False)
        return known


def _small(known: Known) -> Known | None:
    """`known` without what only merging needs; None where it is not worth its memory."""
    facts, claims = known
    match facts:
        case Unreadable(code=UnreadableCode.TOO_SLOW):
            return None  # out of time once is not out of time for ever
        case CoverageFacts() if len(facts.files) > TOO_MANY_FILES:
            return None
        case CoverageFacts():
            return replace(facts, files=tuple(replace(file, lines=b"") for file in facts.files)), claims
        case _:
            return known
