from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from omoi_os.api.app import create_app
from omoi_os.bootstrap import Services
from omoi_os.domain.handing_on import is_empty
from omoi_os.domain.phases import Move
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.errors import NotFound, TemplateInvalid, UnknownPhase
from omoi_os.models import Event, PhaseContext, Task, TaskTemplate, Ticket
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.phases import Phase
from omoi_os.services.context_service import ContextService
from omoi_os.services.context_summarizer import ContextSummarizer
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService
from omoi_os.services.phase_service import PhaseService
from omoi_os.services.task_queue import TaskFilter
from omoi_os.utils.tokens import Tokens
from tests.command import omoi


def test_summarize_context() -> None:
    context = {"key": "value", "decisions": ["decision1"]}
    summarizer = ContextSummarizer()
    summary = summarizer.summarize_structured(context)
    assert len(summary) > 0
    assert "decision1" in summary


def test_extract_key_points_puts_decisions_first() -> None:
    context = {"notes": ["note1"], "risks": ["risk1"], "decisions": ["decision1", "decision2"]}
    assert ContextSummarizer().extract_key_points(context) == ["decision2", "decision1", "risk1", "note1"]


def test_an_empty_context_has_an_empty_summary() -> None:
    assert ContextSummarizer().summarize_structured({}) == ""
    assert ContextSummarizer().extract_key_points({}) == []


def new_ticket(db: DatabaseService, phase: str = Phase.REQUIREMENTS) -> str:
    with db.get_session() as session:
        ticket = Ticket(title="Password reset", phase_id=phase)
        session.add(ticket)
        session.flush()
        return ticket.id


def complete(
    db: DatabaseService, ticket_id: str, phase: str, result: dict[str, Any] | None, *, id_: str | None = None
) -> str:
    """A completed task, as the queue leaves it."""
    with db.get_session() as session:
        task = Task(
            ticket_id=ticket_id,
            phase_id=phase,
            task_type="work",
            status="completed",
            result=result,
            completed_at=session.scalar(select(func.clock_timestamp())),
            **({} if id_ is None else {"id": id_}),
        )
        session.add(task)
        session.flush()
        return task.id


RESULT: dict[str, Any] = {
    "summary": "The scope is agreed",
    "outputs": {"pages": 3},
    "context": {"decisions": ["Use PostgreSQL"], "risks": ["Mail may be late"], "notes": ["Ask legal"]},
    "artifacts": [{"type": "requirements_document", "path": "docs/requirements.md", "content": "x" * 900}],
}


@pytest.fixture
def contexts(db_service: DatabaseService) -> ContextService:
    return ContextService(db_service)


def test_aggregate_phase_context(contexts: ContextService, db_service: DatabaseService) -> None:
    ticket = new_ticket(db_service)
    task = complete(db_service, ticket, Phase.REQUIREMENTS, RESULT)
    context = contexts.aggregate_phase_context(ticket, Phase.REQUIREMENTS)
    assert context["phase_id"] == Phase.REQUIREMENTS
    assert context["decisions"] == ["Use PostgreSQL"]
    assert context["risks"] == ["Mail may be late"]
    assert context["notes"] == ["Ask legal"]
    assert context["summaries"] == ["The scope is agreed"]
    assert context["outputs"] == [{"pages": 3}]
    assert context["artifacts"] == [{"type": "requirements_document", "path": "docs/requirements.md"}]
    assert context["tasks"] == [task]
    assert context["sources"]["decisions"] == [task]


