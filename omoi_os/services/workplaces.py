"""One agent at a time in one workplace, and signs of its life while it works there.

The lock lives as long as its connection. So a worker that is frozen keeps it, and one that died, or whose
machine vanished, does not; and an agent whose connection broke is stopped, since others may be let in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.services.database import DatabaseService
from omoi_os.store import workplaces

_LOOK: Final = 0.5


class Why(StrEnum):
    """Why an agent was stopped."""

    LOST = "lost"
    """It does not have the task any more."""

    CUT_OFF = "cut_off"
    """Its connection broke, and with it the lock."""


class Busy(Exception):
    """Somebody else is at work there, and stays."""


@dataclass(slots=True)
class Shift:
    """An agent at work on a task.

    Attributes:
        stopped: None while nothing happened.
        over: Set when it ends.
    """

    task_id: str
    agent_id: str
    stopped: Why | None = None
    over: threading.Event = field(default_factory=threading.Event)


class Workplaces:
    """Lets agents in, one at a time.

    Args:
        beat: Seconds between two signs of life; also after which one that lost its task is stopped.
        patience: Seconds for which a workplace that is taken is waited for.
    """

    def __init__(self, db: DatabaseService, *, beat: float = 2.0, patience: float = 30.0) -> None:
        self.db = db
        self.beat = beat
        self.patience = patience

    @contextmanager
    def shift(self, name: str, task_id: str, agent_id: str, stop: Callable[[], None]) -> Iterator[Shift]:
        """Be alone in the workplace `name`, and beat for the agent, while the block runs.

        Args:
            stop: Ends what the block waits for; called from another thread where the shift says why.

        Raises:
            Busy: Somebody else was there for too long.
        """
        shift = Shift(task_id, agent_id)
        with self.db.single_statements() as connection:
            self._enter(connection, name, shift)
            beating = threading.Thread(target=self._keep, args=[connection, shift, stop], name="shift")
            beating.start()
            try:
                yield shift
            finally:
                shift.over.set()
                beating.join()
                with suppress(psycopg.Error):
                    workplaces.let_go(connection, name)

    def _enter(self, connection: Connection[TupleRow], name: str, shift: Shift) -> None:
        end = time.monotonic() + self.patience
        while not workplaces.hold(connection, name):
            if not workplaces.still_has(connection, shift.task_id, shift.agent_id):
                shift.stopped = Why.LOST
                raise Busy
            if time.monotonic() > end:
                raise Busy
            time.sleep(_LOOK)

    def _keep(self, connection: Connection[TupleRow], shift: Shift, stop: Callable[[], None]) -> None:
        while not shift.over.wait(self.beat):
            try:
                if workplaces.still_has(connection, shift.task_id, shift.agent_id):
                    continue
                shift.stopped = Why.LOST
            except psycopg.Error:
                shift.stopped = Why.CUT_OFF
            break
        # Again and again: it may not have begun yet what there is to stop.
        while shift.stopped is not None and not shift.over.wait(_LOOK):
            stop()
