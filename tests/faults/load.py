"""Tickets on their way, the agents that work on them over HTTP, and writers that change the evidence."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Any, Final

from omoi_os.domain.phases import WORK_PHASES, Phase
from omoi_os.services.review_requests import Asked
from omoi_os.services.tickets import NewTicket
from tests.evidence_texts import CODE, TESTS, junit, lcov
from tests.faults.fleet import Fleet, Member
from tests.test_phase_gates import GOOD

SHORT: Final = "# Scope\n\nToo little to be a document.\n"
BAD: Final[dict[Phase, dict[str, dict[str, Any]]]] = {
    Phase.REQUIREMENTS: {"requirements_document": {"content": SHORT}},
    Phase.DESIGN: {"design_document": {"content": SHORT}},
    Phase.IMPLEMENTATION: {
        "code_changes": {"diff": CODE + TESTS},
        "test_coverage": {"report": lcov(covered=1, total=10)},
    },
    Phase.TESTING: {
        "test_results": {"report": junit(passed=3, failed=1)},
        "test_evidence": {"log": "3 passed, 1 failed in 0.1 s"},
    },
    Phase.DEPLOYMENT: {
        "deployment_record": {"version": "1.4.0", "deployed_to": "staging"},
        "smoke_test_results": {"report": junit(passed=1, failed=1)},
    },
}
"""What fails by the rules, without a doubt that would make it inconclusive."""

START: Final = Phase.REQUIREMENTS


class Story(StrEnum):
    """How a ticket goes; its title.

    Attributes:
        GOOD: Everything passes at once: five reviews.
        MENDED: Each phase fails, and passes once its fix task is done: ten reviews.
        HOPELESS: The design never passes: a person is asked after three reviews.
    """

    GOOD = "good"
    MENDED = "mended"
    HOPELESS = "hopeless"


STILL: Final = 30.0
"""Seconds without any event after which a fleet hangs."""

REVIEWS: Final = {Story.GOOD: 5, Story.MENDED: 10, Story.HOPELESS: 4}


def simple_templates(fleet: Fleet) -> None:
    """One task in each phase."""
    for phase in WORK_PHASES:
        template = {"task_type": "work", "description_template": "Do it", "priority": "MEDIUM"}
        fleet.services.generator.replace_templates(phase, [template])


def new_ticket(fleet: Fleet, story: Story = Story.GOOD, phase: Phase = START) -> str:
    """A ticket in `phase` whose task waits for an agent."""
    ticket = fleet.services.tickets.create(NewTicket(story.value, phase_id=phase))
    fleet.services.generator.generate_phase_tasks(ticket.id, phase)
    return str(ticket.id)


def some_tickets(fleet: Fleet, reviews: int) -> None:
    """As many tickets, of all stories, as make so many reviews."""
    simple_templates(fleet)
    made = planned = 0
    while planned < reviews:
        story = [Story.GOOD, Story.GOOD, Story.MENDED, Story.HOPELESS][made % 4]
        new_ticket(fleet, story)
        made, planned = made + 1, planned + REVIEWS[story]


def evidence(phase: Phase, *, good: bool, run: int = 0) -> list[dict[str, Any]]:
    """What a task hands in; `run` makes it other evidence that says the same."""
    return [
        {"type": type_, "content": {**content, **({"run": run} if run else {})}}
        for type_, content in (GOOD if good else BAD)[phase].items()
    ]


def result_of(title: str, task: dict[str, Any], *, plain: bool = False) -> dict[str, Any]:
    """What an agent hands in for a task of a ticket with that story."""
    phase = Phase(task["phase_id"])
    mending = task["task_type"].startswith("fix_")
    match Story(title):
        case Story.GOOD:
            good = True
        case Story.MENDED:
            good = mending
        case Story.HOPELESS:
            good = phase is not Phase.DESIGN
    return {"artifacts": evidence(phase, good=good, run=0 if plain else random.randrange(1, 10**9))}


def work_off(fleet: Fleet, ticket: str, *, plain: bool = False) -> None:
    """Complete the tasks of a ticket in its phase as its story says, without an agent and without HTTP.

    Args:
        plain: Nothing but what is asked for is handed in; a judge would look at all else as well.
    """
    statement = """SELECT k.id, k.phase_id, k.task_type, t.title
                   FROM tasks k JOIN tickets t ON t.id = k.ticket_id
                   WHERE t.id = %(id)s AND k.phase_id = t.phase_id AND k.status <> 'completed'"""
    for id_, phase, type_, title in fleet.rows(statement, {"id": ticket}):
        fleet.services.queue.assign_task(id_, "an agent")
        result = result_of(title, {"phase_id": phase, "task_type": type_}, plain=plain)
        fleet.services.queue.complete_task(id_, "an agent", result)


def work_off_all(fleet: Fleet) -> bool:
    """The same for all tickets; False where all are at their end."""
    left = unfinished(fleet)
    for id_, _, _ in left:
        work_off(fleet, id_)
    return bool(left)


class Agents:
    """Threads that claim tasks and complete them over HTTP, whatever happens to the API."""

    def __init__(self, fleet: Fleet, apis: Sequence[Member], number: int) -> None:
        self.fleet = fleet
        self.apis = apis
        self.completed: list[str] = []
        self.crashed: list[BaseException] = []
        self.stop = threading.Event()
        self._titles: dict[str, str] = {}
        self._threads = [threading.Thread(target=self._run, name=f"agent-{n}") for n in range(number)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()
        assert not self.crashed, self.crashed

    def _run(self) -> None:
        try:
            agent = self._sure("POST", "/agents", {"agent_type": "worker"})
            while not self.stop.is_set() and agent is not None:
                self._round(agent["agent_id"])
        except Exception as error:
            self.crashed.append(error)

    def _round(self, agent: str) -> None:
        claimed = self._sure("POST", f"/agents/{agent}/claim")
        if claimed is None:
            return
        if (task := claimed["task"]) is None:
            # One whose claim was never answered?
            left = self._sure("GET", f"/tasks?agent_id={agent}&status=assigned")
            if left is None or not left["tasks"]:
                self.stop.wait(0.1)
                return
            task = left["tasks"][0]
        result = result_of(self._title(task["ticket_id"]), task)
        if self._sure("POST", f"/agents/{agent}/tasks/{task['id']}/complete", {"result": result}):
            self.completed.append(task["id"])

    def _title(self, ticket_id: str) -> str:
        if ticket_id not in self._titles:
            found = self.fleet.rows("SELECT title FROM tickets WHERE id = %(id)s", {"id": ticket_id})
            self._titles[ticket_id] = found[0][0]
        return self._titles[ticket_id]

    def _sure(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """An answer, however often it takes; None at the end."""
        while not self.stop.is_set():
            with suppress(OSError):
                status, answer = random.choice(list(self.apis)).ask(method, path, body)
                if status in (200, 201):
                    return dict(answer)
                # 503 while the database restarts, 409 for a task that was taken away from a silent agent.
                if status == 409:
                    return None
                assert status in (500, 503), (status, answer)
            self.stop.wait(0.05)
        return None


class Writers:
    """Change the evidence of tickets that are under review: still good, and not what was measured."""

    def __init__(self, fleet: Fleet, every: float) -> None:
        self.fleet = fleet
        self.every = every
        self.written = 0
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer")

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self.stop.set()
        self._thread.join()

    def _run(self) -> None:
        statement = (
            "SELECT ticket_id, r.phase_id FROM phase_gate_results r JOIN tickets t ON t.id = ticket_id "
            "WHERE gate_status = 'pending' AND title = 'good' ORDER BY random() LIMIT 1"
        )
        while not self.stop.wait(self.every):
            for ticket, phase in self.fleet.rows(statement):
                with suppress(Exception):  # the database may restart
                    self._write(ticket, Phase(phase))

    def _write(self, ticket: str, phase: Phase) -> None:
        for item in evidence(phase, good=True, run=random.randrange(10**9)):
            with self.fleet.db.single_statements() as connection:
                connection.execute(
                    """INSERT INTO phase_gate_artifacts (id, ticket_id, phase_id, artifact_type,
                           artifact_content, collected_at, collected_by)
                       VALUES (gen_random_uuid()::text, %(ticket)s, %(phase)s, %(type)s, %(content)s::jsonb,
                               clock_timestamp(), 'a writer')""",
                    {
                        "ticket": ticket,
                        "phase": phase,
                        "type": item["type"],
                        "content": json.dumps(item["content"]),
                    },
                )
        self.written += 1


@contextmanager
def at_work(fleet: Fleet, apis: Sequence[Member], *, agents: int = 3, every: float = 0.2) -> Iterator[Agents]:
    """Agents and a writer while the block runs."""
    working, writers = Agents(fleet, apis, agents), Writers(fleet, every)
    working.start()
    writers.start()
    try:
        yield working
    finally:
        writers.join()
        working.join()


def settle(fleet: Fleet, agents: Agents) -> int:
    """Wait until all tickets are where they end; returns how many reviews a person had to ask for again.

    A review that lost six processes one after the other ends, and somebody has to ask anew: with kills every
    second that happens to one of thousands.
    """
    asked, events, moved_at = 0, 0, time.monotonic()
    while left := unfinished(fleet):
        assert not agents.crashed, agents.crashed
        for review, ticket, phase in fleet.rows(_CRASHED):
            asked += ask_again(fleet, review, ticket, phase)
        if (now := fleet.rows("SELECT count(*) FROM events")[0][0]) != events:
            events, moved_at = now, time.monotonic()
        stands = time.monotonic() - moved_at
        assert stands < STILL, f"{len(left)} tickets stand still: {left[:3]}\n{stuck(fleet)}"
        time.sleep(0.3)
    fleet.until("the engine has nothing left to do", lambda: not busy(fleet))
    return asked


_CRASHED: Final = """
SELECT DISTINCT ON (ticket_id, phase_id) id, ticket_id, phase_id FROM phase_gate_results r
WHERE gate_status = 'inconclusive' AND validation_result ->> 'code' IN ('review_crashes', 'evidence_changed')
  AND followed_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM phase_gate_results later WHERE later.ticket_id = r.ticket_id
                  AND later.phase_id = r.phase_id AND later.seq > r.seq)
