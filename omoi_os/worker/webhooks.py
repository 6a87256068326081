"""Deliveries on the durable engine: one workflow per attempt, the next one enqueued with a delay.

The rows decide what is to be delivered. A workflow that was lost, with the engine's tables or without, is
found by `take_late`; one that runs twice begins no attempt twice.
"""

from __future__ import annotations

from typing import Any, Final

from dbos import DBOS
from sqlalchemy.orm import Session

from omoi_os.services.engine import WEBHOOKS, Engine, Job
from omoi_os.services.webhooks import WebhookService
from omoi_os.store.webhooks import Due
from omoi_os.worker.running import here

CONCURRENCY: Final = 8
"""Receivers that one process talks to at one moment."""

PERIOD: Final = 1.0
"""Seconds between two looks for events to be delivered."""

LATE_BY: Final = 60.0
"""Seconds after which an attempt that is due is not the engine's any more."""

_WORKFLOW: Final = "deliver_webhook"

type Next = dict[str, Any] | None


class _Tools:
    """What the workflows of this process work with."""

    webhooks: WebhookService


def use(webhooks: WebhookService) -> None:
    """Say what is delivered with, before the engine is launched."""
    _Tools.webhooks = webhooks


@DBOS.workflow(name=_WORKFLOW)
def deliver_webhook(delivery_id: str, number: int) -> None:
    """Attempt to deliver, and have the next attempt begin later where this one failed."""
    with here():
        if (again := attempt(delivery_id, number)) is not None:
            _enqueue_next(delivery_id, again)


def _enqueue_next(delivery_id: str, again: dict[str, Any]) -> None:
    job = _job(Due(delivery_id, again["number"]))
    DBOS.enqueue_workflow_with_options(
        {
            "workflow_name": job.workflow,
            "queue_name": job.queue,
            "workflow_id": job.id,
            "delay_seconds": again["delay"],
        },
        *job.arguments,
    )


@DBOS.step(name="attempt_webhook")
def attempt(delivery_id: str, number: int) -> Next:
    done = _Tools.webhooks.deliver(Due(delivery_id, number))
    return None if done.again is None else {"number": done.again.number, "delay": done.delay}


class Dispatcher:
    """Turns events into deliveries; any number of processes may do so."""

    def __init__(self, webhooks: WebhookService, engine: Engine, *, late_by: float = LATE_BY) -> None:
        self.webhooks = webhooks
        self.engine = engine
        self.late_by = late_by

    def dispatch(self) -> None:
        """One round: everything that is new, and some of what was lost."""
        while self.webhooks.dispatch(self.enqueue) is not None:
            pass
        self.webhooks.take_late(late_by=self.late_by, enqueue=self.enqueue)

    def enqueue(self, session: Session, due: Due) -> None:
        """Have an attempt made, in the transaction that makes its row."""
        self.engine.enqueue(session, _job(due))


def _job(due: Due) -> Job:
    name = f"webhook:{due.delivery_id}:{due.number}"
    if due.taken is not None:
        # The workflow of that name may have ended without its work; this one needs a name of its own.
        name = f"{name}:{due.taken.timestamp():.3f}"
    return Job(_WORKFLOW, WEBHOOKS, name, (due.delivery_id, due.number))
