"""What happens without anybody asking: late tasks end, failed ones return, silent agents are given up."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import structlog

from omoi_os.errors import OmoiError
from omoi_os.services.agent_health import AgentHealthService
from omoi_os.services.task_queue import TaskQueueService

log = structlog.get_logger(__name__)

PERIOD: Final = 5.0
"""Seconds between two rounds of one process."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one round did."""

    timed_out: int
    retried: int
    silent_agents: int
    blocked: int

    def __bool__(self) -> bool:
        return bool(self.timed_out or self.retried or self.silent_agents or self.blocked)


class Housekeeping:
    """Any number of processes may keep house on one database: each thing happens once."""

    def __init__(self, queue: TaskQueueService, agents: AgentHealthService) -> None:
        self.queue = queue
        self.agents = agents

    def sweep(self) -> Swept:
        """One round."""
        late = [task.id for task in self.queue.get_timed_out_tasks()]
        timed_out = sum(self.queue.mark_task_timeout(task_id, only_if_late=True) for task_id in late)
        silent = self.agents.cleanup_stale_agents()
        retried = self.queue.retry_failed_tasks()
        return Swept(timed_out, retried, silent, self.queue.fail_blocked_tasks())

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
