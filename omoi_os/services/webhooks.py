"""Webhooks: events on their way to receivers that an operator named, signed as Standard Webhooks says.

Each event makes one delivery for each webhook that asks for it, and each delivery arrives at least once:
whoever receives it twice knows it by its `webhook-id`. What is told about webhooks goes to none of them.
"""

from __future__ import annotations

import base64
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Final, Protocol

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy.orm import Session
from standardwebhooks import Webhook as Signer

from omoi_os import __version__
from omoi_os.domain.events import EVERYTHING, EventFilter, Position, event_filter
from omoi_os.domain.webhooks import DELAYS, DeliveryStatus, Outcome, Reply, outcome_of
from omoi_os.errors import Conflict, InvalidInput, NotFound
from omoi_os.models.webhook import Webhook, WebhookDelivery
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.events import EventService
from omoi_os.services.queue.base import is_id
from omoi_os.store import events, webhooks
from omoi_os.store.webhooks import Begun, Due
from omoi_os.utils.datetime import utc_now

MOST: Final = 50
"""Webhooks of one database."""

BATCH: Final = 500
"""Events that one dispatch looks at for one webhook."""

RETENTION: Final = 30
"""Days after which a delivery that ended is deleted."""

_ABOUT_WEBHOOKS: Final = "webhook"

type Enqueue = Callable[[Session, Due], object]
"""Has an attempt made later, once the transaction of the session commits."""


