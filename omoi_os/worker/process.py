"""A worker: takes reviews until it is asked to end, and looks after what others left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

import structlog

from omoi_os.bootstrap import Services, execution_on
from omoi_os.services.durable_reviews import DurableReviews
from omoi_os.settings import Settings
from omoi_os.worker import engine, retention, reviews, tasks, webhooks
from omoi_os.worker.leases import BEAT, Leases
from omoi_os.worker.running import running
from omoi_os.worker.strays import OLDER, Strays

log = structlog.get_logger(__name__)

HOUSEKEEPING: Final = 5.0
RETENTION: Final = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a worker looks after things, and how long it waits; tests are in a hurry.

    Attributes:
        beat: Seconds between two signs of life, and `ttl` after which a silent peer is dead.
        strays: Seconds after which a due review may be a stray; also how often they are looked for.
        drain: Seconds that are given to what was begun when the worker ends.
    """

    beat: float = BEAT
    ttl: float = 6 * BEAT
    strays: float = OLDER
    drain: int = engine.DRAIN

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the settings say: a worker is dead after six beats, and strays are looked for as often."""
        ttl = settings.lease_seconds
        return cls(ttl / 6, ttl, ttl, settings.drain_seconds)


@contextmanager
def working(services: Services, load: engine.Load, pace: Pace = Pace()) -> Iterator[str]:
    """Take work while the block runs; the value is this worker's name."""
    name = engine.executor_name()
    durable = DurableReviews(
        services.gates.stages, services.requests, first_pause=services.settings.retry_seconds
    )
    reviews.use(durable, services.consequences)
    webhooks.use(services.webhooks)
    slots = _slots(services, load.tasks) if load.tasks else None
    leases = Leases(services.db, name, pace.ttl, running)
    engine.launch(services.db, name, load)
    stop = threading.Event()
    strays = Strays(services.db, services.requests, older=pace.strays)
    dispatcher = webhooks.Dispatcher(services.webhooks, services.requests.engine)
    loops = [
        _loop("leases", leases.beat, pace.beat, stop),
        _loop("strays", strays.bring_back, pace.strays, stop),
        _loop("webhooks", dispatcher.dispatch, webhooks.PERIOD, stop),
        _loop("housekeeping", services.housekeeping.sweep, HOUSEKEEPING, stop),
        _loop("retention", retention.sweep_of(services), RETENTION, stop),
    ]
    if slots is not None:
        loops.append(_loop("tasks", slots.round, load.poll, stop))
    try:
        yield name
    finally:
        if slots is not None:
            slots.close()
        engine.stop(pace.drain)
        stop.set()
        for loop in loops:
            loop.join()
        if slots is not None:
            slots.give_back()
        engine.hand_back(services.db, name)
        leases.end()


def _slots(services: Services, number: int) -> tasks.Slots:
    execution = execution_on(services)
    tasks.use(execution)
    offered = [name.strip() for name in services.settings.worker_capabilities.split(",") if name.strip()]
    return tasks.Slots(execution, services.agents, services.requests.engine, number, offered)


def _loop(name: str, step: Callable[[], object], period: float, stop: threading.Event) -> threading.Thread:
    def run() -> None:
        while True:
            try:
                step()
            except Exception:  # the loop must survive whatever a round meets
                log.exception("round_failed", loop=name)
            if stop.wait(period):
                return

    thread = threading.Thread(target=run, name=name)
    thread.start()
    return thread
