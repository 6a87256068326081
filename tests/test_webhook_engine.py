"""Webhooks on the durable engine: enqueued with their rows, tried again after a delay, found after a loss."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pytest
from sqlalchemy import text

from omoi_os.domain.webhooks import Reply
from omoi_os.services.database import DatabaseService
from omoi_os.services.events import EventService
from omoi_os.services.webhooks import Enqueue, WebhookService
from omoi_os.store import schema
from omoi_os.store.webhooks import Due
from omoi_os.worker import engine, webhooks
from omoi_os.worker.client import EngineClient
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


def test_the_engine_delivers_tries_again_and_finds_what_was_lost(db: DatabaseService) -> None:
    receiver = Receiver()
    service = WebhookService(db, EventService(db), receiver, delays=(0.2, 0.2))
    webhook = service.add("https://hooks.test/", created_by="test")
    client = EngineClient(db)
    dispatcher = webhooks.Dispatcher(service, client, late_by=0.0)

    def delivered() -> int:
        return sum(item.status == "delivered" for item in service.deliveries(webhook.id))

    webhooks.use(service)
    engine.launch(db, "one", engine.Load(poll=0.05))
    try:
        # A transaction that fails enqueues nothing.
        tell(db, "first")

        def failing(*given: object) -> None:
            dispatcher.enqueue(*given)  # type: ignore[arg-type]
            raise RuntimeError

        with pytest.raises(RuntimeError):
            _made(service, failing)
        assert _workflows(db) == []
        # Two attempts that fail, and one that arrives, as one message.
        receiver.answers = [Reply(500), Reply(None, "no answer")]
        [due] = _made(service, dispatcher.enqueue)
        until(lambda: delivered() == 1)
        assert (len(receiver.ids), len(set(receiver.ids))) == (3, 1)
        names = [f"webhook:{due.delivery_id}:{number}" for number in (1, 2, 3)]
        until(lambda: [name for name, state, _ in _workflows(db) if state == "SUCCESS"] == names)
        # One that nobody enqueued is found.
        tell(db, "second")
        _made(service)
        dispatcher.dispatch()
        until(lambda: delivered() == 2)
        tell(db, "third")

        def third() -> bool:
            dispatcher.dispatch()
            return delivered() == 3

        until(third)
        time.sleep(0.5)
        assert len(receiver.ids) == 5
        assert {format_ for *_, format_ in _workflows(db)} == {"portable_json"}
    finally:
        engine.stop(1)
        client.close()


def _made(service: WebhookService, enqueue: Enqueue | None = None) -> list[Due]:
    """What a round makes: none sees an event before the engine's older transactions have ended."""
    made: list[Due] = []

    def round_() -> bool:
        made.extend(service.dispatch(enqueue) or [])
        return bool(made)

    until(round_)
    return made


def _workflows(db: DatabaseService) -> list[tuple[str, str, str]]:
    with db.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT workflow_uuid, status, serialization FROM dbos.workflow_status ORDER BY created_at")
        )
        return [(row[0], row[1], row[2]) for row in rows]
