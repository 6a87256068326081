"""Deliveries on the durable engine: one workflow per attempt, the next one enqueued with a delay.

The rows decide what is to be delivered. A workflow that was lost, with the engine's tables or without, is
found by `take_late`; one that runs twice begins no attempt twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import structlog
from dbos import DBOS, DBOSClient, EnqueueOptions, WorkflowSerializationFormat
from sqlalchemy.orm import Session

from omoi_os.services.event_feed import OUTAGES
from omoi_os.services.webhooks import Enqueue, WebhookService
from omoi_os.store.webhooks import Due

log = structlog.get_logger(__name__)

QUEUE: Final = "webhooks"
CONCURRENCY: Final = 8
"""Receivers that one process talks to at one moment."""

WORKFLOW: Final = "deliver_webhook"
PERIOD: Final = 1.0
LATE_BY: Final = 60.0
"""Seconds after which an attempt that is due is not the engine's any more."""

FORGETTING: Final = 3_600.0

type Next = dict[str, Any] | None


def register(webhooks: WebhookService) -> Callable[[str, int], None]:
    """Make the workflow known to the engine; call it once, before the engine is launched."""

    @DBOS.step(name="attempt_webhook")
    def attempt(delivery_id: str, number: int) -> Next:
        done = webhooks.deliver(Due(delivery_id, number))
        return None if done.again is None else {"number": done.again.number, "delay": done.delay}

    @DBOS.workflow(name=WORKFLOW, serialization_type=WorkflowSerializationFormat.PORTABLE)
    def deliver_webhook(delivery_id: str, number: int) -> None:
        if (again := attempt(delivery_id, number)) is not None:
            options = _options(Due(delivery_id, again["number"]))
            options["delay_seconds"] = again["delay"]
            DBOS.enqueue_workflow_with_options(options, delivery_id, again["number"])

    return deliver_webhook


def make_queue() -> None:
    """Make the queue; call it once the engine is launched."""
    DBOS.register_queue(QUEUE, worker_concurrency=CONCURRENCY, polling_interval_sec=PERIOD)


def enqueuer(client: DBOSClient) -> Enqueue:
    """Enqueues attempts in the transaction that makes their rows."""

    def enqueue(session: Session, due: Due) -> None:
        client.enqueue_in_transaction(session, _options(due), due.delivery_id, due.number)

    return enqueue


def dispatch(
    webhooks: WebhookService, enqueue: Enqueue, stop: threading.Event, *, late_by: float = LATE_BY
) -> None:
    """Turn events into deliveries until `stop` is set; any number of processes may do so."""
    rounds = 0
    while not stop.wait(PERIOD):
        try:
            while not stop.is_set() and webhooks.dispatch(enqueue) is not None:
                pass
            webhooks.take_late(late_by=late_by, enqueue=enqueue)
            if rounds % int(FORGETTING / PERIOD) == 0:
                webhooks.forget()
            rounds += 1
        except OUTAGES as error:
            log.warning("dispatch_failed", error=type(error).__name__)
        except Exception:  # the loop must survive whatever a round meets
            log.exception("dispatch_failed")


def _options(due: Due) -> EnqueueOptions:
    name = f"webhook:{due.delivery_id}:{due.number}"
    if due.taken is not None:
        # The workflow of that name may have ended without its work; this one needs a name of its own.
        name = f"{name}:{due.taken.timestamp():.3f}"
    return {
        "workflow_name": WORKFLOW,
        "queue_name": QUEUE,
        "workflow_id": name,
        "serialization_type": WorkflowSerializationFormat.PORTABLE,
    }