def test_only_completed_tasks_of_the_phase_hand_something_on(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    ticket, other = new_ticket(db_service), new_ticket(db_service)
    complete(db_service, other, Phase.REQUIREMENTS, {"summary": "of another ticket"})
    complete(db_service, ticket, Phase.DESIGN, {"summary": "of another phase"})
    with db_service.get_session() as session:
        session.add(
            Task(ticket_id=ticket, phase_id=Phase.REQUIREMENTS, task_type="open", result={"summary": "open"})
        )
    assert is_empty(contexts.aggregate_phase_context(ticket, Phase.REQUIREMENTS))


def test_a_phase_without_tasks_hands_nothing_on(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    context = contexts.aggregate_phase_context(new_ticket(db_service), Phase.TESTING)
    assert is_empty(context)
    assert context["decisions"] == []


@pytest.mark.parametrize(
    ("result", "kind", "values"),
    [
        ({"summary": ["a", ["b", ["a"]]]}, "summaries", ["b", "a"]),
        ({"summary": {"text": "a"}}, "summaries", [{"text": "a"}]),
        ({"summary": "  "}, "summaries", []),
        ({"summary": None}, "summaries", []),
        ({"outputs": "done"}, "outputs", ["done"]),
        ({"outputs": [{"a": [1, {}]}, {"a": [1, {}]}]}, "outputs", [{"a": [1, {}]}]),
        ({"outputs": 0}, "outputs", [0]),
        ({"context": "a note"}, "notes", ["a note"]),
        ({"context": ["a", "b"]}, "notes", ["a", "b"]),
        ({"context": {"notes": {"k": "v"}}}, "notes", [{"k": "v"}]),
        ({"context": {"constraint": "no cloud"}}, "notes", [{"constraint": "no cloud"}]),
        ({"context": {"decisions": [["x", "y"], "x"]}}, "decisions", ["y", "x"]),
        ({"decisions": ["beside the context"]}, "decisions", ["beside the context"]),
        ({"artifacts": "docs/a.md"}, "artifacts", ["docs/a.md"]),
        (
            {"artifacts": {"design_document": "docs/d.md"}},
            "artifacts",
            [{"type": "design_document", "path": "docs/d.md"}],
        ),
        ({"artifacts": {"test_results": {"report": "<x/>"}}}, "artifacts", [{"type": "test_results"}]),
        ({"artifacts": [["a.md"], {"type": "t", "content": "long"}]}, "artifacts", ["a.md", {"type": "t"}]),
        ({"artifacts": 7}, "artifacts", [7]),
        (
            {"artifacts": {"type": "design_document", "path": "docs/d.md", "content": "long"}},
            "artifacts",
            [{"type": "design_document", "path": "docs/d.md"}],
        ),
        (
            {"artifacts": {"artifact_type": "design_document", "artifact_path": "docs/d.md"}},
            "artifacts",
            [{"artifact_type": "design_document", "artifact_path": "docs/d.md"}],
        ),
        (
            {"artifacts": {"design_document": {"path": "docs/d.md", "content": "long"}}},
            "artifacts",
            [{"type": "design_document", "path": "docs/d.md"}],
        ),
        (
            {"artifacts": {"design_document": {"type": "markdown", "path": "docs/d.md"}}},
            "artifacts",
            [{"artifact_type": "design_document", "type": "markdown", "path": "docs/d.md"}],
        ),
        (
            {"artifacts": {"t": ["a.md", ["b.md"]], "none": []}},
            "artifacts",
            [{"type": "t", "path": "a.md"}, {"type": "t", "path": "b.md"}, {"type": "none"}],
        ),
        ({}, "decisions", []),
    ],
)
def test_results_of_any_shape_are_gathered(
    contexts: ContextService,
    db_service: DatabaseService,
    result: dict[str, Any],
    kind: str,
    values: list[Any],
) -> None:
    ticket = new_ticket(db_service)
    complete(db_service, ticket, Phase.REQUIREMENTS, result)
    assert contexts.aggregate_phase_context(ticket, Phase.REQUIREMENTS)[kind] == values


def test_values_stand_where_they_were_said_last(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service)
    first = complete(db_service, ticket, Phase.DESIGN, {"decisions": ["z", {"a": 1, "b": 2}, "y"]}, id_="zz")
    second = complete(db_service, ticket, Phase.DESIGN, {"decisions": [{"b": 2, "a": 1}, "a", "z"]}, id_="aa")
    context = contexts.aggregate_phase_context(ticket, Phase.DESIGN)
    assert context["decisions"] == ["y", {"a": 1, "b": 2}, "a", "z"]
    assert context["sources"]["decisions"] == [first, second, second, second]


def test_what_the_gate_found_is_handed_on(contexts: ContextService, db_service: DatabaseService) -> None:
    ticket = new_ticket(db_service)
    PhaseGateService(db_service).validate_gate(ticket, Phase.REQUIREMENTS)
    context = contexts.aggregate_phase_context(ticket, Phase.REQUIREMENTS)
    assert context["gate_status"] == "failed"
    assert any("requirements_document" in reason for reason in context["blocking_reasons"])
    assert "requirements_document" in contexts.summarize_context({"phases": {Phase.REQUIREMENTS: context}})


def test_huge_results_are_bounded_and_what_is_left_out_is_counted(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service)
    notes = [f"note {number}" for number in range(1500)]
    complete(db_service, ticket, Phase.DESIGN, {"summary": "x" * 100_000, "context": {"notes": notes}})
    context = contexts.aggregate_phase_context(ticket, Phase.DESIGN)
    assert len(context["summaries"][0]) < 21_000
    assert "more characters" in context["summaries"][0]
    assert (len(context["notes"]), context["left_out"]) == (1000, 500)


def test_a_phase_that_hands_on_very_much_is_merged_within_what_a_row_can_hold(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service)
    complete(db_service, ticket, Phase.DESIGN, {"decisions": ["kept"], "risks": ["late"]})
    for number in range(6):
        outputs = [f"{number} {place} {'设计 output ' * 1_500}" for place in range(100)]
        complete(db_service, ticket, Phase.REQUIREMENTS, {"outputs": outputs, "decisions": [f"d{number}"]})
    assert contexts.update_ticket_context(ticket, Phase.DESIGN)
    assert contexts.update_ticket_context(ticket, Phase.REQUIREMENTS)
    assert not contexts.update_ticket_context(ticket, Phase.REQUIREMENTS)
    context, summary = contexts.get_ticket_context(ticket)
    of_phase = context["phases"][Phase.REQUIREMENTS]
    assert of_phase["decisions"] == [f"d{number}" for number in range(6)]
    assert 0 < len(of_phase["outputs"]) < 100
    assert of_phase["left_out"] == 600 - len(of_phase["outputs"])
    lines = (summary or "").splitlines()
    assert all(any(word in line for line in lines[:7]) for word in ("d0", "d5", "kept"))
    found = re.fullmatch(r"\(left out: at least ([\d,]+) of ([\d,]+) items; .*", lines[-1])
    assert found
    assert int(found[2]) == 8 + 600
    tokens = len(tiktoken.get_encoding("o200k_base").encode_ordinary(summary or ""))
    assert 1960 <= tokens <= 2000


def test_the_judges_feedback_is_handed_on(contexts: ContextService, db_service: DatabaseService) -> None:
    ticket = new_ticket(db_service)
    with db_service.get_session() as session:
        session.add(
            PhaseGateResult(
                ticket_id=ticket,
                phase_id=Phase.DESIGN,
                gate_status="failed",
                validation_result={"feedback": "bounded: nobody says what is left out."},
                blocking_reasons=["The judge found: bounded is not met."],
            )
        )
    assert contexts.update_ticket_context(ticket, Phase.DESIGN)
    context, summary = contexts.get_ticket_context(ticket)
    assert context["phases"][Phase.DESIGN]["feedback"] == "bounded: nobody says what is left out."
    assert (summary or "").splitlines() == [
        "- blocking (design): The judge found: bounded is not met.",
        "- outcome (design): bounded: nobody says what is left out.",
    ]


def test_get_context_for_phase(contexts: ContextService, db_service: DatabaseService) -> None:
    ticket = new_ticket(db_service, Phase.IMPLEMENTATION)
    for phase in (Phase.REQUIREMENTS, Phase.DESIGN, Phase.IMPLEMENTATION, Phase.TESTING):
        complete(db_service, ticket, phase, {"decisions": [f"in {phase}"]})
    context = contexts.get_context_for_phase(ticket, Phase.IMPLEMENTATION)
    assert list(context["phases"]) == [Phase.REQUIREMENTS, Phase.DESIGN]
    assert context["phases"][Phase.DESIGN]["decisions"] == [f"in {Phase.DESIGN}"]
    assert contexts.get_context_for_phase(ticket, Phase.BACKLOG)["phases"] == {}
    assert len(contexts.get_context_for_phase(ticket, Phase.DONE)["phases"]) == 4


def test_of_a_phase_that_was_visited_twice_the_newest_visit_wins_and_the_older_one_is_noted(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service, Phase.IMPLEMENTATION)
    phases = PhaseService(db_service)
    old = complete(db_service, ticket, Phase.IMPLEMENTATION, {"decisions": ["one lock"]})
    phases.move(ticket, Move(Phase.TESTING, "test", "operator", force=True))
    phases.move(ticket, Move(Phase.IMPLEMENTATION, "regression", "operator"))
    phases.move(ticket, Move(Phase.BLOCKED, "wait", "operator"))
    phases.move(ticket, Move(Phase.IMPLEMENTATION, "go on", "operator"))  # the same visit goes on
    complete(db_service, ticket, Phase.IMPLEMENTATION, {"decisions": ["no lock"]})
    context = contexts.get_context_for_phase(ticket, Phase.TESTING)["phases"][Phase.IMPLEMENTATION]
    assert context["decisions"] == ["no lock"]
    assert (context["visit"], context["earlier_visits"]) == (2, [{"visit": 1, "tasks": [old]}])
    summary = contexts.summarize_context({"phases": {Phase.IMPLEMENTATION: context}})
    assert "- note (implementation): this is of visit 2;" in summary


def test_a_ticket_that_comes_back_by_way_of_blocked_is_there_again(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service, Phase.IMPLEMENTATION)
    phases = PhaseService(db_service)
    decided(db_service, ticket, Phase.IMPLEMENTATION, "old impl")
    for place in (Phase.BLOCKED, Phase.IMPLEMENTATION):  # the same visit goes on
        phases.move(ticket, Move(place, "wait", "operator", force=True))
    decided(db_service, ticket, Phase.IMPLEMENTATION, "more of it")
    context = contexts.aggregate_phase_context(ticket, Phase.IMPLEMENTATION)
    assert (context["decisions"], "visit" in context) == (["old impl", "more of it"], False)
    for place in (Phase.TESTING, Phase.BLOCKED, Phase.IMPLEMENTATION):
        phases.move(ticket, Move(place, "on", "operator", force=True))
    decided(db_service, ticket, Phase.IMPLEMENTATION, "new impl")
    context = contexts.aggregate_phase_context(ticket, Phase.IMPLEMENTATION)
    assert (context["decisions"], context["visit"]) == (["new impl"], 2)


def test_what_the_gate_said_of_an_earlier_visit_is_not_handed_on(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service, Phase.IMPLEMENTATION)
    phases = PhaseService(db_service)
    decided(db_service, ticket, Phase.IMPLEMENTATION, "old impl")
    PhaseGateService(db_service).validate_gate(ticket, Phase.IMPLEMENTATION)
    phases.move(ticket, Move(Phase.TESTING, "on", "operator", force=True))
    phases.move(ticket, Move(Phase.IMPLEMENTATION, "regression", "operator"))
    before = contexts.aggregate_phase_context(ticket, Phase.IMPLEMENTATION)
    assert before["blocking_reasons"]  # nothing was done since
    decided(db_service, ticket, Phase.IMPLEMENTATION, "new impl")
    context = contexts.aggregate_phase_context(ticket, Phase.IMPLEMENTATION)
    assert (context["decisions"], context["visit"]) == (["new impl"], 2)
    assert (context["gate_status"], context["blocking_reasons"]) == (None, [])
    PhaseGateService(db_service).validate_gate(ticket, Phase.IMPLEMENTATION)
    assert contexts.aggregate_phase_context(ticket, Phase.IMPLEMENTATION)["blocking_reasons"]


def test_a_verdict_without_a_time_does_not_stand_before_those_that_have_one(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service)
    with db_service.get_session() as session:
        session.add(PhaseGateResult(ticket_id=ticket, phase_id=Phase.DESIGN, gate_status="failed"))
        session.flush()
        session.execute(update(PhaseGateResult).values(validated_at=None))
    PhaseGateService(db_service).validate_gate(ticket, Phase.DESIGN)
    assert contexts.aggregate_phase_context(ticket, Phase.DESIGN)["blocking_reasons"]


def test_update_ticket_context(contexts: ContextService, db_service: DatabaseService) -> None:
    ticket = new_ticket(db_service)
    task = complete(db_service, ticket, Phase.REQUIREMENTS, RESULT)
    assert contexts.update_ticket_context(ticket, Phase.REQUIREMENTS)
    context, summary = contexts.get_ticket_context(ticket)
    assert context["phases"][Phase.REQUIREMENTS]["decisions"] == ["Use PostgreSQL"]
    assert summary is not None
    assert "Use PostgreSQL" in summary
    assert task in summary  # a reader can follow it
    with db_service.get_session() as session:
        row = session.scalars(select(PhaseContext)).one()
        assert (row.ticket_id, row.phase_id) == (ticket, Phase.REQUIREMENTS)
        assert row.context_data["decisions"] == ["Use PostgreSQL"]
        assert "Use PostgreSQL" in (row.context_summary or "")


def test_updating_twice_changes_nothing(contexts: ContextService, db_service: DatabaseService) -> None:
    ticket = new_ticket(db_service)
    complete(db_service, ticket, Phase.REQUIREMENTS, RESULT)
    assert contexts.update_ticket_context(ticket, Phase.REQUIREMENTS)
    before = contexts.get_ticket_context(ticket)
    assert not contexts.update_ticket_context(ticket, Phase.REQUIREMENTS)
    assert contexts.get_ticket_context(ticket) == before
    with db_service.get_session() as session:
        assert session.scalar(select(func.count()).select_from(PhaseContext)) == 1
        told = select(func.count()).where(Event.event_type == "ticket.context_updated")
        assert session.scalar(told) == 1


def test_a_phase_with_nothing_to_say_leaves_the_context_alone(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service)
    assert not contexts.update_ticket_context(ticket, Phase.REQUIREMENTS)
    assert contexts.get_ticket_context(ticket) == ({}, None)


def test_what_somebody_else_keeps_in_the_context_stays(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service)
    with db_service.get_session() as session:
        session.get_one(Ticket, ticket).context = {"customer": "ACME", "phases": "not ours"}
    complete(db_service, ticket, Phase.DESIGN, RESULT)
    contexts.update_ticket_context(ticket, Phase.DESIGN)
    context, _ = contexts.get_ticket_context(ticket)
    assert context["customer"] == "ACME"
    assert list(context["phases"]) == [Phase.DESIGN]


def test_updates_of_two_phases_at_the_same_moment_both_survive(
    contexts: ContextService, db_service: DatabaseService
) -> None:
    phases = [Phase.REQUIREMENTS, Phase.DESIGN, Phase.IMPLEMENTATION, Phase.TESTING]
    for _ in range(5):
        ticket = new_ticket(db_service)
        for phase in phases:
            complete(db_service, ticket, phase, {"decisions": [f"in {phase}"]})
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda phase, of=ticket: contexts.update_ticket_context(of, phase), phases * 2))
        context, summary = contexts.get_ticket_context(ticket)
        assert set(context["phases"]) == set(phases)
        assert all(f"in {phase}" in (summary or "") for phase in phases)