"""


def ask_again(fleet: Fleet, review: str, ticket: str, phase: str) -> int:
    fleet.services.requests.request(ticket, phase, Asked("a person", carry_on=True, key=f"after {review}"))
    return 1


def unfinished(fleet: Fleet) -> list[tuple[Any, ...]]:
    return fleet.rows(
        "SELECT id, title, phase_id FROM tickets WHERE phase_id NOT IN ('PHASE_DONE', 'PHASE_BLOCKED')"
    )


def busy(fleet: Fleet) -> list[tuple[Any, ...]]:
    return fleet.rows(
        "SELECT workflow_uuid, status, executor_id, queue_name FROM dbos.workflow_status "
        "WHERE status IN ('PENDING', 'ENQUEUED', 'DELAYED')"
    )


def stuck(fleet: Fleet) -> str:
    """What stands where, for a test that fails."""
    open_ = fleet.rows(
        """SELECT r.ticket_id, r.phase_id, gate_status, carry_on, followed_at, runner, takes, workflow_id,
                  attempt, waits_for, retry_at, validation_result ->> 'code',
                  (SELECT status || ' ' || coalesce(executor_id, '') FROM dbos.workflow_status
                   WHERE workflow_uuid = workflow_id)
           FROM phase_gate_results r JOIN tickets t ON t.id = r.ticket_id
           WHERE t.phase_id NOT IN ('PHASE_DONE', 'PHASE_BLOCKED') AND r.phase_id = t.phase_id
           ORDER BY seq LIMIT 5"""
    )
    tasks = fleet.rows(
        """SELECT k.ticket_id, k.phase_id, task_type, k.status, assigned_agent_id FROM tasks k
           JOIN tickets t ON t.id = k.ticket_id AND t.phase_id = k.phase_id
           WHERE t.phase_id NOT IN ('PHASE_DONE', 'PHASE_BLOCKED') LIMIT 5"""
    )
    leases = fleet.rows("SELECT * FROM worker_leases")
    return "\n".join(map(str, [*open_, *tasks, *leases, *busy(fleet)[:5]])) + fleet.last_words()
