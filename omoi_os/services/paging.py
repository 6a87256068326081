"""Limits and cursors of lists that are ordered by time and id, or by number."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from omoi_os.domain.storable import problem_in_text
from omoi_os.errors import InvalidInput

_LONGEST_ID = 200
_LONGEST_PLACE = 18


def check_limit(limit: int, most: int = 1000) -> None:
    """Raise `InvalidInput` where a page cannot have so many rows."""
    if not 1 <= limit <= most:
        raise InvalidInput(f"limit: write a number from 1 to {most:,}", field="limit")


def write_cursor(moment: datetime, id_: str) -> str:
    """The cursor that continues after the row of this time and id."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {id_}".encode()).decode()


def read_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """Time and id of the last row that was seen.

    Raises:
        InvalidInput: It is not a cursor that was handed out.
    """
    if cursor is None:
        return None
    try:
        written, _, id_ = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        moment = datetime.fromisoformat(written)
        # Without a zone, the database would take the time to be in the zone of its session.
        if not id_ or moment.tzinfo is None or problem_in_text(id_, _LONGEST_ID):
            raise ValueError
        return moment, id_
    except (ValueError, binascii.Error):
        raise _no_cursor() from None


def read_place(cursor: str | None) -> int:
    """The place after which a list that is ordered by number goes on; 0 for its beginning.

    Raises:
        InvalidInput: It is not a cursor that was handed out.
    """
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _LONGEST_PLACE):
        raise _no_cursor()
    return int(cursor)


def _no_cursor() -> InvalidInput:
    return InvalidInput("cursor: use the next_cursor of the page before, unchanged", field="cursor")
