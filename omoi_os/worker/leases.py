"""Which workers live. The engine takes over the work of one that never returns only when it is told to.

Each worker adds to a number in its row. A peer counts as dead when this process has watched its number stand
still for long enough by its own monotonic clock, with no error of the database in between: so neither clocks
that differ, nor an outage, nor a laptop that slept make a worker look dead that lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog
from dbos import DBOS, WorkflowStatus

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
    _looked: float = 0.0

    def silent(self, beats: Iterable[tuple[str, int]]) -> list[str]:
        """The names whose number has stood still for too long."""
        now, found = self.clock(), dict(beats)
        if now - self._looked >= self.ttl / 2:
            self._seen.clear()  # this process stood still itself, and perhaps the whole machine
        self._looked = now
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

    def __init__(
        self,
        db: DatabaseService,
        executor_id: str,
        ttl: float = TTL,
        running: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.db = db
        self.executor_id = executor_id
        self.watch = Watch(ttl)
        self._mislaid = Watch(ttl)
        self._running = running

    def beat(self) -> None:
        """Say that this worker lives, and look who does not any more."""
        try:
            with self.db.single_statements() as connection:
                leases.beat(connection, self.executor_id)
                living = dict(leases.others(connection, self.executor_id))
            at_work = _at_work()
            orphans = {name: -1 for name in at_work if name not in living and name != self.executor_id}
            for name in self.watch.silent([*living.items(), *orphans.items()]):
                self._take_over(name)
            self._find_mislaid(at_work.get(self.executor_id, []))
        except Exception:
            self.watch.forget()
            self._mislaid.forget()
            raise

    def end(self) -> None:
        """Leave: what this worker still had is taken over as soon as somebody looks."""
        with self.db.single_statements() as connection:
            leases.end(connection, self.executor_id)

    def _find_mislaid(self, ours: Collection[WorkflowStatus]) -> None:
        """Put back what the engine says that this worker runs, and it does not.

        A connection that is lost just as work is taken leaves it taken by a process that never hears of it;
        and this one lives, so nobody else takes it over.
        """
        running = self._running()
        unknown = {one.workflow_id: one for one in ours if one.workflow_id not in running}
        lost = [unknown[id_] for id_ in self._mislaid.silent([(id_, 0) for id_ in unknown])]
        if lost:
            resume(DBOS, lost)
            log.warning("work_mislaid", workflows=len(lost))

    def _take_over(self, name: str) -> None:
        with self.db.get_session() as session:
            connection = driver_connection(session)
            if not leases.is_alone(connection):
                return  # another worker is at it
            moved = resume_work_of(DBOS, name)
            leases.end(connection, name)
            faults.reached("take_over.before_commit", name)
        faults.reached("take_over.after_commit", name)
        self.watch.forget(name)
        log.warning("worker_lost", executor_id=name, workflows=moved)


class Resumes(Protocol):
    """The engine, or a client of it."""

    def list_workflows(
        self, *, status: str, executor_id: str, load_input: bool, load_output: bool
    ) -> list[WorkflowStatus]: ...

    def resume_workflows(self, workflow_ids: list[str], *, queue_name: str | None) -> object: ...


def resume_work_of(engine: Resumes | type[DBOS], executor_id: str) -> int:
    """Put the work that a worker has back into its queues; returns how many workflows."""
    pending = engine.list_workflows(
        status="PENDING", executor_id=executor_id, load_input=False, load_output=False
    )
    resume(engine, pending)
    return len(pending)


def resume(engine: Resumes | type[DBOS], workflows: Iterable[WorkflowStatus]) -> None:
    """Put workflows back into their queues; whoever executes one of them writes nothing any more."""
    by_queue: dict[str | None, list[str]] = {}
    for workflow in workflows:
        by_queue.setdefault(workflow.queue_name, []).append(workflow.workflow_id)
    for queue, ids in by_queue.items():
        engine.resume_workflows(ids, queue_name=queue)


def _at_work() -> dict[str, list[WorkflowStatus]]:
    """What is being worked on, by the worker that has it."""
    found: dict[str, list[WorkflowStatus]] = {}
    for workflow in DBOS.list_workflows(status="PENDING", load_input=False, load_output=False):
        if workflow.executor_id:
            found.setdefault(workflow.executor_id, []).append(workflow)
    return found
