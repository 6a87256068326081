"""Work on a database that may be away for a while: its outage is nobody's attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from omoi_os.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0


async def through_outages[T](work: Callable[[], T]) -> T:
    """What `work` returns in a thread, begun again after each outage of the database, however long it takes.

    So it has to bear being done twice: whether a commit was made whose answer was lost, nobody knows. An end
    comes from outside: the time of a workflow is limited.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            return await asyncio.to_thread(work)
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("database_lost", error=f"{type(error).__name__}: {error}"[:300], again_in=pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def is_outage(error: BaseException) -> bool:
    """Whether the database was away, restarted, too busy, or ended this connection."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    lost = (psycopg.OperationalError, psycopg.InterfaceError, DatabaseUnavailable, PoolTimeout)
    return isinstance(error, lost)