@pytest.mark.parametrize("ticket_id", ["nobody", "", "\x00", "x" * 500])
def test_an_unknown_ticket_is_an_error(contexts: ContextService, ticket_id: str) -> None:
    for ask in (
        lambda: contexts.aggregate_phase_context(ticket_id, Phase.DESIGN),
        lambda: contexts.get_context_for_phase(ticket_id, Phase.DESIGN),
        lambda: contexts.update_ticket_context(ticket_id, Phase.DESIGN),
        lambda: contexts.get_ticket_context(ticket_id),
    ):
        with pytest.raises(NotFound):
            ask()


def test_an_unknown_phase_is_an_error(contexts: ContextService, db_service: DatabaseService) -> None:
    ticket = new_ticket(db_service)
    for ask in (
        contexts.aggregate_phase_context,
        contexts.get_context_for_phase,
        contexts.update_ticket_context,
    ):
        with pytest.raises(UnknownPhase):
            ask(ticket, "PHASE_NOWHERE")


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    with TestClient(create_app(services), base_url="http://localhost") as made:
        yield made


def test_context_is_updated_and_read_over_http(client: TestClient, db_service: DatabaseService) -> None:
    ticket = new_ticket(db_service)
    complete(db_service, ticket, Phase.REQUIREMENTS, RESULT)
    url = f"/api/v1/tickets/{ticket}"
    assert client.get(f"{url}/context").json() == {"ticket_id": ticket, "full_context": {}, "summary": None}
    assert client.post(f"{url}/update-context").json() == {"status": "updated", "changed": True}
    given = {"phase_id": "PHASE_REQUIREMENTS"}
    assert client.post(f"{url}/update-context", params=given).json()["changed"] is False
    said = client.get(f"{url}/context").json()
    assert said["full_context"]["phases"][Phase.REQUIREMENTS]["risks"] == ["Mail may be late"]
    assert "Use PostgreSQL" in said["summary"]
    for most in (0, 30, 60, 10_000):
        short = client.get(f"{url}/context", params={"max_tokens": most}).json()["summary"]
        assert Tokens().count(short) <= most
        assert bool(short) is bool(most)
    assert short == said["summary"]
    later = client.get(f"{url}/context", params={"for_phase": "design"}).json()
    assert later["full_context"]["target_phase"] == Phase.DESIGN
    assert "Use PostgreSQL" in later["summary"]
    earlier = client.get(f"{url}/context", params={"for_phase": "requirements"}).json()
    assert (earlier["full_context"]["phases"], earlier["summary"]) == ({}, "")


