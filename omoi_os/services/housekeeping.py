"""What happens without anybody asking.

Late tasks end, failed ones return, silent agents are given up, reviews of lost processes end, and where
nobody can go on a review says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from omoi_os.errors import OmoiError
from omoi_os.services.agent_health import AgentHealthService
from omoi_os.services.review_requests import ReviewRequests
from omoi_os.services.task_queue import TaskQueueService

log = structlog.get_logger(__name__)

PERIOD: Final = 5.0
"""Seconds between two rounds of one process."""

LONGEST_STEP: Final = 2.0
"""Seconds after which a round goes on to the next thing; what is left is for the next round."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one round did."""

    timed_out: int
    retried: int
    silent_agents: int
    blocked: int
    forgotten_agents: int = 0
    dead_ends: int = 0
    abandoned: int = 0

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


class Housekeeping:
    """Any number of processes may keep house on one database: each thing happens once.

    Args:
        requests: Ends reviews of lost processes, and asks for those of phases whose work failed for good;
            None does neither.
    """

    def __init__(
        self, queue: TaskQueueService, agents: AgentHealthService, requests: ReviewRequests | None = None
    ) -> None:
        self.queue = queue
        self.agents = agents
        self.requests = requests

    def sweep(self) -> Swept:
        """One round: each thing at least once, and again until nothing is left of it or its time is up."""
        _until_done(self.agents.rest_agents)
        return Swept(
            silent_agents=_until_done(self.agents.cleanup_stale_agents),
            timed_out=_until_done(self.queue.time_out_late_tasks),
            retried=_until_done(self.queue.retry_failed_tasks),
            blocked=_until_done(self.queue.fail_blocked_tasks),
            forgotten_agents=_until_done(self.agents.forget_agents),
            abandoned=_until_done(self.requests.end_abandoned) if self.requests is not None else 0,
            dead_ends=_until_done(self.requests.at_dead_ends) if self.requests is not None else 0,
        )

    def run(self, stop: threading.Event, period: float = PERIOD) -> None:
        """Sweep until `stop` is set. An outage of the database ends no loop: the next round tries again."""
        while not stop.wait(period):
            try:
                if swept := self.sweep():
                    log.info("swept", **{name: getattr(swept, name) for name in Swept.__slots__})
            except (OmoiError, OSError) as error:
                log.warning("sweep_failed", error=type(error).__name__)
            except Exception:  # the loop must survive whatever a round meets
                log.exception("sweep_failed")


def _until_done(step: Callable[[], int]) -> int:
    """Repeat a bounded step until it finds nothing, or has taken too long."""
    total, end = 0, time.monotonic() + LONGEST_STEP
    while done := step():
        total += done
        if time.monotonic() > end:
            break
    return total
