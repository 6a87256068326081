"""The migrations make exactly the models' schema."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from omoi_os.models import Base
from omoi_os.resources import resource
from omoi_os.store import schema

SPECIFIED_INDEXES = {
    "phase_gate_artifacts": "idx_gate_artifacts_ticket_phase",
    "phase_gate_results": "idx_gate_results_ticket_phase",
    "phase_context": "idx_phase_context_ticket",
    "task_templates": "idx_task_templates_phase",
}


@pytest.fixture
def engine(empty_database: str) -> Iterator[Engine]:
    made = create_engine(empty_database)
    yield made
    made.dispose()


def differences(engine: Engine) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True}
    with engine.connect() as connection:
        found: list[object] = compare_metadata(
            MigrationContext.configure(connection, opts=options), Base.metadata
        )
    return found


def test_upgrading_an_empty_database_makes_what_the_models_say(engine: Engine) -> None:
    schema.upgrade(engine)
    assert differences(engine) == []
    assert schema.is_current(engine)


def test_there_is_one_head_and_the_specified_order() -> None:
    config = Config(resource("alembic.ini"))
    config.set_main_option("script_location", str(resource("migrations")))
    script = ScriptDirectory.from_config(config)
    assert len(script.get_heads()) == 1
    names = [revision.revision for revision in script.walk_revisions()][::-1]
    assert names[:3] == ["001_foundation", "002_task_lifecycle", "003_phase_workflow"]


def test_going_down_to_nothing_and_up_again_gives_the_same_schema(engine: Engine) -> None:
    schema.upgrade(engine)
    schema.downgrade(engine, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    schema.upgrade(engine)
    assert differences(engine) == []


@pytest.mark.parametrize(
    "revision", ["001_foundation", "002_task_lifecycle", "003_phase_workflow", "004_work_queue"]
)
def test_each_step_can_be_taken_back_alone(engine: Engine, revision: str) -> None:
    schema.upgrade(engine)
    schema.downgrade(engine, revision)
    with engine.connect() as connection:
        assert schema.current(connection) == revision
    schema.upgrade(engine)
    assert differences(engine) == []


def test_the_specified_index_names_are_there(engine: Engine) -> None:
    schema.upgrade(engine)
    inspector = inspect(engine)
    for table, index in SPECIFIED_INDEXES.items():
        assert index in {found["name"] for found in inspector.get_indexes(table)}


def test_processes_that_upgrade_at_the_same_moment_wait_for_one_another(empty_database: str) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        own = create_engine(empty_database)
        try:
            schema.upgrade(own)
        except BaseException as error:  # noqa: BLE001 - the test reports whatever it was
            failures.append(error)
        finally:
            own.dispose()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_migration_gives_up_on_a_busy_table_and_changes_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.upgrade(engine)
    monkeypatch.setattr(schema, "LOCK_TIMEOUT", "200ms")
    with engine.begin() as busy:
        busy.execute(text("lock table tickets in access share mode"))
        with pytest.raises(OperationalError):
            schema.downgrade(engine, "base")
    assert differences(engine) == []


def test_migrations_run_through_alembic_itself(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMOI_DATABASE_URL", empty_database.replace("postgresql+psycopg://", "postgresql://"))
    command.upgrade(Config(Path(__file__).parents[1] / "alembic.ini"), "head")
    engine = create_engine(empty_database)
    assert schema.is_current(engine)
    engine.dispose()