def test_of_a_blocked_ticket_the_phase_that_it_came_from_is_updated(
    client: TestClient, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service, Phase.DESIGN)
    PhaseService(db_service).move(ticket, Move(Phase.BLOCKED, "wait", "operator"))
    decided(db_service, ticket, Phase.DESIGN, "while it waited")
    answer = client.post(f"/api/v1/tickets/{ticket}/update-context").json()
    assert answer == {"status": "updated", "changed": True}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nobody/context", 404),
        ("GET", "nobody/context?for_phase=design", 404),
        ("POST", "nobody/update-context", 404),
        ("POST", "nobody/update-context?phase_id=nowhere", 422),
        ("GET", "nobody/context?max_tokens=-1", 422),
    ],
)
def test_what_cannot_be_answered_is_a_problem(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, f"/api/v1/tickets/{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_leaving_a_phase_hands_its_context_to_the_tasks_of_the_next(
    services: Services, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service)
    complete(db_service, ticket, Phase.REQUIREMENTS, RESULT)
    services.phases.move(ticket, Move(Phase.DESIGN, "demo", "operator", force=True))
    context, summary = services.contexts.get_ticket_context(ticket)
    assert list(context["phases"]) == [Phase.REQUIREMENTS]
    assert summary is not None
    made = services.queue.list_tasks(TaskFilter(ticket_id=ticket, phase_id=Phase.DESIGN)).tasks
    assert made[0].description is not None
    assert "What earlier phases hand on:" in made[0].description
    assert "Use PostgreSQL" in made[0].description


