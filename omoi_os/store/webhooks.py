"""SQL of webhooks and of their deliveries; the database's clock decides what is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import TupleRow

from omoi_os.domain.events import Position, StoredEvent
from omoi_os.domain.webhooks import Outcome
from omoi_os.models.base import new_id
from omoi_os.models.webhook import Webhook, WebhookDelivery
from omoi_os.store.events import COLUMNS, ERA, OLDEST_RUNNING, SHOWN
from omoi_os.store.rows import fetch_all, fetch_one

LEASE: Final = 60.0
"""Seconds after which an attempt that was begun and not recorded counts as lost."""

_NEWEST: Final = (
    f"(SELECT era, xid, seq FROM events WHERE {SHOWN} ORDER BY era DESC, xid DESC, seq DESC LIMIT 1)"  # noqa: S608
)
_BEGIN: Final = f"""
WITH begun AS (
    UPDATE webhook_deliveries AS delivery
    SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs => {LEASE})
    FROM webhooks AS webhook
    WHERE delivery.id = %(id)s AND status = 'pending' AND attempts = %(attempt)s::int - 1
      AND webhook.id = webhook_id AND webhook.active
    RETURNING webhook.url, webhook.secret, attempts - earlier_attempts AS number, event_id
)
SELECT url, secret, number, {", ".join(f"events.{name}" for name in COLUMNS)}
FROM begun JOIN events ON events.id = event_id
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Due:
    """An attempt that somebody shall make.

    Attributes:
        number: Which of the delivery's attempts it is.
        taken: When that was decided, for one that was found late; no two findings have the same.
    """

    delivery_id: str
    number: int
    taken: datetime | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that was begun, and all that it needs.

    Attributes:
        number: Which one of this round it is; the first is 1.
    """

    url: str
    secret: str
    number: int
    event: StoredEvent


def add(connection: Connection[TupleRow], values: Mapping[str, Any]) -> Webhook:
    """Make a webhook that is told of what happens from now on.

    Args:
        values: url, secret, types, ticket, by.
    """
    statement = f"""
    INSERT INTO webhooks (id, url, secret, event_types, ticket_id, era, xid, seq, created_by)
    SELECT %(id)s, %(url)s, %(secret)s, %(types)s::text[], %(ticket)s, {ERA}, {OLDEST_RUNNING}, 0, %(by)s
    RETURNING *
    """
    made = fetch_one(connection, Webhook, statement, {**values, "id": new_id()})
    assert made is not None  # noqa: S101 - an INSERT of one row returns one
    return made


def all_of_them(connection: Connection[TupleRow]) -> list[Webhook]:
    """All webhooks, the first one first."""
    return fetch_all(connection, Webhook, "SELECT * FROM webhooks ORDER BY created_at, id", {})


def find(connection: Connection[TupleRow], webhook_id: str) -> Webhook | None:
    """The webhook."""
    return fetch_one(connection, Webhook, "SELECT * FROM webhooks WHERE id = %(id)s", {"id": webhook_id})


def remove(connection: Connection[TupleRow], webhook_id: str) -> bool:
    """Delete a webhook with its deliveries; whether it was there."""
    return connection.execute("DELETE FROM webhooks WHERE id = %s", (webhook_id,)).rowcount == 1


def disable(connection: Connection[TupleRow], webhook_id: str, reason: str) -> None:
    """Send nothing more there; what is under way fails."""
    connection.execute(
        "UPDATE webhooks SET active = false, disabled_reason = %s WHERE id = %s", (reason, webhook_id)
    )
    connection.execute(
        """UPDATE webhook_deliveries
           SET status = 'failed', next_attempt_at = NULL, last_error = 'the webhook was disabled'
           WHERE webhook_id = %s AND status = 'pending'""",
        (webhook_id,),
    )


def take_behind(connection: Connection[TupleRow]) -> Webhook | None:
    """Lock the webhook that is furthest behind the record, among those that nobody else has locked."""
    statement = f"""
    SELECT * FROM webhooks WHERE active AND (era, xid, seq) < {_NEWEST}
    ORDER BY era, xid, seq LIMIT 1 FOR UPDATE SKIP LOCKED
    """  # noqa: S608
    return fetch_one(connection, Webhook, statement, {})


def make_deliveries(
    connection: Connection[TupleRow], webhook_id: str, event_ids: Sequence[str], reached: Position
) -> list[Due]:
    """One delivery for each event, and the webhook's new place in the record."""
    connection.execute(
        "UPDATE webhooks SET era = %s, xid = %s, seq = %s WHERE id = %s", (*reached, webhook_id)
    )
    rows = connection.execute(
        """INSERT INTO webhook_deliveries (id, webhook_id, event_id, next_attempt_at)
           SELECT gen_random_uuid()::text, %s, event_id, clock_timestamp()
           FROM unnest(%s::text[]) AS event_id RETURNING id""",
        (webhook_id, list(event_ids)),
    ).fetchall()
    return [Due(row[0], 1) for row in rows]


