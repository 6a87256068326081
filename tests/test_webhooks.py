"""Webhooks: every event once per webhook, signed, tried again, ended, and never about webhooks."""

from __future__ import annotations

import http.server
import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from standardwebhooks import Webhook as Verifier
from standardwebhooks.exceptions import WebhookVerificationError

from omoi_os.api.app import create_app
from omoi_os.bootstrap import Services
from omoi_os.domain.webhooks import DELAYS, Reply, outcome_of
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.errors import Conflict, InvalidInput, NotFound
from omoi_os.logs import HIDDEN
from omoi_os.models.webhook import Webhook, WebhookDelivery
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.events import EventService
from omoi_os.services.webhooks import MOST, WebhookService
from omoi_os.store import events as store
from omoi_os.store.webhooks import Due
from tests.command import omoi
from tests.event_readers import tell
from tests.queue_tasks import long_ago

URL = "https://hooks.test/in"
GOOD = Reply(200)
BAD = Reply(500)


class Receiver:
    """Takes requests instead of the network, and answers what it is told to; raises what it is told to."""

    def __init__(self) -> None:
        self.answers: list[Reply | BaseException] = []
        self.taken: list[tuple[str, dict[str, str], bytes]] = []

    def check(self, url: str) -> None:
        """Every URL is good."""

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.taken.append((url, dict(headers), body))
        answer = self.answers.pop(0) if self.answers else GOOD
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def names(self) -> list[str]:
        return [json.loads(body)["data"]["payload"]["name"] for _, _, body in self.taken]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def webhooks(db_service: DatabaseService, receiver: Receiver) -> WebhookService:
    return WebhookService(db_service, EventService(db_service), receiver)


def added(webhooks: WebhookService, *types: str, ticket: str | None = None) -> Webhook:
    return webhooks.add(URL, types=types, ticket_id=ticket, created_by="test")


def dispatched(webhooks: WebhookService) -> list[Due]:
    """All deliveries that the record makes now."""
    made: list[Due] = []
    while (some := webhooks.dispatch()) is not None:
        made += some
    return made


def delivery(webhooks: WebhookService, webhook: Webhook) -> WebhookDelivery:
    [found] = webhooks.deliveries(webhook.id)
    return found


def told(db: DatabaseService, entity_id: str) -> list[str]:
    with db.single_statements() as connection:
        rows = connection.execute(
            "SELECT event_type FROM events WHERE entity_id = %s ORDER BY seq", (entity_id,)
        )
        return [row[0] for row in rows]


# What is delivered


def test_a_webhook_is_told_what_happens_after_it_was_made(
    webhooks: WebhookService, receiver: Receiver, db_service: DatabaseService
) -> None:
    tell(db_service, "before")
    webhook = added(webhooks)
    tell(db_service, "after")
    for due in dispatched(webhooks):
        assert webhooks.deliver(due).status == "delivered"
    [(url, headers, body)] = receiver.taken
    sent = Verifier(webhook.secret).verify(body, headers)
    assert url == URL
    assert set(sent) == {"type", "timestamp", "data"}
    assert (sent["type"], sent["data"]["payload"]) == ("test.told", {"name": "after"})
    assert headers["webhook-id"] == sent["data"]["id"]
    done = delivery(webhooks, webhook)
    assert (done.status, done.attempts, done.last_status, done.next_attempt_at) == ("delivered", 1, 200, None)
    assert done.delivered_at is not None


def test_a_changed_body_another_secret_or_an_old_time_does_not_verify(
    webhooks: WebhookService, receiver: Receiver, db_service: DatabaseService
) -> None:
    webhook, other = added(webhooks), added(webhooks)
    tell(db_service, "x")
    for due in dispatched(webhooks):
        webhooks.deliver(due)
    _, headers, body = receiver.taken[0]
    right = webhook if _verifies(webhook, body, headers) else other
    wrong = other if right is webhook else webhook
    assert _verifies(right, body, headers)
    assert not _verifies(wrong, body, headers)
    assert not _verifies(right, body + b" ", headers)
    assert not _verifies(right, body, headers | {"webhook-timestamp": str(int(time.time()) - 400)})


