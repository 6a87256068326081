"""Ways to a pass that is not deserved, and ways to break a gate for everybody: each was found once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from omoi_os.bootstrap import Services
from omoi_os.domain.claims import Claims
from omoi_os.domain.evidence import CoverageFacts, FileCoverage
from omoi_os.domain.policy import built_in_policy
from omoi_os.domain.verdict import Finding, Outcome, decide
from omoi_os.errors import InvalidInput, NotFound, TextTooLong
from omoi_os.evidence import memory
from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.phases import Phase
from omoi_os.models.task import Task
from omoi_os.models.ticket import Ticket
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService, ReviewTerms
from omoi_os.services.review import ReviewRequest
from omoi_os.services.tickets import NewArtifact, NewTicket
from omoi_os.store import gates
from tests.evidence_texts import CODE, DOCUMENTATION, REQUIREMENTS, TESTS, junit, lcov
from tests.repository import commit, repository

PASS = {"type": "test_results", "content": {"report": junit(passed=3)}}
FAIL = {"type": "test_results", "content": {"report": junit(passed=3, failed=1)}}
EVIDENCE = {"type": "test_evidence", "content": {"log": "3 passed"}}

type AddTask = Callable[..., str]


@pytest.fixture
def ticket(services: Services) -> str:
    return services.tickets.create(NewTicket("Reset", phase_id=Phase.TESTING)).id


@pytest.fixture
def add_task(db_service: DatabaseService, ticket: str) -> AddTask:
    def add(*artifacts: dict[str, Any], **more: Any) -> str:
        with db_service.get_session() as session:
            task = Task(
                ticket_id=ticket,
                phase_id=Phase.TESTING,
                task_type="run_tests",
                status="completed",
                result={"artifacts": list(artifacts)},
                **more,
            )
            session.add(task)
            session.flush()
            return task.id

    return add


def touch(db: DatabaseService, task_id: str, note: str) -> None:
    with db.get_session() as session:
        task = session.get_one(Task, task_id)
        task.result = {**(task.result or {}), "note": note}


def status(gates: PhaseGateService, ticket: str, phase: str = Phase.TESTING) -> str:
    return gates.validate_gate(ticket, phase).gate_status


def codes(result: PhaseGateResult) -> set[str]:
    return {finding["code"] for finding in (result.validation_result or {})["findings"]}


# Collecting


def test_touching_an_old_result_does_not_bring_its_artifacts_back(
    gate_service: PhaseGateService, db_service: DatabaseService, ticket: str, add_task: AddTask
) -> None:
    old = add_task(PASS, EVIDENCE)
    assert status(gate_service, ticket) == "passed"
    add_task(FAIL)
    assert status(gate_service, ticket) == "failed"
    for round_ in range(3):
        touch(db_service, old, f"tokens used: {round_}")
        assert status(gate_service, ticket) == "failed"
    with db_service.get_session() as session:
        assert session.scalar(select(func.count()).select_from(PhaseGateArtifact)) == 3


def test_touching_a_result_with_two_entries_of_a_type_keeps_the_last_one(
    gate_service: PhaseGateService, db_service: DatabaseService, ticket: str, add_task: AddTask
) -> None:
    task = add_task(EVIDENCE, PASS, FAIL)
    assert status(gate_service, ticket) == "failed"
    touch(db_service, task, "x")
    assert status(gate_service, ticket) == "failed"


def test_a_workers_clock_cannot_hide_a_failure_behind_a_pass(
    gate_service: PhaseGateService, db_service: DatabaseService, ticket: str, add_task: AddTask
) -> None:
    add_task(PASS, EVIDENCE)
    assert status(gate_service, ticket) == "passed"
    with db_service.get_session() as session:
        earlier = session.scalars(select(func.now() - text("interval '1 day'"))).one()
    add_task(FAIL, completed_at=earlier)
    assert status(gate_service, ticket) == "failed"


def test_an_entry_with_nothing_in_it_does_not_replace_evidence(
    gate_service: PhaseGateService, ticket: str, add_task: AddTask
) -> None:
    add_task(PASS, EVIDENCE)
    add_task(
        {"type": "test_results"},
        {"type": "test_results", "content": ["3 failures"]},
        {"type": "test_results", "path": ""},
    )
    assert status(gate_service, ticket) == "passed"


def test_a_result_may_hold_no_more_artifacts_than_a_person_would_read(
    gate_service: PhaseGateService, ticket: str, add_task: AddTask
) -> None:
    add_task(*({"type": f"note_{number}", "content": "x"} for number in range(1500)))
    assert len(gate_service.collect_artifacts(ticket, Phase.TESTING)) == 1000


def test_collectors_at_the_same_moment_collect_once(
    gate_service: PhaseGateService, db_service: DatabaseService, ticket: str, add_task: AddTask
) -> None:
    for _ in range(20):
        add_task(PASS, EVIDENCE)
    threads = [
        threading.Thread(target=gate_service.validate_gate, args=(ticket, Phase.TESTING)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db_service.get_session() as session:
        assert session.scalar(select(func.count()).select_from(PhaseGateArtifact)) == 40


def test_a_collector_waits_for_another_and_then_finds_nothing(
    gate_service: PhaseGateService, db_service: DatabaseService, ticket: str, add_task: AddTask
) -> None:
    add_task(PASS, EVIDENCE)
    collected: list[int] = []

    def second() -> None:
        collected.append(len(gate_service.collect_artifacts(ticket, Phase.TESTING)))

    with db_service.get_session() as session:
        first = gate_service.collect_artifacts(ticket, Phase.TESTING, session=session)
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "the second collector did not wait"
    thread.join()
    assert (len(first), collected) == (2, [0])


def test_an_inconclusive_gate_lets_nothing_through(
    gate_service: PhaseGateService, ticket: str, add_task: AddTask
) -> None:
    add_task({"type": "test_results", "content": {"all_passed": True}}, EVIDENCE)
    allowed, reasons = gate_service.can_transition(ticket, Phase.DEPLOYMENT)
    assert allowed is False
    assert "only claims" in reasons[0]


# Measuring


def test_a_contradictory_report_does_not_become_clean_when_it_is_named_twice(
    gate_service: PhaseGateService, services: Services, workspace: Path
) -> None:
    contradictory = lcov(95, 100).replace("LH:95", "LH:10")
    (workspace / "a.info").write_text(contradictory)
    (workspace / "b.info").write_text(contradictory)
    new = NewTicket("x", phase_id=Phase.IMPLEMENTATION, workspace=workspace)
    ticket = services.tickets.create(new).id
    for paths in (["a.info"], ["a.info", "a.info"], ["a.info", "b.info"]):
        services.tickets.add_artifact(
            ticket, NewArtifact("test_coverage", content={"paths": paths}), collected_by="worker"
        )
        result = gate_service.validate_gate(ticket, Phase.IMPLEMENTATION)
        found = [
            f
            for f in (result.validation_result or {})["findings"]
            if f["criterion"].endswith("min_percentage")
        ]
        assert [f["outcome"] for f in found] == ["unknown"]


@pytest.mark.parametrize(
    "content",
    [
        {"done": True},
        {"x": 0},
        {"test_evidence": False},
        {"content": " "},
        {"length": 600},
        {"paths": ["nope.md"]},
        {"list": [None, [], {"a": "\n"}]},
    ],
)
def test_claims_do_not_count_as_being_there(
    gate_service: PhaseGateService, ticket: str, add_task: AddTask, content: dict[str, Any]
) -> None:
    add_task(PASS, {"type": "test_evidence", "content": content})
    assert status(gate_service, ticket) == "inconclusive"


def test_a_file_of_white_space_is_not_evidence(
    gate_service: PhaseGateService, services: Services, workspace: Path, add_task: AddTask, ticket: str
) -> None:
    (workspace / "log.txt").write_text("\n \n")
    with services.db.get_session() as session:
        session.get_one(Ticket, ticket).workspace_path = str(workspace.resolve())
    add_task(PASS, {"type": "test_evidence", "path": "log.txt"})
    assert status(gate_service, ticket) == "inconclusive"


@pytest.mark.parametrize("given", [{"base": "HEAD~1"}, {"diff": CODE + TESTS}, {"diff": DOCUMENTATION}])
def test_the_worker_does_not_choose_what_is_compared(
    gate_service: PhaseGateService, services: Services, workspace: Path, given: dict[str, Any]
) -> None:
    repository(workspace, {"src/a.py": "x = 1\n"})
    commit(workspace, {"src/a.py": "x = 2\n"}, branch="work")
    commit(workspace, {"README.md": "text\n"})
    (workspace / "lcov.info").write_text(lcov(9, 10, "src/a.py"))
    new = NewTicket("x", phase_id=Phase.IMPLEMENTATION, workspace=workspace)
    ticket = services.tickets.create(new).id
    for type_, content in (("code_changes", given), ("test_coverage", {"paths": ["lcov.info"]})):
        services.tickets.add_artifact(ticket, NewArtifact(type_, content=content), collected_by="worker")
    assert "code_without_tests" in codes(gate_service.validate_gate(ticket, Phase.IMPLEMENTATION))


def test_a_diff_counts_where_there_is_no_repository_and_the_lack_of_both_is_told(
    gate_service: PhaseGateService, services: Services, workspace: Path
) -> None:
    new = NewTicket("x", phase_id=Phase.IMPLEMENTATION, workspace=workspace)
    ticket = services.tickets.create(new).id
    for content, code in (({"diff": CODE + TESTS}, "code_with_tests"), ({"x": 1}, "evidence_no_repository")):
        services.tickets.add_artifact(ticket, NewArtifact("code_changes", content=content), collected_by="w")
        assert code in codes(gate_service.validate_gate(ticket, Phase.IMPLEMENTATION))


def test_a_report_that_mentions_none_of_the_changed_code_proves_nothing(
    gate_service: PhaseGateService, services: Services
) -> None:
    ticket = services.tickets.create(NewTicket("x", phase_id=Phase.IMPLEMENTATION)).id
    for type_, content in (
        ("code_changes", {"diff": CODE + TESTS}),
        ("test_coverage", {"report": lcov(9, 10, "other.py")}),
    ):
        services.tickets.add_artifact(ticket, NewArtifact(type_, content=content), collected_by="worker")
    result = gate_service.validate_gate(ticket, Phase.IMPLEMENTATION)
    assert "changed_code_not_reported" in codes(result)
    assert result.gate_status != "passed"


def test_a_workspace_that_was_replaced_by_a_link_is_not_read(
    gate_service: PhaseGateService, services: Services, tmp_path: Path
) -> None:
    (tmp_path / "work" / "sub").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "requirements.md").write_text(REQUIREMENTS)
    new = NewTicket("x", phase_id=Phase.REQUIREMENTS, workspace=tmp_path / "work" / "sub")
    ticket = services.tickets.create(new).id
    services.tickets.add_artifact(
        ticket, NewArtifact("requirements_document", path="requirements.md"), collected_by="worker"
    )
    (tmp_path / "work" / "sub").rmdir()
    (tmp_path / "work" / "sub").symlink_to(tmp_path / "secret")
    assert "evidence_no_workspace" in codes(gate_service.validate_gate(ticket, Phase.REQUIREMENTS))
    (tmp_path / "work" / "sub").unlink()
    (tmp_path / "work").rmdir()
    (tmp_path / "secret" / "sub").mkdir()
    (tmp_path / "work").symlink_to(tmp_path / "secret")
    assert "evidence_no_workspace" in codes(gate_service.validate_gate(ticket, Phase.REQUIREMENTS))


def test_one_failing_report_is_known_whatever_another_says(
    gate_service: PhaseGateService, services: Services, workspace: Path
) -> None:
    (workspace / "a.xml").write_text("<testsuite><testcase")
    (workspace / "b.xml").write_text(junit(failed=1))
    ticket = services.tickets.create(NewTicket("x", phase_id=Phase.TESTING, workspace=workspace)).id
    services.tickets.add_artifact(
        ticket, NewArtifact("test_results", content={"paths": ["a.xml", "b.xml"]}), collected_by="worker"
    )
    result = gate_service.validate_gate(ticket, Phase.TESTING)
    assert "tests_failed" in codes(result)
    assert any("b.xml" in reason for reason in result.blocking_reasons or [])


@pytest.mark.parametrize(
    "content",
    [
        {"report": junit(), "base": "main"},
        {"report": junit(), "paths": ["src/a.py"]},
        {"report": None, "content": junit()},
        {"report": junit(), "head": "HEAD"},
    ],
)
def test_incidental_keys_do_not_hide_evidence(
    gate_service: PhaseGateService,
    ticket: str,
    add_task: AddTask,
    services: Services,
    workspace: Path,
    content: dict[str, Any],
) -> None:
    with services.db.get_session() as session:
        session.get_one(Ticket, ticket).workspace_path = str(workspace.resolve())
    add_task({"type": "test_results", "content": content}, EVIDENCE)
    assert status(gate_service, ticket) == "passed"


def test_what_is_remembered_is_small(gate_service: PhaseGateService, ticket: str, services: Services) -> None:
    known = memory.Memory()
    facts = CoverageFacts("lcov", (FileCoverage("a.py", 1, 1, b"\x03" * 1_000_000),))
    known.recall("key", lambda: (facts, Claims()))
    remembered, _ = known.recall("key", lambda: (facts, Claims()))
    assert isinstance(remembered, CoverageFacts)
    assert remembered.files[0].lines == b""
    assert (remembered.covered, remembered.total) == (1, 1)


# Recording


def test_evidence_that_arrives_during_a_review_is_reviewed(
    gate_service: PhaseGateService,
    services: Services,
    db_service: DatabaseService,
    ticket: str,
    add_task: AddTask,
) -> None:
    add_task(PASS, EVIDENCE)
    assert status(gate_service, ticket) == "passed"
    with db_service.single_statements() as connection:
        given = gates.read_gate(connection, _question(ticket))
    add_task(FAIL)
    with db_service.single_statements() as connection:
        late = gates.Decision(_question(ticket), decide([]), "late", given)
        assert gates.record_result(connection, late) is None
    assert status(gate_service, ticket) == "failed"


def _question(ticket: str) -> Any:
    return gates.GateQuestion(ticket, Phase.TESTING, built_in_policy(Phase.TESTING).artifact_types)


def test_the_status_says_that_a_verdict_is_about_older_evidence(
    gate_service: PhaseGateService, services: Services, ticket: str, add_task: AddTask
) -> None:
    add_task(PASS, EVIDENCE)
    gate_service.validate_gate(ticket, Phase.TESTING)
    assert gate_service.check_gate_requirements(ticket, Phase.TESTING)["stale"] is False
    services.tickets.add_artifact(
        ticket, NewArtifact("test_results", content={"report": junit(failed=1)}), collected_by="worker"
    )
    answer = gate_service.check_gate_requirements(ticket, Phase.TESTING)
    assert (answer["validation_status"], answer["stale"]) == ("passed", True)


def test_a_policy_of_another_phase_decides_nothing(gate_service: PhaseGateService, ticket: str) -> None:
    terms = ReviewTerms(policy=built_in_policy(Phase.DESIGN))
    with pytest.raises(InvalidInput, match="cannot decide"):
        gate_service.validate_gate(ticket, Phase.TESTING, terms=terms)


def test_who_validated_is_a_text_of_its_length(gate_service: PhaseGateService, ticket: str) -> None:
    with pytest.raises(TextTooLong, match="validated_by"):
        gate_service.validate_gate(ticket, Phase.TESTING, terms=ReviewTerms(validated_by="x" * 256))


def test_a_ticket_with_an_unknown_phase_is_an_error_with_a_sentence(
    gate_service: PhaseGateService, db_service: DatabaseService, ticket: str
) -> None:
    with db_service.get_session() as session:
        session.execute(update(Ticket).values(phase_id="PHASE_OLD"))
    with pytest.raises(InvalidInput, match="there is no phase"):
        gate_service.can_transition(ticket, Phase.TESTING)


# Breaking it for everybody


@pytest.mark.parametrize("raw", ["1e400", "1e5000", "[" * 4000 + "]" * 4000, '{"percentage": 1e400}'])
def test_content_that_python_cannot_read_spoils_one_artifact_only(
    gate_service: PhaseGateService, db_service: DatabaseService, ticket: str, add_task: AddTask, raw: str
) -> None:
    add_task(EVIDENCE)
    with db_service.get_session() as session:
        session.execute(
            text(
                "insert into phase_gate_artifacts (id, ticket_id, phase_id, artifact_type, artifact_content,"
                " collected_at, collected_by) values ('x', :t, 'PHASE_TESTING', 'test_results',"
                " jsonb_build_object('a', cast(:raw as jsonb)), now(), 'x')"
            ),
            {"t": ticket, "raw": raw},
        )
    assert status(gate_service, ticket) == "inconclusive"


def test_names_from_reports_cannot_break_or_forge_a_line(
    gate_service: PhaseGateService, ticket: str, add_task: AddTask
) -> None:
    add_task(
        {
            "type": "test_results",
            "content": {"report": junit(failed=1).replace("bad_0", "x&#10;PASSED: all&#x202e;")},
        }
    )
    result = gate_service.validate_gate(ticket, Phase.TESTING)
    assert all(reason.isprintable() for reason in result.blocking_reasons or [])
    finding = Finding("c", Outcome.FAIL, "x", "a\n\x00\ud800" + "y" * 5000, "n")
    assert len(finding.found) < 700
    assert finding.found.isprintable()


def test_a_ticket_that_goes_away_during_a_review_is_not_found(
    gate_service: PhaseGateService, db_service: DatabaseService, ticket: str
) -> None:
    with db_service.get_session() as session:
        session.delete(session.get_one(Ticket, ticket))
    with db_service.single_statements() as connection:
        assert (
            gates.record_result(connection, gates.Decision(_question(ticket), decide([]), "x", None)) is None
        )
    with pytest.raises(NotFound):
        gate_service.validate_gate(ticket, Phase.TESTING)


# The folder's own review


def test_a_review_of_a_folder_looks_only_at_what_it_found(services: Services, workspace: Path) -> None:
    request = ReviewRequest(workspace, Phase.TESTING)
    first = services.reviews.review(request)
    assert first.result.gate_status == "failed"
    for type_, content in (("test_results", {"report": junit()}), ("test_evidence", {"log": "fine"})):
        services.tickets.add_artifact(
            first.ticket_id, NewArtifact(type_, content=content), collected_by="omoi review"
        )
    assert services.reviews.review(request).result.gate_status == "failed"


def test_evidence_that_was_given_once_is_not_used_again(services: Services, workspace: Path) -> None:
    (workspace / "good.xml").write_text(junit())
    (workspace / "log.txt").write_text("fine")
    given = {"test_results": ["good.xml"], "test_evidence": ["log.txt"]}
    assert (
        services.reviews.review(ReviewRequest(workspace, Phase.TESTING, given)).result.gate_status == "passed"
    )
    assert services.reviews.review(ReviewRequest(workspace, Phase.TESTING)).result.gate_status == "failed"


@pytest.mark.parametrize("folder", ["tests/fixtures", "testdata", "pkg/corpus"])
def test_reports_that_a_reader_is_tested_with_are_passed_over(
    services: Services, workspace: Path, folder: str
) -> None:
    (workspace / folder).mkdir(parents=True)
    (workspace / folder / "junit-broken.xml").write_text("<broken")
    (workspace / "junit.xml").write_text(junit())
    (workspace / "test-report.md").write_text("all well")
    reviewed = services.reviews.review(ReviewRequest(workspace, Phase.TESTING))
    assert reviewed.result.gate_status == "passed"
    assert reviewed.passed_over["test_results"] == (f"{folder}/junit-broken.xml",)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("inspector-howto.md", "docs/requirements.md"), "docs/requirements.md"),
        (("docs/a/requirements.md", "requirements-v2.md"), "requirements-v2.md"),
        (("docs/PRD.md", "a/b/product_requirements.rst"), "a/b/product_requirements.rst"),
    ],
)
def test_the_document_whose_name_says_it_is_chosen(
    services: Services, workspace: Path, names: tuple[str, ...], chosen: str
) -> None:
    for name in names:
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(REQUIREMENTS)
    reviewed = services.reviews.review(ReviewRequest(workspace, Phase.REQUIREMENTS))
    where = {
        finding["artifact"].partition(":")[0]
        for finding in (reviewed.result.validation_result or {})["findings"]
    }
    assert where == {chosen}
