"""How much a reader may read before it gives up and says so."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds of one read.

    Attributes:
        max_bytes: Size of the file or text.
        max_depth: Nesting of elements or objects.
        max_items: Cases, lines, files or headings, whichever the reader counts.
        max_seconds: Wall-clock time, looked at every few thousand items.
    """

    max_bytes: int = 256 * MIB
    max_depth: int = 64
    max_items: int = 2_000_000
    max_seconds: float = 30.0


@dataclass(slots=True)
class Deadline:
    """The clock of one read, started when it is made."""

    seconds: float
    started: float = field(default_factory=time.monotonic)

    @property
    def passed(self) -> bool:
        return time.monotonic() - self.started > self.seconds

    @property
    def left(self) -> float:
        """Seconds that remain, never less than a hundredth: a reader needs some time to say no."""
        return max(0.01, self.seconds - (time.monotonic() - self.started))