def _verifies(webhook: Webhook, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Verifier(webhook.secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def test_webhooks_get_what_they_ask_for(
    webhooks: WebhookService, receiver: Receiver, db_service: DatabaseService
) -> None:
    added(webhooks, "gate.", ticket="mine")
    for ticket in ("mine", "other"):
        for kind in ("gate.decided", "task.done"):
            tell(db_service, f"{ticket} {kind}", ticket=ticket, event_type=kind)
    for due in dispatched(webhooks):
        webhooks.deliver(due)
    assert receiver.names == ["mine gate.decided"]


def test_events_about_webhooks_go_to_none(
    webhooks: WebhookService, receiver: Receiver, db_service: DatabaseService
) -> None:
    first = added(webhooks)
    added(webhooks, "webhook.")
    webhooks.test(first.id)
    receiver.answers = [Reply(410)]
    webhooks.test(first.id)
    assert told(db_service, first.id)[-2:] == ["webhook.disabled", "webhook.delivery_failed"]
    assert dispatched(webhooks) == []
    assert webhooks.dispatch() is None


def test_secrets_are_not_sent(
    webhooks: WebhookService, receiver: Receiver, db_service: DatabaseService
) -> None:
    added(webhooks)
    tell(db_service, "password=hunter2")
    for due in dispatched(webhooks):
        webhooks.deliver(due)
    assert b"hunter2" not in receiver.taken[0][2]


def test_eight_dispatchers_make_each_delivery_once(
    webhooks: WebhookService, db_service: DatabaseService
) -> None:
    hooks, writers, each = [added(webhooks) for _ in range(3)], 4, 60
    done, handed, lock = threading.Event(), list[str](), threading.Lock()

    def write(writer: int) -> None:
        dice = random.Random(writer)
        for number in range(each):
            with db_service.get_session() as session:
                name = {"name": f"{writer}/{number}"}
                store.tell(driver_connection(session), "test.told", "ticket", "t", name)
                time.sleep(dice.random() * 0.005)

    def work() -> None:
        while True:
            last = done.is_set()
            made = webhooks.dispatch()
            with lock:
                handed.extend(due.delivery_id for due in made or ())
            if made is None and last:
                return

    workers = [threading.Thread(target=work) for _ in range(8)]
    writing = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in [*workers, *writing]:
        thread.start()
    for thread in writing:
        thread.join()
    done.set()
    for thread in workers:
        thread.join()
    made = [item for hook in hooks for item in webhooks.deliveries(hook.id, 1000)]
    assert sorted(item.id for item in made) == sorted(handed)
    assert len({(item.webhook_id, item.event_id) for item in made}) == len(made) == 3 * writers * each


def test_a_dispatch_that_fails_makes_nothing_and_the_next_makes_all(
    webhooks: WebhookService, db_service: DatabaseService
) -> None:
    webhook = added(webhooks)
    tell(db_service, "x", "y")

    def broken(*_: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        webhooks.dispatch(broken)
    assert webhooks.deliveries(webhook.id) == []
    assert len(dispatched(webhooks)) == 2


# Attempts


@pytest.mark.parametrize(
    ("reply", "attempt", "status", "delay"),
    [
        (Reply(200), 1, "delivered", None),
        (Reply(299), 10, "delivered", None),
        (Reply(301), 1, "pending", 5),
        (Reply(404), 2, "pending", 300),
        (Reply(500), 9, "pending", 86_400),
        (Reply(500), 10, "failed", None),
        (Reply(410), 1, "failed", None),
        (Reply(None, "no answer"), 3, "pending", 1800),
        (Reply(429, retry_after=60), 1, "pending", 60),
        (Reply(503, retry_after=1), 1, "pending", 5),
        (Reply(503, retry_after=10**9), 1, "pending", 86_400),
        (Reply(500, retry_after=60), 1, "pending", 5),
        (Reply(199), 1, "pending", 5),
    ],
)
def test_what_an_answer_leads_to(reply: Reply, attempt: int, status: str, delay: float | None) -> None:
    outcome = outcome_of(reply, attempt)
    assert (outcome.status, outcome.delay) == (status, delay)
    assert bool(outcome.error) == (status != "delivered")
    assert outcome.gone == (reply.status == 410)


def test_a_delivery_is_tried_as_often_as_it_may_and_then_has_failed(
    webhooks: WebhookService, receiver: Receiver, db_service: DatabaseService
) -> None:
    webhook = added(webhooks)
    tell(db_service, "x")
    [due] = dispatched(webhooks)
    receiver.answers = [BAD] * 20
    delays = []
    next_: Due | None = due
    while next_ is not None:
        done = webhooks.deliver(next_)
        delays.append(done.delay)
        next_ = done.again
    assert all(least <= delay <= 1.1 * least for least, delay in zip(DELAYS, delays, strict=False))
    assert (len(delays), delays[-1], done.status) == (10, 0.0, "failed")
    assert len({headers["webhook-id"] for _, headers, _ in receiver.taken}) == 1
    ended = delivery(webhooks, webhook)
    assert (ended.status, ended.attempts, ended.last_status) == ("failed", 10, 500)
    assert told(db_service, webhook.id) == ["webhook.added", "webhook.delivery_failed"]
    receiver.answers = [BAD, GOOD]
    again = webhooks.redeliver(ended.id)
    assert (again.status, again.delay < 6) == ("pending", True)
    assert again.again is not None
    assert webhooks.deliver(again.again).status == "delivered"


def test_a_receiver_that_is_gone_gets_nothing_any_more(
    webhooks: WebhookService, receiver: Receiver, db_service: DatabaseService
) -> None:
    webhook = added(webhooks)
    tell(db_service, "x", "y")
    first, second = dispatched(webhooks)
    receiver.answers = [Reply(410)]
    assert webhooks.deliver(first).status == "failed"
    assert webhooks.deliver(second).status == "failed"
    tell(db_service, "z")
    assert dispatched(webhooks) == []
    assert len(receiver.taken) == 1
    assert [item.status for item in webhooks.deliveries(webhook.id)] == ["failed", "failed"]
    assert (webhooks.get(webhook.id).active, webhooks.get(webhook.id).disabled_reason) == (
        False,
        "the receiver answered 410 Gone",
    )
    with pytest.raises(Conflict):
        webhooks.test(webhook.id)
    with pytest.raises(NotFound):
        webhooks.redeliver(first.delivery_id)


def test_an_attempt_that_dies_after_sending_is_made_again_with_the_same_id(
    webhooks: WebhookService, receiver: Receiver, db_service: DatabaseService
) -> None:
    webhook = added(webhooks)
    tell(db_service, "x")
    [due] = dispatched(webhooks)
    receiver.answers = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        webhooks.deliver(due)
    assert webhooks.deliver(due).again is None  # as a workflow would that is run again
    assert webhooks.take_late() == []
    long_ago(db_service, "webhook_deliveries", due.delivery_id, "next_attempt_at", 1)
    [late] = webhooks.take_late()
    assert webhooks.take_late() == []
    assert webhooks.deliver(late).status == "delivered"
    ids = [headers["webhook-id"] for _, headers, _ in receiver.taken]
    assert (len(ids), len(set(ids))) == (2, 1)
    assert (delivery(webhooks, webhook).attempts, delivery(webhooks, webhook).status) == (2, "delivered")


def test_an_attempt_that_others_overtook_records_nothing(
    webhooks: WebhookService, receiver: Receiver, db_service: DatabaseService
) -> None:
    webhook = added(webhooks)
    tell(db_service, "x")
    [due] = dispatched(webhooks)

    class Slow(Receiver):
        def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
            assert webhooks.deliver(Due(due.delivery_id, 2)).status == "delivered"
            super().send(url, headers, body)
            return BAD

    slow = WebhookService(db_service, EventService(db_service), Slow())
    slow.deliver(due)
    assert (delivery(webhooks, webhook).status, delivery(webhooks, webhook).attempts) == ("delivered", 2)


def test_what_ended_long_ago_is_forgotten(
    webhooks: WebhookService, receiver: Receiver, db_service: DatabaseService
) -> None:
    webhook = added(webhooks)
    tell(db_service, "0", "1", "2")
    first, second, third = dispatched(webhooks)
    webhooks.deliver(first)
    webhooks.deliver(second)
    for due in (first, third):
        long_ago(db_service, "webhook_deliveries", due.delivery_id, "created_at", 31 * 86_400)
    assert (webhooks.forget(), webhooks.forget()) == (1, 0)
    assert {item.id for item in webhooks.deliveries(webhook.id)} == {second.delivery_id, third.delivery_id}


def test_webhooks_are_few_and_what_they_ask_for_is_checked(webhooks: WebhookService) -> None:
    for types in (("",), ("A B",), ("x",) * 21):
        with pytest.raises(InvalidInput):
            added(webhooks, *types)
    for _ in range(MOST):
        added(webhooks)
    with pytest.raises(InvalidInput):
        added(webhooks)
    for id_ in ("nothing", "a\x00b", ""):
        with pytest.raises(NotFound):
            webhooks.get(id_)


def test_no_request_over_http_can_make_a_webhook(services: Services) -> None:
    with TestClient(create_app(services), base_url="http://localhost") as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if "webhook" in path]


# The command line


class _Handler(http.server.BaseHTTPRequestHandler):
    taken: list[tuple[dict[str, str], bytes]]
    answers: list[int]

    def do_POST(self) -> None:
        self.taken.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.answers.pop(0) if self.answers else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def listening() -> Iterator[tuple[str, type[_Handler]]]:
    """A receiver's URL, and what it takes."""
    handler = type("Handler", (_Handler,), {"taken": [], "answers": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/in?token=abc", handler
        server.shutdown()
        thread.join()


def test_an_operator_adds_tests_shows_and_removes_a_webhook(
    tmp_path: Path, postgres: EmbeddedPostgres, services: Services, listening: tuple[str, type[_Handler]]
) -> None:
    url, handler = listening

    def run(*arguments: str, allow: str = "1") -> subprocess.CompletedProcess[str]:
        more = {"OMOI_DATABASE_URL": postgres.ensure(), "OMOI_WEBHOOK_ALLOW_INTERNAL": allow}
        return omoi("webhook", *arguments, cwd=tmp_path, **more)

    refused = run("add", url, allow="0")
    assert (refused.returncode, "https://" in refused.stderr) == (2, True)
    typo = run("add", url, "--type", "gate.decidd")
    assert (typo.returncode, "the nearest is gate.decided" in typo.stderr) == (2, True)
    webhook, secret = run("add", url, "--type", "gate.").stdout.split()
    assert url.replace("abc", HIDDEN) in run("list").stdout.replace("\n", "")
    assert secret.startswith("whsec_")
    handler.answers.append(500)
    failed = run("test", webhook)
    assert (failed.returncode, "answered 500; the next attempt is due in 5 s" in failed.stdout) == (1, True)
    [delivery_id] = [item.id for item in services.webhooks.deliveries(webhook)]
    assert run("redeliver", delivery_id).stdout == "Delivered.\n"
    (headers, body), (again, _) = handler.taken
    assert Verifier(secret).verify(body, headers)["type"] == "webhook.test"
    assert headers["webhook-id"] == again["webhook-id"]
    shown = run("show", webhook).stdout
    assert delivery_id in shown
    assert not any(hidden in shown for hidden in (secret, "abc"))
    assert run("remove", webhook).returncode == 0
    assert services.webhooks.all() == []