class Sender(Protocol):
    """What sends a request; see `webhook_sender`."""

    def check(self, url: str) -> None: ...

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of an attempt.

    Attributes:
        again: The next attempt, in `delay` seconds; None where there is none.
    """

    status: DeliveryStatus
    error: str = ""
    again: Due | None = None
    delay: float = 0.0


class WebhookService:
    """Makes webhooks, and delivers to them; any number of processes may work on one database."""

    def __init__(
        self, db: DatabaseService, events: EventService, sender: Sender, *, delays: Sequence[float] = DELAYS
    ) -> None:
        self.db = db
        self._delays = delays
        self._events = events
        self._sender = sender

    def add(
        self, url: str, *, types: tuple[str, ...] = (), ticket_id: str | None = None, created_by: str
    ) -> Webhook:
        """Make a webhook; what happens from now on is sent there.

        Raises:
            WebhookRefused: Nothing can be sent to this URL.
            InvalidInput: A type or the ticket cannot be, or there are 50 webhooks already.
        """
        asked = event_filter(ticket_id, types)
        self._sender.check(url)
        secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        values = {
            "url": url,
            "secret": secret,
            "types": list(asked.types),
            "ticket": ticket_id,
            "by": created_by,
        }
        with self.db.get_session() as session:
            connection = driver_connection(session)
            if len(webhooks.all_of_them(connection)) >= MOST:
                raise InvalidInput(f"there are {MOST} webhooks already; remove one first")
            made = webhooks.add(connection, values)
            events.tell(connection, "webhook.added", _ABOUT_WEBHOOKS, made.id, {"by": created_by})
        return made

    def all(self) -> list[Webhook]:
        """All webhooks, the first one first."""
        with self.db.single_statements() as connection:
            return webhooks.all_of_them(connection)

    def get(self, webhook_id: str) -> Webhook:
        """The webhook.

        Raises:
            NotFound: There is no such webhook.
        """
        found = None
        if is_id(webhook_id):
            with self.db.single_statements() as connection:
                found = webhooks.find(connection, webhook_id)
        if found is None:
            raise NotFound(f"there is no webhook {webhook_id[:60]!r}", webhook_id=webhook_id[:60])
        return found

    def deliveries(self, webhook_id: str, limit: int = 20) -> list[WebhookDelivery]:
        """The newest deliveries of a webhook.

        Raises:
            NotFound: There is no such webhook.
        """
        self.get(webhook_id)
        with self.db.single_statements() as connection:
            return webhooks.deliveries(connection, webhook_id, limit)

    def remove(self, webhook_id: str, *, removed_by: str) -> None:
        """Delete a webhook with its deliveries.

        Raises:
            NotFound: There is no such webhook.
        """
        self.get(webhook_id)
        with self.db.get_session() as session:
            connection = driver_connection(session)
            if webhooks.remove(connection, webhook_id):
                events.tell(connection, "webhook.removed", _ABOUT_WEBHOOKS, webhook_id, {"by": removed_by})

    def test(self, webhook_id: str) -> Delivered:
        """Send an event that only says that the webhook works, now.

        Raises:
            NotFound: There is no such webhook.
            Conflict: It is disabled.
        """
        if not self.get(webhook_id).active:
            raise Conflict("this webhook is disabled; remove it and add it anew")
        with self.db.get_session() as session:
            due = webhooks.make_test(driver_connection(session), webhook_id)
        return self.deliver(due)

    def redeliver(self, delivery_id: str) -> Delivered:
        """Send a delivery again, now, whatever became of it; it has all its attempts again.

        Raises:
            NotFound: There is no such delivery, or its webhook is disabled.
        """
        due = None
        if is_id(delivery_id):
            with self.db.get_session() as session:
                due = webhooks.make_again(driver_connection(session), delivery_id)
        if due is None:
            raise NotFound(f"there is no delivery {delivery_id[:60]!r} to an active webhook")
        return self.deliver(due)

    def dispatch(self, enqueue: Enqueue | None = None) -> list[Due] | None:
        """Make the deliveries of the next events for the webhook that is furthest behind.

        Each event exactly once per webhook, however many dispatch: its place in the record moves on in the
        transaction that makes the deliveries, and in which they are handed to `enqueue`.

        Returns:
            The first attempts of what was made; None where no webhook is behind.
        """
        with self.db.get_session() as session:
            connection = driver_connection(session)
            webhook = webhooks.take_behind(connection)
            if webhook is None:
                return None
            place = Position(webhook.era, webhook.xid, webhook.seq)
            found = events.after(connection, place, BATCH)
            asked = EventFilter(webhook.ticket_id, tuple(webhook.event_types))
            wanted = [
                event.id for event in found if event.entity_type != _ABOUT_WEBHOOKS and asked.matches(event)
            ]
            reached = found[-1].position if found else place
            made = webhooks.make_deliveries(connection, webhook.id, wanted, reached)
            _hand_on(session, made, enqueue)
        return made

    def take_late(
        self, limit: int = 100, *, late_by: float = 0.0, enqueue: Enqueue | None = None
    ) -> list[Due]:
        """Attempts that have been due for so many seconds, each for one caller: nobody made them.

        With an engine that makes attempts in time, this finds those that a crash left.
        """
        with self.db.get_session() as session:
            taken = webhooks.take_late(driver_connection(session), limit, late_by)
            _hand_on(session, taken, enqueue)
        return taken

    def deliver(self, due: Due) -> Delivered:
        """Make one attempt, and record it. Nothing is sent for an attempt that was begun before.

        Two transactions, as the receiver is waited for between them: an attempt that dies there is found by
        `take_late` after a minute, and is made again with the same `webhook-id`.
        """
        with self.db.single_statements() as connection:
            begun = webhooks.begin(connection, due)
        if begun is None:
            return Delivered(DeliveryStatus.FAILED, "it was begun before, or nothing is to be delivered")
        reply = self._send(begun)
        outcome = outcome_of(reply, begun.number, random.random(), self._delays)  # noqa: S311 - spreads load
        with self.db.get_session() as session:
            connection = driver_connection(session)
            recorded = webhooks.record(connection, due, outcome, reply.status)
            if recorded is not None:
                _tell_end(connection, recorded, outcome)
        if outcome.delay is None:
            return Delivered(outcome.status, outcome.error)
        return Delivered(outcome.status, outcome.error, Due(due.delivery_id, due.number + 1), outcome.delay)

    def forget(self, days: int = RETENTION) -> int:
        """Delete up to 1,000 deliveries that ended so long ago; returns how many."""
        with self.db.single_statements() as connection:
            return webhooks.forget(connection, days)

    def _send(self, begun: Begun) -> Reply:
        [event] = self._events.shown([begun.event], EVERYTHING)
        now = utc_now().astimezone(UTC)
        body = msgspec.json.encode(
            {"type": event.event_type, "timestamp": event.created_at.isoformat(), "data": event.as_dict()}
        )
        signature = Signer(begun.secret).sign(event.id, now, body.decode())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"OmoiOS/{__version__}",
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        return self._sender.send(begun.url, headers, body)


def _hand_on(session: Session, attempts: list[Due], enqueue: Enqueue | None) -> None:
    if enqueue is not None:
        for due in attempts:
            enqueue(session, due)


def _tell_end(connection: Connection[TupleRow], ended: WebhookDelivery, outcome: Outcome) -> None:
    if outcome.gone:
        webhooks.disable(connection, ended.webhook_id, "the receiver answered 410 Gone")
        events.tell(connection, "webhook.disabled", _ABOUT_WEBHOOKS, ended.webhook_id, {"status": 410})
    if outcome.status is DeliveryStatus.FAILED:
        told = {"delivery_id": ended.id, "event_id": ended.event_id, "error": outcome.error}
        events.tell(connection, "webhook.delivery_failed", _ABOUT_WEBHOOKS, ended.webhook_id, told)
