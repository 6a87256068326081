"""What earlier phases hand on, cut down to a budget of tokens: reading, cleaning and packing, all pure.

Contexts reach tens of megabytes and a summary a few kilobytes, so nothing here copies or scans a whole text:
items refer to the given strings, and only what the budget can take is sliced, cleaned and counted.
"""

from omoi_os.domain.context.condensing import (
    MOST_GIVEN,
    Leftover,
    Point,
    condense,
    is_condensed,
    left_over,
    room_for,
)
from omoi_os.domain.context.cutting import Meter
from omoi_os.domain.context.items import Item, Rank, Reading
from omoi_os.domain.context.packing import pack, packed
from omoi_os.domain.context.reading import read

__all__ = [
    "MOST_GIVEN",
    "Item",
    "Leftover",
    "Meter",
    "Point",
    "Rank",
    "Reading",
    "condense",
    "is_condensed",
    "left_over",
    "pack",
    "packed",
    "read",
    "room_for",
]
