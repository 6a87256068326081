"""The port to the engine for processes that run none of its work: the API, and commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from omoi_os.errors import OmoiError
from omoi_os.logs import adopt
from omoi_os.services.database import DatabaseService
from omoi_os.services.engine import Job
from omoi_os.worker.names import APPLICATION, LIBRARY, SCHEMA

if TYPE_CHECKING:
    from dbos import DBOSClient, EnqueueOptions

log = structlog.get_logger(__name__)

_MIGRATING: Final = 0x6F6D6F65
"""Advisory lock of whoever makes the engine's tables ("omoe" in ASCII)."""

_POOL: Final = 2


class EngineClient:
    """Enqueues and cancels. The engine's library takes more than a second to load, so it is loaded late."""

    def __init__(self, db: DatabaseService) -> None:
        self.db = db
        self._has_tables = False

    def enqueue(self, session: Session, job: Job) -> None:
        """As `Engine.enqueue`. If it fails the workers find what is due: its row says that it waits."""
        # No tables are made here: making their indexes beside running work would wait for this transaction.
        if not self._can_be_used(session):
            return
        try:
            with session.begin_nested():
                self._client.enqueue_in_transaction(session, _options(job), *job.arguments)
        except (SQLAlchemyError, OmoiError) as error:
            log.warning("not_enqueued", workflow=job.id, error=type(error).__name__)

    def cancel(self, workflow_id: str) -> None:
        """As `Engine.cancel`."""
        with self.db.get_session() as session:
            if not self._can_be_used(session):
                return
        from dbos import error  # noqa: PLC0415 loads the engine

        with suppress(error.DBOSNonExistentWorkflowError):
            self._client.cancel_workflow(workflow_id)

    def prepare(self) -> None:
        """Load the engine and bring its tables up to date, so that the first request does not wait for it."""
        migrate(self.db)
        _ = self._client

    def _can_be_used(self, session: Session) -> bool:
        """Whether some worker or server has made the engine's tables."""
        if not self._has_tables:
            known = session.scalar(text("SELECT to_regclass(:name)"), {"name": f"{SCHEMA}.workflow_status"})
            self._has_tables = known is not None
        return self._has_tables

    def resume_work_of(self, executor_id: str) -> None:
        """Put the work that a worker has back into its queues."""
        from omoi_os.worker.leases import resume_work_of  # noqa: PLC0415 loads the engine

        resume_work_of(self._client, executor_id)

    def close(self) -> None:
        """Close its connections."""
        if "_client" in self.__dict__:
            self._client.destroy()
            self._engine.dispose()

    @cached_property
    def _engine(self) -> SqlEngine:
        return self.db.another_engine(pool_size=_POOL, application_name="omoi engine client")

    @cached_property
    def _client(self) -> DBOSClient:
        from dbos import DBOSClient, DBOSPortableJSONSerializer  # noqa: PLC0415 loads the engine

        return DBOSClient(
            system_database_engine=self._engine,
            dbos_system_schema=SCHEMA,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            lazy=True,
        )


def _options(job: Job) -> EnqueueOptions:
    options: EnqueueOptions = {
        "workflow_name": job.workflow,
        "queue_name": job.queue,
        "workflow_id": job.id,
        "priority": job.priority,
    }
    if job.delay > 0:
        options["delay_seconds"] = job.delay
    if job.timeout is not None:
        options["workflow_timeout"] = job.timeout
    return options


def migrate(db: DatabaseService) -> None:
    """Bring the engine's own tables up to date; they stand in a schema beside ours. One process at a time."""
    from dbos import DBOS  # noqa: PLC0415 loads the engine
    from dbos._migration import should_migrate  # noqa: PLC0415

    adopt(LIBRARY)
    # Asked first: a process that is frozen while it has the lock must not keep all others from starting.
    if not should_migrate(db.engine, SCHEMA, use_listen_notify=True):
        return
    with _alone(db):
        DBOS.migrate(db.engine.url.render_as_string(hide_password=False), schema=SCHEMA)


@contextmanager
def _alone(db: DatabaseService) -> Iterator[None]:
    # No transaction stays open meanwhile: indexes that are made beside running work would wait for it.
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATING})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATING})
