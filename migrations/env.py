"""How Alembic reaches the database: through the connection it is handed, else OMOI_DATABASE_URL."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, NullPool, create_engine

from omoi_os.models import Base
from omoi_os.store.address import sqlalchemy_url
from omoi_os.store.schema import guarded


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


if (handed := context.config.attributes.get("connection")) is not None:
    run(handed)
elif address := os.environ.get("OMOI_DATABASE_URL"):
    engine = create_engine(sqlalchemy_url(address), poolclass=NullPool)
    with engine.connect() as connection, guarded(connection):
        run(connection)
else:
    raise SystemExit("set OMOI_DATABASE_URL, or run `omoi db upgrade`, which knows the embedded database")
