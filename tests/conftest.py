"""One embedded PostgreSQL per test process, built by the migrations; every test starts with empty tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from omoi_os.bootstrap import Services, services_on
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.models import Base
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService
from omoi_os.services.task_queue import TaskQueueService
from omoi_os.settings import Settings
from omoi_os.store import schema


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    # Nothing here has to survive a power cut, and without fsync the suite is several times faster.
    settings = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    server = EmbeddedPostgres(tmp_path_factory.mktemp("omoi") / "pg", settings=settings)
    server.ensure()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _database(postgres: EmbeddedPostgres) -> Iterator[DatabaseService]:
    db = DatabaseService(postgres.ensure())
    schema.upgrade(db.engine)
    yield db
    db.close()


@pytest.fixture
def db_service(_database: DatabaseService) -> Iterator[DatabaseService]:
    yield _database
    # Deleting from few rows is four times faster than truncating.
    with _database.engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture
def empty_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The address of a database without any table."""
    admin = DatabaseService(postgres.ensure())
    with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("drop database if exists scratch with (force)"))
        connection.execute(text("create database scratch"))
    address = admin.engine.url.set(database="scratch").render_as_string(hide_password=False)
    yield address
    with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("drop database scratch with (force)"))
    admin.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def services(db_service: DatabaseService, tmp_path: Path) -> Services:
    return services_on(db_service, Settings(workspace_roots=str(tmp_path), workspaces=tmp_path / "snapshots"))


@pytest.fixture
def gate_service(db_service: DatabaseService) -> PhaseGateService:
    return PhaseGateService(db_service)


@pytest.fixture
def task_queue_service(db_service: DatabaseService) -> TaskQueueService:
    return TaskQueueService(db_service)