def test_a_move_that_is_rolled_back_leaves_the_context_as_it_was(
    services: Services, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service)
    complete(db_service, ticket, Phase.REQUIREMENTS, RESULT)
    with db_service.get_session() as session:
        broken = TaskTemplate(phase_id=Phase.DESIGN, task_type="x", template_description="x")
        session.add(broken)
        session.flush()
        session.execute(update(TaskTemplate).values(template_description="{nobody}"))
    with pytest.raises(TemplateInvalid):
        services.phases.move(ticket, Move(Phase.DESIGN, "demo", "operator", force=True))
    assert services.contexts.get_ticket_context(ticket) == ({}, None)


def decided(db: DatabaseService, ticket_id: str, phase: Phase, decision: str) -> None:
    complete(db, ticket_id, phase, {"decisions": [decision]})


def told_to(services: Services, ticket_id: str, phase: Phase) -> str:
    """What the newest task of a phase is told of earlier phases."""
    tasks = services.queue.list_tasks(TaskFilter(ticket_id=ticket_id, phase_id=phase)).tasks
    description = max(tasks, key=attrgetter("created_at")).description or ""
    return description.partition("What earlier phases hand on:\n")[2]


def test_tasks_are_told_what_earlier_phases_hand_on_and_nothing_of_later_or_older_visits(
    services: Services, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service, Phase.IMPLEMENTATION)
    decided(db_service, ticket, Phase.IMPLEMENTATION, "OLD impl")
    services.phases.move(ticket, Move(Phase.TESTING, "on", "operator", force=True))
    decided(db_service, ticket, Phase.TESTING, "OLD testing: lock is wrong")
    services.phases.move(ticket, Move(Phase.IMPLEMENTATION, "regression", "operator"))
    decided(db_service, ticket, Phase.IMPLEMENTATION, "NEW impl: no lock")
    services.phases.move(ticket, Move(Phase.TESTING, "on", "operator", force=True))
    told = told_to(services, ticket, Phase.TESTING)
    assert "NEW impl: no lock" in told
    assert "OLD" not in told
    judged = services.contexts.get_context_for_phase(ticket, Phase.TESTING)
    assert told == services.contexts.summarize_context(judged)