def make_test(connection: Connection[TupleRow], webhook_id: str) -> Due:
    """An event that only tells this webhook that it works, and its delivery."""
    row = connection.execute(
        """WITH told AS (
               INSERT INTO events (id, event_type, entity_type, entity_id, payload, created_at)
               VALUES (gen_random_uuid()::text, 'webhook.test', 'webhook', %(id)s,
                       '{"message": "this is a test"}', clock_timestamp())
               RETURNING id
           )
           INSERT INTO webhook_deliveries (id, webhook_id, event_id, next_attempt_at)
           SELECT gen_random_uuid()::text, %(id)s, id, clock_timestamp() FROM told RETURNING id""",
        {"id": webhook_id},
    ).fetchone()
    assert row is not None  # noqa: S101 - an INSERT of one row returns one
    return Due(row[0], 1)


def make_again(connection: Connection[TupleRow], delivery_id: str) -> Due | None:
    """Begin another round of a delivery to a webhook that is active."""
    row = connection.execute(
        """UPDATE webhook_deliveries SET status = 'pending', earlier_attempts = attempts, delivered_at = NULL,
                  next_attempt_at = clock_timestamp()
           WHERE id = %s AND EXISTS (SELECT FROM webhooks WHERE webhooks.id = webhook_id AND active)
           RETURNING id, attempts + 1""",
        (delivery_id,),
    ).fetchone()
    return None if row is None else Due(row[0], row[1])


def take_late(connection: Connection[TupleRow], limit: int, late_by: float) -> list[Due]:
    """Take attempts that have been due for so many seconds; each is taken by one caller for a while."""
    rows = connection.execute(
        f"""UPDATE webhook_deliveries SET next_attempt_at = clock_timestamp() + make_interval(secs => {LEASE})
            WHERE id = ANY(ARRAY(
                SELECT id FROM webhook_deliveries
                WHERE status = 'pending'
                  AND next_attempt_at <= clock_timestamp() - make_interval(secs => %(late)s::float8)
                ORDER BY next_attempt_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
            RETURNING id, attempts + 1, next_attempt_at""",  # noqa: S608
        {"late": late_by, "limit": limit},
        prepare=True,
    ).fetchall()
    return [Due(*row) for row in rows]


def begin(connection: Connection[TupleRow], due: Due) -> Begun | None:
    """Begin an attempt; None where it was begun before, or nothing is to be delivered any more."""
    values = {"id": due.delivery_id, "attempt": due.number}
    row = connection.execute(_BEGIN, values, prepare=True).fetchone()
    if row is None:
        return None
    url, secret, number, era, xid, seq, *event = row
    return Begun(url, secret, number, StoredEvent(Position(era, xid, seq), *event))


def record(
    connection: Connection[TupleRow], due: Due, outcome: Outcome, status: int | None
) -> WebhookDelivery | None:
    """Note what became of an attempt, unless another one began meanwhile."""
    statement = """
    UPDATE webhook_deliveries
    SET status = %(status)s::text, last_status = %(answered)s::int, last_error = nullif(%(error)s::text, ''),
        delivered_at = CASE WHEN %(status)s::text = 'delivered' THEN clock_timestamp() END,
        next_attempt_at = clock_timestamp() + make_interval(secs => %(delay)s::float8)
    WHERE id = %(id)s AND attempts = %(attempt)s AND status = 'pending'
    RETURNING *
    """
    values = {
        "id": due.delivery_id,
        "attempt": due.number,
        "status": outcome.status.value,
        "answered": status,
        "error": outcome.error,
        "delay": outcome.delay,
    }
    return fetch_one(connection, WebhookDelivery, statement, values)


def deliveries(connection: Connection[TupleRow], webhook_id: str, limit: int) -> list[WebhookDelivery]:
    """The newest deliveries of a webhook."""
    statement = """SELECT * FROM webhook_deliveries WHERE webhook_id = %(id)s
                   ORDER BY created_at DESC, id DESC LIMIT %(limit)s"""
    return fetch_all(connection, WebhookDelivery, statement, {"id": webhook_id, "limit": limit})


def forget(connection: Connection[TupleRow], days: int) -> int:
    """Delete up to a thousand deliveries that ended, and are older than so many days; returns how many."""
    return connection.execute(
        """DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(
               SELECT id FROM webhook_deliveries
               WHERE status <> 'pending' AND created_at < clock_timestamp() - make_interval(days => %s)
               ORDER BY created_at LIMIT 1000 FOR UPDATE SKIP LOCKED))""",
        (days,),
    ).rowcount
