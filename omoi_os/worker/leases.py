"""Which workers live. The engine takes over the work of one that never returns only when it is told to.

Each worker adds to a number in its row. A peer counts as dead when this process has watched its number stand
still for long enough by its own monotonic clock, with no error of the database in between: so neither clocks
that differ, nor an outage, nor a laptop that slept make a worker look dead that lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog
from dbos import DBOS

from omoi_os import faults
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.store import leases

log = structlog.get_logger(__name__)

BEAT: Final = 2.0
TTL: Final = 12.0
"""Seconds for which a number must stand still; six beats."""


@dataclass(slots=True)
class Watch:
    """What one process has seen of the others.

    Attributes:
        ttl: Seconds of silence after which a peer is dead.
        clock: Monotonic.
    """

    ttl: float = TTL
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def silent(self, beats: Iterable[tuple[str, int]]) -> list[str]:
        """The names whose number has stood still for too long."""
        now, found = self.clock(), dict(beats)
        self._seen = {
            name: seen if (seen := self._seen.get(name)) is not None and seen[0] == beat else (beat, now)
            for name, beat in found.items()
        }
        return [name for name, (_, since) in self._seen.items() if now - since >= self.ttl]

    def forget(self, name: str | None = None) -> None:
        """Watch afresh: one, or after an error all."""
        if name is None:
            self._seen.clear()
        else:
            self._seen.pop(name, None)


class Leases:
    """Beats for this worker, and takes over from those that are dead."""

    def __init__(self, db: DatabaseService, executor_id: str, watch: Watch | None = None) -> None:
        self.db = db
        self.executor_id = executor_id
        self.watch = watch or Watch()

    def beat(self) -> None:
        """Say that this worker lives, and look who does not any more."""
        try:
            with self.db.single_statements() as connection:
                leases.beat(connection, self.executor_id)
                living = dict(leases.others(connection, self.executor_id))
            orphans = {name: -1 for name in _executors_at_work() if name not in living}
            orphans.pop(self.executor_id, None)
            dead = self.watch.silent([*living.items(), *orphans.items()])
            for name in dead:
                self._take_over(name)
        except Exception:
            self.watch.forget()
            raise

    def end(self) -> None:
        """Leave: what this worker still had is taken over as soon as somebody looks."""
        with self.db.single_statements() as connection:
            leases.end(connection, self.executor_id)

    def _take_over(self, name: str) -> None:
        with self.db.get_session() as session:
            connection = driver_connection(session)
            if not leases.is_alone(connection):
                return  # another worker is at it
            moved = resume_work_of(name)
            leases.end(connection, name)
            faults.reached("take_over.before_commit", name)
        faults.reached("take_over.after_commit", name)
        self.watch.forget(name)
        log.warning("worker_lost", executor_id=name, workflows=moved)


def resume_work_of(executor_id: str) -> int:
    """Put the work that a dead worker had back into its queues; returns how many workflows."""
    pending = DBOS.list_workflows(
        status="PENDING", executor_id=executor_id, load_input=False, load_output=False
    )
    by_queue: dict[str | None, list[str]] = {}
    for workflow in pending:
        by_queue.setdefault(workflow.queue_name, []).append(workflow.workflow_id)
    for queue, ids in by_queue.items():
        DBOS.resume_workflows(ids, queue_name=queue)
    return len(pending)


def _executors_at_work() -> set[str]:
    pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    return {workflow.executor_id for workflow in pending if workflow.executor_id}
