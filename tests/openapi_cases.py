"""What the fuzzer of the API knows: things that exist, and what every error must look like."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemathesis import Case, CheckContext
from schemathesis.core.transport import Response

from omoi_os.api.problems import MEDIA_TYPE, PROBLEM_SCHEMA
from omoi_os.bootstrap import Services
from omoi_os.domain.phases import Phase
from omoi_os.domain.statuses import Priority, TaskStatus
from tests.phase_tickets import ready_ticket
from tests.test_phase_gates import GOOD


class Known:
    """Values that are of use, by the names of parameters and fields."""

    def __init__(self, values: Mapping[str, list[Any]]) -> None:
        self.values = values
        self._ids = [
            id_ for name in ("ticket_id", "task_id", "agent_id", "result_id") for id_ in values[name]
        ]

    def lead(self, case: Case[Any]) -> None:
        """Let half of the requests reach something that exists, and half of them with values of use.

        What is drawn depends on the request alone, so that a failure can be repeated.
        """
        drawn = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
        if drawn % 2:
            return
        if case.path_parameters:
            case.path_parameters = self._replaced(case.path_parameters, drawn // 4, self._ids)
        if drawn % 4:
            return
        if case.query:
            case.query = self._replaced(case.query, drawn // 4)
        if isinstance(case.body, dict):
            case.body = self._replaced(case.body, drawn // 4)

    def _replaced(
        self, given: Mapping[str, Any], drawn: int, others: list[Any] | None = None
    ) -> dict[str, Any]:
        """`given` with known values; where a name is not known, one of `others`."""
        lists = {name: self.values.get(name) or others or [value] for name, value in given.items()}
        return {name: values[drawn % len(values)] for name, values in lists.items()}


def seeded(services: Services, workspace: Path) -> Known:
    """A ticket in every phase with work to do, agents of which one has tasks, a verdict and its policy."""
    db, queue = services.db, services.queue
    tickets = [ready_ticket(db, phase) for phase in Phase]
    agents = [services.agents.register("worker", phase_id=phase).id for phase in (None, Phase.TESTING)]
    tasks = [queue.enqueue_task(ticket, Phase.TESTING, "work", None).id for ticket in tickets * 3]
    for _ in tickets:
        queue.claim_next_task(agents[0])
    verdict = services.gates.validate_gate(tickets[list(Phase).index(Phase.TESTING)], Phase.TESTING)
    phases = [*Phase, "testing"]
    return Known(
        {
            "ticket_id": tickets,
            "agent_id": agents,
            "task_id": tasks,
            "result_id": [verdict.id],
            "digest": [(verdict.validation_result or {})["policy"]],
            "phase_id": phases,
            "to_phase": phases,
            "for_phase": phases,
            "status": [*TaskStatus],
            "priority": [*Priority],
            "capabilities": [[], None],
            "depends_on": [[], tasks[:1], tasks[:3]],
            "cursor": [None, "1"],
            "workspace_path": [str(workspace), None],
            "artifact_type": [name for good in GOOD.values() for name in good],
            "artifact_content": [content for good in GOOD.values() for content in good.values()],
        }
    )


class Told:
    """How often which status was answered."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self._of: Counter[str] = Counter()

    def note(self, operation: str, status: int) -> None:
        """One more answer."""
        self.statuses[status] += 1
        self._of[operation] += 1

    def of(self, operation: str) -> int:
        """Requests to one operation until now."""
        return self._of[operation]

    def __str__(self) -> str:
        each = ", ".join(f"{status}: {count:,}" for status, count in sorted(self.statuses.items()))
        return f"{self.statuses.total():,} requests to {len(self._of)} operations ({each})"


def problems_only(_ctx: CheckContext, response: Response, _case: Case[Any]) -> None:
    """Every error is problem details, and has all that these must have."""
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    assert response.headers["content-type"] == [MEDIA_TYPE]
    body = response.json()
    assert set(PROBLEM_SCHEMA["required"]) <= body.keys()
    assert body["status"] == response.status_code
    assert body["detail"]
    assert body["code"]


def streams(operation: Mapping[str, Any]) -> bool:
    """Whether an operation of the document answers with a stream that may have no end."""
    return any("text/event-stream" in answer.get("content", {}) for answer in operation["responses"].values())
