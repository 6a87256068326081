"""The database as the services use it."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from omoi_os.errors import DatabaseUnavailable, SchemaOutOfDate
from omoi_os.models import Base
from omoi_os.store import schema
from omoi_os.store.address import sqlalchemy_url

IDLE: Final = 24.0
_NEW: Final = "new"


class DatabaseService:
    """Connections and transactions of one process.

    Every session plans its statements generically: the service's statements are few, indexed and
    repeated, and planning them anew costs six times the reading (0.71 against 0.11 ms).

    Args:
        idle_seconds: After which the server ends a transaction whose process does nothing. Our transactions
            never wait for anything else, so that process is frozen, or its machine is gone; and it holds
            locks that others wait for, forever.
        before_connect: Called before each new connection; the embedded server is started again there,
            should it have been killed.
    """

    def __init__(
        self,
        connection_string: str,
        *,
        pool_size: int = 10,
        idle_seconds: float = IDLE,
        before_connect: Callable[[], object] | None = None,
    ) -> None:
        self._limits = f"-c idle_in_transaction_session_timeout={max(1, round(idle_seconds * 1000))}"
        self.engine = create_engine(
            sqlalchemy_url(connection_string),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=False,
            connect_args={
                "application_name": "omoi",
                "connect_timeout": 10,
                "options": f"-c plan_cache_mode=force_generic_plan -c timezone=UTC {self._limits}",
            },
        )
        Base.registry.configure()  # rows that the gate makes by hand need the mappers before any query does
        self._before_connect = before_connect
        self._others: list[Engine] = []
        self._prepared(self.engine)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    def another_engine(self, *, pool_size: int, application_name: str) -> Engine:
        """Connections of their own to the same database, without this service's way of planning."""
        engine = create_engine(
            self.engine.url,
            pool_size=pool_size,
            max_overflow=0,
            pool_pre_ping=False,
            connect_args={
                "application_name": application_name,
                "connect_timeout": 10,
                "options": self._limits,
            },
        )
        self._others.append(engine)
        return self._prepared(engine)

    def _prepared(self, engine: Engine) -> Engine:
        event.listen(engine, "connect", _mark_new)
        event.listen(engine, "checkout", _refuse_dead)
        if (prepare := self._before_connect) is not None:

            @event.listens_for(engine, "do_connect")
            def _prepare(*_: object) -> None:  # None lets SQLAlchemy connect as it would
                prepare()

        return engine

    @contextmanager
    def get_session(self) -> Iterator[Session]:
        """A session that commits at the end of the block and rolls back on an error.

        `session.commit()` inside the block works, and objects stay readable after it.
        """
        with self._sessions() as session:
            yield session
            session.commit()

    @contextmanager
    def single_statements(self) -> Iterator[psycopg.Connection[TupleRow]]:
        """A driver's connection on which each statement is its own transaction.

        No BEGIN and no COMMIT to wait for, and nothing between the caller and psycopg: the gate's two
        statements run on every validation, and Core's own work costs as much as the database's.
        """
        pooled = self.engine.raw_connection()
        connection = cast("psycopg.Connection[TupleRow]", pooled.driver_connection)
        try:
            connection.autocommit = True
            yield connection
        finally:
            if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                connection.autocommit = False
            else:
                pooled.invalidate()  # it is closed, or its last statement was cut off
            pooled.close()

    @contextmanager
    def own_connection(self) -> Iterator[psycopg.Connection[TupleRow]]:
        """A connection outside of the pool, for whoever listens; each statement is its own transaction."""
        pooled = self.engine.raw_connection()
        connection = cast("psycopg.Connection[TupleRow]", pooled.driver_connection)
        pooled.detach()
        try:
            connection.autocommit = True
            yield connection
        finally:
            connection.close()

    def ping(self) -> None:
        """Ask the database for an answer.

        Raises:
            DatabaseUnavailable: It gave none.
        """
        try:
            with self.single_statements() as connection:
                connection.execute("select 1")
        except (OperationalError, psycopg.Error) as error:
            raise DatabaseUnavailable from error

    def check_ready(self) -> str:
        """The schema's revision, if the database answers and has this version's schema.

        Raises:
            DatabaseUnavailable: It does not answer.
            SchemaOutOfDate: It has another schema.
        """
        self.ping()
        if not schema.is_current(self.engine):
            raise SchemaOutOfDate
        return schema.head()

    def create_tables(self) -> None:
        """Make all tables without migrations, for test suites that want no history."""
        Base.metadata.create_all(self.engine)

    def drop_tables(self) -> None:
        """Drop all tables with everything in them."""
        Base.metadata.drop_all(self.engine)

    def close(self) -> None:
        """Close the connections of all pools."""
        for engine in (self.engine, *self._others):
            engine.dispose()


def driver_connection(session: Session) -> psycopg.Connection[TupleRow]:
    """The driver's connection under `session`, for statements that join its transaction."""
    return cast("psycopg.Connection[TupleRow]", session.connection().connection.driver_connection)


def _mark_new(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_NEW] = True


def _refuse_dead(
    connection: psycopg.Connection[TupleRow], record: ConnectionPoolEntry, _proxy: object
) -> None:
    """Keep a pooled connection whose server went away from being handed out; the pool then reconnects.

    Not one that was just made: the pool would give up after a few with an error that looks like no outage.

    An idle connection that has something to read has been closed by the server. Asking the socket costs
    two microseconds; asking the server would cost a round trip on every use.
    """
    if record.info.pop(_NEW, False):
        return
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError("the server closed this connection")