def test_a_ticket_that_goes_far_back_tells_its_tasks_nothing_of_what_it_went_back_over(
    services: Services, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service, Phase.DESIGN)
    for phase, after in ((Phase.DESIGN, Phase.IMPLEMENTATION), (Phase.IMPLEMENTATION, Phase.TESTING)):
        decided(db_service, ticket, phase, f"OLD {phase}")
        services.phases.move(ticket, Move(after, "on", "operator", force=True))
    services.phases.move(ticket, Move(Phase.REQUIREMENTS, "back", "operator", force=True))
    assert told_to(services, ticket, Phase.REQUIREMENTS) == ""
    decided(db_service, ticket, Phase.REQUIREMENTS, "NEW scope")
    services.phases.move(ticket, Move(Phase.DESIGN, "on", "operator", force=True))
    told = told_to(services, ticket, Phase.DESIGN)
    assert "NEW scope" in told
    assert "OLD" not in told
    template = {"task_type": "extra", "description_template": "More"}
    with db_service.get_session() as session:
        held = session.get_one(Ticket, ticket)
    extra = services.generator.generate_task_from_template(held, template, phase_id=Phase.REQUIREMENTS)
    assert extra.description == "More"


@pytest.fixture
def shown(
    contexts: ContextService, db_service: DatabaseService, postgres: EmbeddedPostgres, tmp_path: Path
) -> Callable[..., str]:
    """What `omoi ticket context` prints of a decision that requirements made."""
    environment = {"OMOI_DATABASE_URL": postgres.ensure(), "OMOI_HOME": str(tmp_path / "home")}

    def show(decision: str, *options: str) -> str:
        ticket = new_ticket(db_service)
        decided(db_service, ticket, Phase.REQUIREMENTS, decision)
        contexts.update_ticket_context(ticket, Phase.REQUIREMENTS)
        done = omoi("ticket", "context", ticket, *options, cwd=tmp_path, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return show


@pytest.mark.parametrize(
    ("decision", "as_it_is"),
    [
        ("👩\u200d👩\u200d👧 " * 400, True),
        ("می\u200cکنم " * 400, True),
        ("a\ue000\u0600\U0001d173 " * 400, False),
    ],
)
def test_what_is_printed_is_within_its_tokens_and_safe_for_a_terminal(
    shown: Callable[..., str], decision: str, as_it_is: bool
) -> None:
    for options in (["--for-phase", "design", "--max-tokens", "300"], ["--max-tokens", "300"]):
        printed = shown(decision, *options)
        assert 100 < Tokens().count(printed) <= 300
        assert (decision[:20] in printed) is as_it_is
        assert all(letter.isprintable() or letter in "\u200c\u200d\n" for letter in printed)


def test_a_context_that_does_not_fit_is_not_called_empty(shown: Callable[..., str]) -> None:
    assert shown("Use PostgreSQL", "--max-tokens", "0") == "Nothing fits into 0 tokens.\n"
    assert shown("Use PostgreSQL", "--for-phase", "design", "--max-tokens", "0").startswith("Nothing fits")
    assert shown("Use PostgreSQL", "--for-phase", "requirements") == "Nothing was handed on yet.\n"
    assert "Use PostgreSQL" in shown("Use PostgreSQL", "--for-phase", "design")
