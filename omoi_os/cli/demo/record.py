"""What stands in the database about the ticket, and how it is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from omoi_os.bootstrap import Services
from omoi_os.cli.demo.told import Told
from omoi_os.cli.lists import short_phase
from omoi_os.cli.signals import Held
from omoi_os.domain.phases import Phase
from omoi_os.domain.verdict import GateStatus
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.task import Task
from omoi_os.services.task_queue import TaskFilter

PATIENCE: Final = 90.0
"""Seconds for one step; a quiet machine needs three."""

_LOOK: Final = 0.1


class Differs(Exception):
    """The story goes on in another way than it must."""


class Record:
    """One ticket's rows.

    Args:
        patience: Seconds after which what is waited for is missing.
    """

    def __init__(
        self,
        services: Services,
        ticket_id: str,
        told: Told,
        signals: Held,
        patience: float = PATIENCE,
    ) -> None:
        self.services = services
        self.ticket_id = ticket_id
        self.told = told
        self.signals = signals
        self.patience = patience

    def phase(self) -> Phase:
        """Where the ticket is."""
        return self.services.phases.get_current_phase(self.ticket_id)

    def history(self) -> list[PhaseHistory]:
        """The ticket's moves, the first one first."""
        return self.services.phases.get_phase_history(self.ticket_id)

    def reviews(self, phase: Phase | None = None) -> list[PhaseGateResult]:
        """Verdicts, the first one first."""
        page = self.services.requests.list(ticket_id=self.ticket_id, phase_id=phase)
        return [item for item in page.reviews[::-1] if item.gate_status != GateStatus.PENDING]

    def task(self, kind: str) -> Task:
        """The newest task of that kind.

        Raises:
            Differs: There is none.
        """
        listed = self.services.queue.list_tasks(TaskFilter(ticket_id=self.ticket_id)).tasks
        for task in listed:
            if task.task_type == kind:
                return self.services.queue.get_task(task.id)
        raise Differs(f"there is no task {kind}")

    def verdict(self, phase: Phase, number: int) -> PhaseGateResult:
        """The verdict of that number, from 1, when there is one and what follows it was done."""

        def found() -> PhaseGateResult | None:
            decided = self.reviews(phase)
            last = decided[number - 1] if len(decided) >= number else None
            return last if last and (last.followed_at or not last.carry_on) else None

        return self.until(f"review {number} of {short_phase(phase)}", found)

    def until[Found](self, what: str, found: Callable[[], Found | None]) -> Found:
        """What is waited for, while what is being done is shown.

        Raises:
            Differs: It did not come.
            Ended: A signal came meanwhile.
        """
        end = time.monotonic() + self.patience
        with self.told.waiting("working") as show:
            while (there := found()) is None:
                show(self.doing())
                if time.monotonic() > end:
                    raise Differs(f"{what} did not come within {self.patience:g} seconds")
                self.signals.wait(_LOOK)
        return there

    def doing(self) -> str:
        """What is being done at this moment; "" for nothing that can be seen."""
        running = self.services.queue.list_tasks(TaskFilter(ticket_id=self.ticket_id, status="running"))
        if running.tasks:
            return f"an agent does {running.tasks[0].task_type}"
        page = self.services.requests.list(ticket_id=self.ticket_id, status=GateStatus.PENDING)
        if not page.reviews:
            return ""
        review = page.reviews[0]
        return f"a review of {short_phase(review.phase_id)} is {review.stage}"
