"""Webhooks on the durable engine: enqueued with their rows, tried again after a delay, found after a loss."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest
from dbos import DBOS, DBOSClient
from dbos._serialization import DBOSPortableJSON  # the package has no public name for it
from sqlalchemy import text

from omoi_os.domain.webhooks import Reply
from omoi_os.services.database import DatabaseService
from omoi_os.services.events import EventService
from omoi_os.services.webhooks import WebhookService
from omoi_os.store import schema
from omoi_os.worker import webhooks as engine
from tests.event_readers import tell, until

pytestmark = pytest.mark.filterwarnings("ignore")  # the engine's own


class Receiver:
    """Answers what it is told to, and counts by message."""

    def __init__(self) -> None:
        self.answers: list[Reply] = []
        self.taken: list[tuple[str, str, bytes]] = []

    @property
    def ids(self) -> list[str]:
        return [id_ for id_, _, _ in self.taken]

    def check(self, url: str) -> None:
        """Every URL is good."""

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.taken.append((headers["webhook-id"], url, body))
        return self.answers.pop(0) if self.answers else Reply(200)


@pytest.fixture
def db(empty_database: str) -> Iterator[DatabaseService]:
    db = DatabaseService(empty_database)
    schema.upgrade(db.engine)
    yield db
    db.close()


def test_the_engine_delivers_tries_again_and_finds_what_was_lost(
    db: DatabaseService, empty_database: str
) -> None:
    receiver = Receiver()
    webhooks = WebhookService(db, EventService(db), receiver, delays=(0.2, 0.2))
    webhook = webhooks.add("https://hooks.test/", created_by="test")
    DBOS(
        config={
            "name": "omoi-test",
            "system_database_url": empty_database.replace("+psycopg", ""),
            "executor_id": str(uuid4()),
            "application_version": "1",
            "serializer": DBOSPortableJSON,
            "log_level": "ERROR",
        }
    )
    stop = threading.Event()
    dispatching: threading.Thread | None = None
    client: DBOSClient | None = None
    try:
        engine.register(webhooks)
        DBOS.launch()
        engine.make_queue()
        client = DBOSClient(
            system_database_engine=db.engine, application_name="omoi-test", serializer=DBOSPortableJSON
        )
        enqueue = engine.enqueuer(client)

        def delivered() -> int:
            return sum(item.status == "delivered" for item in webhooks.deliveries(webhook.id))

        # A transaction that fails enqueues nothing.
        tell(db, "first")

        def failing(*given: object) -> None:
            enqueue(*given)  # type: ignore[arg-type]
            raise RuntimeError

        with pytest.raises(RuntimeError):
            webhooks.dispatch(failing)
        assert _workflows(db) == []
        # Two attempts that fail, and one that arrives, as one message.
        receiver.answers = [Reply(500), Reply(None, "no answer")]
        [due] = webhooks.dispatch(enqueue) or []
        until(lambda: delivered() == 1)
        assert (len(receiver.ids), len(set(receiver.ids))) == (3, 1)
        names = [f"webhook:{due.delivery_id}:{number}" for number in (1, 2, 3)]
        until(lambda: [name for name, state, _ in _workflows(db) if state == "SUCCESS"] == names)
        # One that nobody enqueued is found by the loop.
        tell(db, "second")
        webhooks.dispatch()
        dispatching = threading.Thread(
            target=engine.dispatch, args=(webhooks, enqueue, stop), kwargs={"late_by": 0.0}
        )
        dispatching.start()
        until(lambda: delivered() == 2)
        tell(db, "third")
        until(lambda: delivered() == 3)
        time.sleep(0.5)
        assert len(receiver.ids) == 5
        assert {format_ for *_, format_ in _workflows(db)} == {"portable_json"}
    finally:
        stop.set()
        if dispatching is not None:
            dispatching.join()
        if client is not None:
            client.destroy()
        DBOS.destroy(destroy_registry=True)


def _workflows(db: DatabaseService) -> list[tuple[str, str, str]]:
    with db.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT workflow_uuid, status, serialization FROM dbos.workflow_status ORDER BY created_at")
        )
        return [(row[0], row[1], row[2]) for row in rows]
