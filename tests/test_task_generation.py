"""The specification's tests of task generation; visits, races, and templates that teams write themselves."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from omoi_os.bootstrap import Services
from omoi_os.domain.storable import MAX_TEXT
from omoi_os.domain.templates import CUT, HANDED_ON
from omoi_os.errors import NotFound, TemplateInvalid, UnknownPhase
from omoi_os.models.event import Event
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.phases import Phase
from omoi_os.models.task import Task
from omoi_os.models.task_template import TaskTemplate
from omoi_os.models.ticket import Ticket
from omoi_os.services.database import DatabaseService
from omoi_os.services.task_generator import TaskGeneratorService
from omoi_os.services.task_queue import TaskQueueService
from omoi_os.services.task_templates import PHASE_TASK_TEMPLATES

WORK = [Phase.REQUIREMENTS, Phase.DESIGN, Phase.IMPLEMENTATION, Phase.TESTING, Phase.DEPLOYMENT]
RESTING = [Phase.BACKLOG, Phase.DONE, Phase.BLOCKED]
PLAN: dict[str, Any] = {
    "task_type": "plan",
    "description_template": "Plan: {ticket_title}",
    "priority": "LOW",
}
BUILD: dict[str, Any] = {
    "task_type": "build",
    "description_template": "Build: {ticket_title}",
    "priority": "HIGH",
    "capabilities": ["building"],
    "depends_on": ["plan"],
}


@pytest.fixture
def generator(db_service: DatabaseService, task_queue_service: TaskQueueService) -> TaskGeneratorService:
    return TaskGeneratorService(db_service, task_queue_service)


def make_ticket(db: DatabaseService, phase: Phase = Phase.REQUIREMENTS, **fields: Any) -> Ticket:
    given = {"title": "Test Feature", "priority": "HIGH", **fields}
    with db.get_session() as session:
        ticket = Ticket(phase_id=phase, status="pending", **given)
        session.add(ticket)
    return ticket


def move(db: DatabaseService, ticket: Ticket, *places: Phase) -> None:
    """Move a ticket as a transition does, one place after the other."""
    for place in places:
        with db.get_session() as session:
            found = session.get_one(Ticket, ticket.id)
            session.add(PhaseHistory(ticket_id=ticket.id, from_phase=found.phase_id, to_phase=place))
            found.phase_id = place


def tasks_of(db: DatabaseService, ticket: Ticket) -> list[Task]:
    with db.get_session() as session:
        return list(session.scalars(select(Task).where(Task.ticket_id == ticket.id)))


def types(tasks: list[Task]) -> list[str]:
    return [task.task_type for task in tasks]


# The specification's tests.


def test_get_templates_for_phase() -> None:
    generator = TaskGeneratorService(None, None)
    templates = generator.get_templates_for_phase(Phase.REQUIREMENTS)
    assert len(templates) > 0
    assert all("task_type" in t for t in templates)


def test_generate_task_from_template(
    db_service: DatabaseService, task_queue_service: TaskQueueService
) -> None:
    with db_service.get_session() as session:
        ticket = Ticket(
            title="Test Feature",
            description="Test",
            phase_id=Phase.REQUIREMENTS,
            status="pending",
            priority="HIGH",
        )
        session.add(ticket)
        session.commit()
        session.refresh(ticket)
        session.expunge(ticket)

    generator = TaskGeneratorService(db_service, task_queue_service)
    template = {
        "task_type": "analyze_requirements",
        "description_template": "Analyze: {ticket_title}",
        "priority": "HIGH",
    }
    task = generator.generate_task_from_template(ticket, template)

    assert task is not None
    assert task.ticket_id == ticket.id
    assert task.description is not None
    assert "Test Feature" in task.description
    assert task.priority == "HIGH"


def test_generate_phase_tasks(db_service: DatabaseService, task_queue_service: TaskQueueService) -> None:
    with db_service.get_session() as session:
        ticket = Ticket(title="Test Feature", phase_id=Phase.REQUIREMENTS, status="pending", priority="HIGH")
        session.add(ticket)
        session.commit()
        session.refresh(ticket)
        ticket_id = ticket.id
        session.expunge(ticket)

    generator = TaskGeneratorService(db_service, task_queue_service)
    tasks = generator.generate_phase_tasks(ticket_id, Phase.REQUIREMENTS)

    assert len(tasks) >= 2
    assert all(task.ticket_id == ticket_id for task in tasks)
    assert all(task.phase_id == Phase.REQUIREMENTS for task in tasks)


def test_template_variable_substitution(
    db_service: DatabaseService, task_queue_service: TaskQueueService
) -> None:
    with db_service.get_session() as session:
        ticket = Ticket(
            title="My Special Feature", phase_id=Phase.IMPLEMENTATION, status="pending", priority="HIGH"
        )
        session.add(ticket)
        session.commit()
        session.refresh(ticket)
        session.expunge(ticket)

    generator = TaskGeneratorService(db_service, task_queue_service)
    template = {
        "task_type": "implement_feature",
        "description_template": "Implement: {ticket_title}",
        "priority": "HIGH",
    }
    task = generator.generate_task_from_template(ticket, template)

    assert task.description is not None
    assert "My Special Feature" in task.description


# What is generated.


@pytest.mark.parametrize("phase", WORK)
def test_every_work_phase_makes_one_task_per_template(
    generator: TaskGeneratorService, db_service: DatabaseService, phase: Phase
) -> None:
    ticket = make_ticket(db_service, Phase.BACKLOG, title="A ticket")
    tasks = generator.generate_phase_tasks(ticket.id, phase)
    made = [(task.task_type, task.priority, task.required_capabilities, task.description) for task in tasks]
    assert made == [
        (
            template["task_type"],
            template["priority"],
            template["capabilities"],
            template["description_template"].replace("{ticket_title}", "A ticket"),
        )
        for template in PHASE_TASK_TEMPLATES[phase]
    ]
    assert {(task.phase_id, task.status) for task in tasks} == {(phase, "pending")}


@pytest.mark.parametrize("phase", RESTING)
def test_a_phase_in_which_nothing_is_worked_on_makes_no_tasks(
    generator: TaskGeneratorService, db_service: DatabaseService, phase: Phase
) -> None:
    ticket = make_ticket(db_service, phase)
    assert generator.generate_phase_tasks(ticket.id, phase) == []
    assert generator.get_templates_for_phase(phase) == []
    assert tasks_of(db_service, ticket) == []


@pytest.mark.parametrize("phase", ["", "  ", "PHASE_PARTY", "{phase}", "\x00", "x" * 1000])
def test_an_empty_or_unknown_phase_is_an_error(
    generator: TaskGeneratorService, db_service: DatabaseService, phase: str
) -> None:
    ticket = make_ticket(db_service)
    with pytest.raises(UnknownPhase):
        generator.generate_phase_tasks(ticket.id, phase)
    with pytest.raises(UnknownPhase):
        generator.get_templates_for_phase(phase)
    with pytest.raises(UnknownPhase):
        generator.generate_task_from_template(ticket, PLAN, phase_id=phase)
    with pytest.raises(UnknownPhase):
        generator.replace_templates(phase, [PLAN])
    assert tasks_of(db_service, ticket) == []


@pytest.mark.parametrize("phase", [Phase.TESTING, Phase.DONE])
@pytest.mark.parametrize("ticket_id", ["", "nobody", "\x00", "\ud800", "x" * 5000])
def test_an_unknown_ticket_is_an_error_in_every_phase(
    generator: TaskGeneratorService, ticket_id: str, phase: Phase
) -> None:
    with pytest.raises(NotFound):
        generator.generate_phase_tasks(ticket_id, phase)


def test_tests_are_run_only_after_they_are_written(
    generator: TaskGeneratorService, task_queue_service: TaskQueueService, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service, Phase.TESTING)
    write, run = generator.generate_phase_tasks(ticket.id, Phase.TESTING)
    assert (write.dependencies, run.dependencies) == (None, {"depends_on": [write.id]})
    first = task_queue_service.claim_next_task("agent", Phase.TESTING)
    assert first is not None
    assert first.id == write.id
    assert task_queue_service.claim_next_task("agent", Phase.TESTING) is None
    task_queue_service.update_task_status(write.id, "completed")
    second = task_queue_service.claim_next_task("agent", Phase.TESTING)
    assert second is not None
    assert second.id == run.id


def test_a_single_task_takes_the_dependencies_and_the_phase_that_are_given(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service, Phase.DESIGN)
    plan = generator.generate_task_from_template(ticket, PLAN)
    build = generator.generate_task_from_template(ticket, BUILD, [plan.id], phase_id=Phase.IMPLEMENTATION)
    assert (plan.phase_id, plan.dependencies, plan.required_capabilities) == (Phase.DESIGN, None, None)
    assert (build.phase_id, build.dependencies) == (Phase.IMPLEMENTATION, {"depends_on": [plan.id]})
    assert build.required_capabilities == ["building"]


def test_a_broken_template_makes_no_task(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service)
    with pytest.raises(TemplateInvalid, match=r"'plan'.*\{titel\}"):
        generator.generate_task_from_template(ticket, PLAN | {"description_template": "{titel}"})
    assert tasks_of(db_service, ticket) == []


@pytest.mark.parametrize(
    "title",
    [
        "{ticket_description}",
        "{ticket_description.__class__}",
        "Braces { } {{ }} {0} {!r}",
        "100 % %s %(x)s",
        "Write tests for: {ticket_title}",
        "'; DROP TABLE tasks; --",
        "x" * 500,
    ],
)
def test_a_title_is_literal_text_whatever_is_in_it(
    generator: TaskGeneratorService, db_service: DatabaseService, title: str
) -> None:
    ticket = make_ticket(db_service, Phase.DESIGN, title=title, description="secret")
    (task,) = generator.generate_phase_tasks(ticket.id, Phase.DESIGN)
    assert task.description == f"Design architecture for: {title}"


def test_all_variables_come_from_the_ticket_and_the_phase_asked_for(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    every = "{ticket_title}|{ticket_description}|{ticket_priority}|{phase}"
    generator.replace_templates(Phase.TESTING, [PLAN | {"description_template": every}])
    described = make_ticket(db_service, Phase.DESIGN, title="T", description="D", priority="LOW")
    (task,) = generator.generate_phase_tasks(described.id, "testing")
    assert task.description == "T|D|LOW|PHASE_TESTING"
    bare = make_ticket(db_service, Phase.DESIGN, title="T", priority="LOW")
    (task,) = generator.generate_phase_tasks(bare.id, Phase.TESTING)
    assert task.description == "T||LOW|PHASE_TESTING"


def test_what_earlier_phases_hand_on_reaches_the_tasks_of_the_next(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service, title="T", context_summary="Decided: {phase} uses SQLite.")
    tasks = [*generator.generate_phase_tasks(ticket.id, Phase.DESIGN)]
    tasks.append(generator.generate_task_from_template(ticket, PLAN))
    for task in tasks:
        assert task.description is not None
        assert task.description.endswith(f": T\n\n{HANDED_ON}\nDecided: {{phase}} uses SQLite.")


def test_a_very_long_description_does_not_keep_a_ticket_from_getting_its_tasks(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    generator.replace_templates(Phase.DESIGN, [PLAN | {"description_template": "Do {ticket_description}"}])
    ticket = make_ticket(db_service, description="é" * MAX_TEXT, context_summary="Short.")
    (task,) = generator.generate_phase_tasks(ticket.id, Phase.DESIGN)
    assert task.description is not None
    assert len(task.description) == MAX_TEXT
    assert task.description.endswith(f"{CUT}\n\n{HANDED_ON}\nShort.")


def test_templates_that_are_handed_out_are_copies(generator: TaskGeneratorService) -> None:
    for source in (TaskGeneratorService(None, None), generator):
        handed_out = source.get_templates_for_phase("testing")
        assert handed_out == PHASE_TASK_TEMPLATES[Phase.TESTING]
        handed_out[0]["capabilities"].append("everything")
        handed_out[1]["task_type"] = "nothing"
        handed_out.clear()
        assert [item["task_type"] for item in source.get_templates_for_phase(Phase.TESTING)] == [
            "write_tests",
            "run_tests",
        ]
    assert PHASE_TASK_TEMPLATES[Phase.TESTING][0]["capabilities"] == ["testing"]


# Once per visit.


def test_generating_twice_makes_nothing_twice(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service, Phase.TESTING)
    assert len(generator.generate_phase_tasks(ticket.id, Phase.TESTING)) == 2
    assert generator.generate_phase_tasks(ticket.id, Phase.TESTING) == []
    assert len(tasks_of(db_service, ticket)) == 2


def test_tasks_made_ahead_are_not_made_again_when_the_ticket_arrives_or_has_left(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service, Phase.REQUIREMENTS)
    assert len(generator.generate_phase_tasks(ticket.id, Phase.DESIGN)) == 1
    move(db_service, ticket, Phase.DESIGN)
    assert generator.generate_phase_tasks(ticket.id, Phase.DESIGN) == []
    move(db_service, ticket, Phase.IMPLEMENTATION)
    assert generator.generate_phase_tasks(ticket.id, Phase.DESIGN) == []


def test_a_regression_makes_the_tasks_again_each_time(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service, Phase.IMPLEMENTATION)
    assert len(generator.generate_phase_tasks(ticket.id, Phase.IMPLEMENTATION)) == 1
    for _ in range(2):
        move(db_service, ticket, Phase.TESTING, Phase.IMPLEMENTATION)
        assert len(generator.generate_phase_tasks(ticket.id, Phase.IMPLEMENTATION)) == 1
        assert generator.generate_phase_tasks(ticket.id, Phase.IMPLEMENTATION) == []


def test_an_unblocked_ticket_keeps_the_tasks_that_it_has(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service, Phase.IMPLEMENTATION)
    assert len(generator.generate_phase_tasks(ticket.id, Phase.IMPLEMENTATION)) == 1
    move(db_service, ticket, Phase.BLOCKED)
    assert generator.generate_phase_tasks(ticket.id, Phase.IMPLEMENTATION) == []
    move(db_service, ticket, Phase.IMPLEMENTATION)
    assert generator.generate_phase_tasks(ticket.id, Phase.IMPLEMENTATION) == []


def test_a_template_that_is_added_later_makes_only_its_own_task_after_the_one_that_is_there(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service, Phase.DESIGN)
    generator.replace_templates(Phase.DESIGN, [PLAN])
    (plan,) = generator.generate_phase_tasks(ticket.id, Phase.DESIGN)
    generator.replace_templates(Phase.DESIGN, [BUILD, PLAN])
    (build,) = generator.generate_phase_tasks(ticket.id, Phase.DESIGN)
    assert (build.task_type, build.dependencies) == ("build", {"depends_on": [plan.id]})


def test_two_tickets_do_not_share_tasks(generator: TaskGeneratorService, db_service: DatabaseService) -> None:
    for ticket in (make_ticket(db_service), make_ticket(db_service)):
        assert len(generator.generate_phase_tasks(ticket.id, Phase.REQUIREMENTS)) == 2


@pytest.mark.parametrize("own_transactions", [True, False])
def test_of_eight_who_generate_at_once_one_makes_each_task(
    generator: TaskGeneratorService, db_service: DatabaseService, own_transactions: bool
) -> None:
    start = threading.Barrier(8)

    def generate(ticket_id: str) -> list[Task]:
        start.wait(10)
        if own_transactions:
            return generator.generate_phase_tasks(ticket_id, Phase.TESTING)
        with db_service.get_session() as session:
            return generator.generate_phase_tasks(ticket_id, Phase.TESTING, session=session)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            ticket = make_ticket(db_service, Phase.TESTING)
            made = [task for tasks in pool.map(generate, [ticket.id] * 8) for task in tasks]
            assert sorted(types(made)) == ["run_tests", "write_tests"]
            assert len(tasks_of(db_service, ticket)) == 2


def test_generation_is_a_part_of_the_callers_transaction(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service, Phase.IMPLEMENTATION)
    generator.generate_phase_tasks(ticket.id, Phase.IMPLEMENTATION)
    move(db_service, ticket, Phase.TESTING)

    def come_back_and_fail() -> None:
        with db_service.get_session() as session:
            found = session.get_one(Ticket, ticket.id)
            session.add(
                PhaseHistory(ticket_id=found.id, from_phase=found.phase_id, to_phase=Phase.IMPLEMENTATION)
            )
            found.phase_id = Phase.IMPLEMENTATION
            # The move is still pending in the session, and counts.
            assert len(generator.generate_phase_tasks(found.id, Phase.IMPLEMENTATION, session=session)) == 1
            raise LookupError

    with pytest.raises(LookupError):
        come_back_and_fail()
    assert len(tasks_of(db_service, ticket)) == 1


def test_entering_a_phase_makes_its_tasks_and_unblocking_makes_none(
    services: Services, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service, Phase.BACKLOG)
    for place in (Phase.REQUIREMENTS, Phase.BLOCKED, Phase.REQUIREMENTS):
        assert services.phases.transition_ticket(ticket.id, place, "because", "somebody")
    assert sorted(types(tasks_of(db_service, ticket))) == ["analyze_requirements", "create_requirements_doc"]


def test_a_ticket_does_not_enter_a_phase_whose_tasks_cannot_be_made(
    services: Services, db_service: DatabaseService
) -> None:
    ticket = make_ticket(db_service, Phase.BACKLOG)
    broken = {"phase_id": Phase.REQUIREMENTS, "task_type": "ask", "template_description": "{titel}"}
    with db_service.get_session() as session:
        session.execute(insert(TaskTemplate).values(**broken))
    with pytest.raises(TemplateInvalid, match="'ask'"):
        services.phases.transition_ticket(ticket.id, Phase.REQUIREMENTS, "because", "somebody")
    assert services.phases.get_current_phase(ticket.id) is Phase.BACKLOG
    assert services.phases.get_phase_history(ticket.id) == []


# Templates of a team's own.


def test_active_rows_replace_the_built_in_templates_of_their_phase_only(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    rows = generator.replace_templates("testing", [BUILD, PLAN])
    assert [(row.phase_id, row.task_type, row.is_active) for row in rows] == [
        (Phase.TESTING, "build", True),
        (Phase.TESTING, "plan", True),
    ]
    assert generator.get_templates_for_phase(Phase.TESTING) == [BUILD, PLAN | {"capabilities": []}]
    assert generator.get_templates_for_phase(Phase.DESIGN) == PHASE_TASK_TEMPLATES[Phase.DESIGN]
    ticket = make_ticket(db_service)
    build, plan = generator.generate_phase_tasks(ticket.id, Phase.TESTING)
    assert (build.task_type, build.dependencies) == ("build", {"depends_on": [plan.id]})


def test_the_last_replacement_is_in_force_until_it_is_reset(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    generator.replace_templates(Phase.DESIGN, [PLAN, BUILD])
    generator.replace_templates(Phase.DESIGN, [PLAN])
    assert [item["task_type"] for item in generator.get_templates_for_phase(Phase.DESIGN)] == ["plan"]
    generator.reset_templates(Phase.DESIGN)
    assert generator.get_templates_for_phase(Phase.DESIGN) == PHASE_TASK_TEMPLATES[Phase.DESIGN]
    with db_service.get_session() as session:
        told = session.execute(
            select(Event.event_type, Event.payload).where(Event.entity_id == Phase.DESIGN).order_by(Event.seq)
        ).all()
        assert [row.is_active for row in session.scalars(select(TaskTemplate))] == [False] * 3
    assert [tuple(row) for row in told] == [
        ("task_templates.replaced", {"task_types": ["plan", "build"]}),
        ("task_templates.replaced", {"task_types": ["plan"]}),
        ("task_templates.reset", {}),
    ]


@pytest.mark.parametrize(
    ("templates", "said"),
    [
        ([], "at least one"),
        ([PLAN, PLAN], "only one template of a task type"),
        ([BUILD], "no template 'plan'"),
        ([PLAN | {"depends_on": ["build"]}, BUILD], "plan -> build -> plan"),
        ([PLAN, {**BUILD, "description_template": "{titel}"}], r"'build'.*\{titel\}"),
        (["plan"], "task_type"),
    ],
)
def test_a_set_that_cannot_be_used_changes_nothing(
    generator: TaskGeneratorService, templates: list[Any], said: str
) -> None:
    generator.replace_templates(Phase.DESIGN, [PLAN])
    with pytest.raises(TemplateInvalid, match=said):
        generator.replace_templates(Phase.DESIGN, templates)
    assert [item["task_type"] for item in generator.get_templates_for_phase(Phase.DESIGN)] == ["plan"]


@pytest.mark.parametrize("phase", RESTING)
def test_a_phase_without_tasks_takes_no_templates(generator: TaskGeneratorService, phase: Phase) -> None:
    with pytest.raises(TemplateInvalid, match="has no tasks"):
        generator.replace_templates(phase, [PLAN])
    with pytest.raises(TemplateInvalid, match="has no tasks"):
        generator.reset_templates(phase)


def test_of_many_replacements_at_once_one_whole_set_stays(generator: TaskGeneratorService) -> None:
    start = threading.Barrier(4)

    def replace(number: int) -> None:
        start.wait(10)
        pair = [PLAN | {"task_type": f"{number}-{name}"} for name in ("a", "b")]
        generator.replace_templates(Phase.DESIGN, pair)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            list(pool.map(replace, range(4)))
            first, second = (item["task_type"] for item in generator.get_templates_for_phase(Phase.DESIGN))
            assert (first[2:], second[2:]) == ("a", "b")
            assert first[0] == second[0]


ROW: dict[str, Any] = {
    "phase_id": Phase.DESIGN,
    "task_type": "draw",
    "template_description": "Draw: {ticket_title}",
}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"dependencies_template": []},
        {"dependencies_template": {"depends_on": []}},
        {"required_capabilities": [], "default_priority": "medium", "is_active": None},
    ],
)
def test_a_row_can_be_written_in_every_form_that_the_table_allows(
    generator: TaskGeneratorService, db_service: DatabaseService, fields: dict[str, Any]
) -> None:
    with db_service.get_session() as session:
        session.add(TaskTemplate(**ROW, **fields))
    assert generator.get_templates_for_phase(Phase.DESIGN) == [
        {
            "task_type": "draw",
            "description_template": "Draw: {ticket_title}",
            "priority": "MEDIUM",
            "capabilities": [],
        }
    ]


@pytest.mark.parametrize("needed", [["draw"], {"depends_on": ["draw"]}])
def test_rows_may_depend_on_rows_of_the_same_phase(
    generator: TaskGeneratorService, db_service: DatabaseService, needed: Any
) -> None:
    with db_service.get_session() as session:
        session.add(TaskTemplate(**{**ROW, "task_type": "check"}, dependencies_template=needed))
        session.add(TaskTemplate(**ROW))
    ticket = make_ticket(db_service)
    check, draw = generator.generate_phase_tasks(ticket.id, Phase.DESIGN)
    assert check.dependencies == {"depends_on": [draw.id]}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"task_type": " "}, "task_type"),
    ({"template_description": ""}, "'draw': description_template"),
    ({"template_description": "{titel}"}, r"'draw': there is no variable \{titel\}"),
    ({"template_description": "{"}, "'draw': a single"),
    ({"default_priority": "SOON"}, "'draw': .*'SOON' is not one of"),
    ({"required_capabilities": {"drawing": True}}, "'draw': capabilities must be a list"),
    ({"required_capabilities": [1]}, "'draw': capabilities must be a list of names, and 1 is none"),
    ({"dependencies_template": {"needs": ["x"]}}, "'draw': depends_on must be a list"),
    ({"dependencies_template": {}}, "'draw': depends_on must be a list"),
    ({"dependencies_template": {"depends_on": "x"}}, "'draw': depends_on must be a list"),
    ({"dependencies_template": ["draw"]}, "'draw': depends_on: .* draw -> draw"),
]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        *BAD,
        ({"phase_id": "PHASE_PARTY"}, "there is no phase"),
        ({"phase_id": Phase.DONE}, "has no tasks"),
        ({"phase_id": "design"}, "'draw': phase_id must be PHASE_DESIGN"),
    ],
)
def test_a_bad_row_is_refused_when_it_is_written(
    db_service: DatabaseService, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises((TemplateInvalid, UnknownPhase), match=said), db_service.get_session() as session:
        session.add(TaskTemplate(**{**ROW, **fields}))
    with db_service.get_session() as session:
        session.add(TaskTemplate(**ROW))

    def change() -> None:
        with db_service.get_session() as session:
            row = session.scalars(select(TaskTemplate)).one()
            for name, value in fields.items():
                setattr(row, name, value)

    with pytest.raises((TemplateInvalid, UnknownPhase), match=said):
        change()


@pytest.mark.parametrize(("fields", "said"), BAD)
def test_a_row_that_was_broken_past_the_check_is_named_when_it_is_used(
    generator: TaskGeneratorService, db_service: DatabaseService, fields: dict[str, Any], said: str
) -> None:
    ticket = make_ticket(db_service)
    with db_service.get_session() as session:
        session.add(TaskTemplate(**{**ROW, "task_type": "good"}))
        broken = TaskTemplate(**ROW)
        session.add(broken)
    with db_service.get_session() as session:
        session.execute(update(TaskTemplate).where(TaskTemplate.id == broken.id).values(**fields))
    with pytest.raises(TemplateInvalid, match=f"row {broken.id} of task_templates .*{said}") as refused:
        generator.generate_phase_tasks(ticket.id, Phase.DESIGN)
    assert refused.value.facts["row"] == broken.id
    with pytest.raises(TemplateInvalid, match=broken.id):
        generator.get_templates_for_phase(Phase.DESIGN)
    assert tasks_of(db_service, ticket) == []
    assert len(generator.generate_phase_tasks(ticket.id, Phase.TESTING)) == 2  # other phases go on


@pytest.mark.parametrize(
    ("task_types", "needed", "said"),
    [
        (["draw", "draw"], None, "'draw': a phase can have only one"),
        (["draw"], ["plan"], "'draw': .*no template 'plan'"),
        (["a", "b"], ["a", "b"], "wait for one another"),
    ],
)
def test_rows_that_do_not_fit_together_are_an_error_when_they_are_used(
    generator: TaskGeneratorService,
    db_service: DatabaseService,
    task_types: list[str],
    needed: list[str] | None,
    said: str,
) -> None:
    with db_service.get_session() as session:
        session.execute(
            insert(TaskTemplate),
            [{**ROW, "task_type": name, "dependencies_template": needed} for name in task_types],
        )
    with pytest.raises(TemplateInvalid, match=said):
        generator.generate_phase_tasks(make_ticket(db_service).id, Phase.DESIGN)


@pytest.mark.parametrize("way_out", ["replace", "reset", "switch off"])
def test_a_broken_row_can_be_got_rid_of(
    generator: TaskGeneratorService, db_service: DatabaseService, way_out: str
) -> None:
    with db_service.get_session() as session:
        session.execute(insert(TaskTemplate).values(**ROW | {"template_description": "{titel}"}))
    if way_out == "replace":
        generator.replace_templates(Phase.DESIGN, [PLAN])
    elif way_out == "reset":
        generator.reset_templates(Phase.DESIGN)
    else:
        with db_service.get_session() as session:
            session.scalars(select(TaskTemplate)).one().is_active = False
    assert len(generator.generate_phase_tasks(make_ticket(db_service).id, Phase.DESIGN)) == 1


def test_nulls_that_another_program_wrote_stand_for_the_defaults(
    generator: TaskGeneratorService, db_service: DatabaseService
) -> None:
    with db_service.get_session() as session:
        session.execute(
            text(
                "INSERT INTO task_templates (id, phase_id, task_type, template_description, default_priority,"
                " required_capabilities, dependencies_template, is_active, created_at)"
                " VALUES (gen_random_uuid(), 'PHASE_DESIGN', 'draw', 'Draw', NULL, 'null', NULL, NULL, NULL)"
            )
        )
    (task,) = generator.generate_phase_tasks(make_ticket(db_service).id, Phase.DESIGN)
    assert (task.task_type, task.priority, task.required_capabilities) == ("draw", "MEDIUM", None)


def test_a_generator_without_a_database_says_so() -> None:
    with pytest.raises(TypeError, match="without a database"):
        TaskGeneratorService(None, None).generate_phase_tasks("x", Phase.DESIGN)
