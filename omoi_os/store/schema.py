"""The schema's version: upgrade, downgrade and check, one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from omoi_os.resources import resource

LOCK_KEY: Final = 0x6F6D6F69
"""Advisory lock of everything that changes the schema ("omoi" in ASCII)."""

LOCK_TIMEOUT: Final = "30s"
"""How long a migration waits for a table that somebody uses, before it gives up and changes nothing."""

STATEMENT_TIMEOUT: Final = "15min"


@contextmanager
def guarded(connection: Connection) -> Iterator[None]:
    """Hold the migration lock in one transaction; it ends committed, or rolled back with the error.

    Waiting for the lock itself is bounded by the lock timeout too.
    """
    with connection.begin():
        connection.execute(
            text(
                "select set_config('lock_timeout', :lock, true),"
                " set_config('statement_timeout', :statement, true)"
            ),
            {"lock": LOCK_TIMEOUT, "statement": STATEMENT_TIMEOUT},
        )
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        yield


def head() -> str:
    """The newest revision that this version of the program knows."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise LookupError("there are no migrations")
    return revision


def current(connection: Connection) -> str | None:
    """The revision that the database has; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def is_current(engine: Engine) -> bool:
    """Whether the database has exactly the schema that this version of the program knows."""
    with engine.connect() as connection:
        return current(connection) == head()


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the database to `revision`; concurrent callers wait for one another."""
    with engine.connect() as connection, guarded(connection):
        command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the database back to `revision`; data of dropped tables and columns is lost."""
    with engine.connect() as connection, guarded(connection):
        command.downgrade(_config(connection), revision)


def _config(connection: Connection | None = None) -> Config:
    config = Config(resource("alembic.ini"))
    config.set_main_option("script_location", str(resource("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
