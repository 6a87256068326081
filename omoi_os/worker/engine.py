"""DBOS, as it is used here: on our database, in JSON, under a name that no other process start has."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import Any, Final, Self
from uuid import uuid4

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from dbos._serialization import DefaultSerializer

from omoi_os.services.database import DatabaseService
from omoi_os.services.engine import JUDGING, REVIEWS, TASKS, WEBHOOKS
from omoi_os.settings import Settings
from omoi_os.worker import webhooks
from omoi_os.worker.client import EngineClient, migrate
from omoi_os.worker.names import APPLICATION, SCHEMA, VERSION

DRAIN: Final = 30
"""Seconds that a worker which is asked to end gives to what it has begun."""

_QUEUES: Final = (REVIEWS, JUDGING, WEBHOOKS)
"""What every worker listens to."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much one worker, and all of them together, take at a time.

    Attributes:
        reviews: Reviews that one worker measures at a time.
        judges: Conversations with judges of the whole fleet at a time; None for no limit.
        poll: Seconds between two looks for work.
        tasks: Tasks that agents of one worker do at a time; 0 leaves them to other workers.
    """

    reviews: int = 16
    judges: int | None = 8
    poll: float = 0.5
    tasks: int = 0

    @classmethod
    def of(cls, settings: Settings, *, execute: bool = False) -> Self:
        """What the settings say; tasks only where they are to be executed."""
        tasks = settings.worker_tasks if execute else 0
        return cls(settings.worker_reviews, settings.judges or None, settings.poll_seconds, tasks)


def executor_name() -> str:
    """A name for this start of this process."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{uuid4().hex[:8]}"


def launch(db: DatabaseService, executor_id: str, load: Load) -> None:
    """Start to take work; everything that can be taken must be registered by now."""
    _refuse_pickle()
    migrate(db)
    DBOS(config=_config(db, executor_id, load))
    # Else every worker would listen to every queue that some worker has registered.
    DBOS.listen_queues([*_QUEUES, *([TASKS] if load.tasks else [])])
    DBOS.launch()
    _register(REVIEWS, load.poll, worker=load.reviews)
    _register(JUDGING, load.poll, fleet=load.judges)
    _register(WEBHOOKS, max(load.poll, webhooks.PERIOD), worker=webhooks.CONCURRENCY)
    if load.tasks:
        _register(TASKS, load.poll, worker=load.tasks)


def _register(queue: str, poll: float, *, worker: int | None = None, fleet: int | None = None) -> None:
    """Make a queue known, with how many of it one worker, or all together, do at a time."""
    DBOS.register_queue(
        queue,
        worker_concurrency=worker,
        global_concurrency=fleet,
        polling_interval_sec=poll,
        on_conflict="always_update",
    )


def stop(seconds: int = DRAIN) -> None:
    """Take no more work, and give what was begun so long; what is not done by then, another worker does."""
    DBOS.destroy(workflow_completion_timeout_sec=seconds)


def hand_back(db: DatabaseService, executor_id: str) -> None:
    """After `stop`: give what was not done in time to the others, who would else wait for a dead worker."""
    client = EngineClient(db)
    try:
        client.resume_work_of(executor_id)
    finally:
        client.close()


def _config(db: DatabaseService, executor_id: str, load: Load) -> DBOSConfig:
    return {
        "name": APPLICATION,
        "system_database_engine": db.another_engine(
            pool_size=min(20, load.reviews + load.tasks + 4), application_name="omoi engine"
        ),
        "dbos_system_schema": SCHEMA,
        "executor_id": executor_id,
        "application_version": VERSION,
        "serializer": DBOSPortableJSONSerializer(),
        "run_migrations": False,
        "log_level": "WARNING",
        "enable_otlp": False,
        "max_executor_threads": load.reviews * 2 + load.tasks * 2 + 8,
    }


def _refuse_pickle() -> None:
    """A row says itself how it is to be read: one that asks for pickle would run what it likes here."""

    def refuse(_self: object, serialized_data: str) -> Any:  # noqa: ARG001 the name is the library's
        raise ValueError("a row of the engine is pickled; nothing of OmoiOS writes such rows")

    DefaultSerializer.deserialize = refuse  # type: ignore[assignment]
