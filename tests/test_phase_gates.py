"""The specification's tests of phase gates, with real evidence, and the ways in which gates are fooled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from omoi_os.bootstrap import Services
from omoi_os.errors import NotFound, PhaseHasNoGate, UnknownPhase
from omoi_os.models.event import Event
from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.phases import Phase
from omoi_os.models.task import Task
from omoi_os.models.ticket import Ticket
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PHASE_GATE_REQUIREMENTS, PhaseGateService
from omoi_os.services.tickets import NewArtifact
from tests.evidence_texts import (
    CODE,
    DESIGN,
    DOCUMENTATION,
    REQUIREMENTS,
    TEST_WITHOUT_ASSERTION,
    TESTS,
    junit,
    lcov,
)

type MakeTicket = Callable[..., str]
type Content = dict[str, Any]

GOOD: dict[Phase, dict[str, Content]] = {
    Phase.REQUIREMENTS: {"requirements_document": {"content": REQUIREMENTS}},
    Phase.DESIGN: {"design_document": {"content": DESIGN}},
    Phase.IMPLEMENTATION: {
        "code_changes": {"diff": CODE + TESTS},
        "test_coverage": {"report": lcov(covered=9, total=10)},
    },
    Phase.TESTING: {
        "test_results": {"report": junit(passed=3)},
        "test_evidence": {"log": "3 passed in 0.1 s"},
    },
    Phase.DEPLOYMENT: {
        "deployment_record": {"version": "1.4.0", "deployed_to": "staging"},
        "smoke_test_results": {"report": junit(passed=1)},
    },
}


@pytest.fixture
def make_ticket(db_service: DatabaseService) -> MakeTicket:
    """A ticket in a phase with one completed task, and artifacts by type."""

    def make(
        phase: Phase,
        artifacts: dict[str, Content] | None = None,
        *,
        tasks: tuple[str, ...] = ("completed",),
        workspace: Path | None = None,
        result: Any = None,
    ) -> str:
        with db_service.get_session() as session:
            ticket = Ticket(
                title="Password reset",
                phase_id=phase,
                workspace_path=str(workspace) if workspace else None,
            )
            session.add(ticket)
            session.flush()
            for status in tasks:
                session.add(
                    Task(
                        ticket_id=ticket.id,
                        phase_id=phase,
                        task_type="work",
                        status=status,
                        result=result if status == "completed" else None,
                    )
                )
            for type_, content in (artifacts or {}).items():
                session.add(
                    PhaseGateArtifact(
                        ticket_id=ticket.id,
                        phase_id=phase,
                        artifact_type=type_,
                        artifact_path=content.get("artifact_path"),
                        artifact_content={k: v for k, v in content.items() if k != "artifact_path"} or None,
                        collected_by="worker-1",
                    )
                )
            return ticket.id

    return make


def finding(result: PhaseGateResult, criterion: str) -> dict[str, str]:
    """The one finding about `criterion`."""
    found = [item for item in (result.validation_result or {})["findings"] if item["criterion"] == criterion]
    assert len(found) == 1, (result.validation_result or {})["findings"]
    only: dict[str, str] = found[0]
    return only


# What the specification names


def test_check_gate_requirements_met(gate_service: PhaseGateService, make_ticket: MakeTicket) -> None:
    ticket = make_ticket(Phase.REQUIREMENTS, GOOD[Phase.REQUIREMENTS])
    answer = gate_service.check_gate_requirements(ticket, Phase.REQUIREMENTS)
    assert answer["requirements_met"] is True
    assert answer["missing_artifacts"] == []
    assert answer["validation_status"] == "none"


def test_check_gate_requirements_missing(gate_service: PhaseGateService, make_ticket: MakeTicket) -> None:
    ticket = make_ticket(Phase.IMPLEMENTATION, {"code_changes": {"diff": CODE + TESTS}})
    answer = gate_service.check_gate_requirements(ticket, Phase.IMPLEMENTATION)
    assert answer["requirements_met"] is False
    assert answer["missing_artifacts"] == ["test_coverage"]


def test_check_gate_requirements_tells_how_the_last_review_ended(
    gate_service: PhaseGateService, make_ticket: MakeTicket
) -> None:
    ticket = make_ticket(Phase.REQUIREMENTS)
    gate_service.validate_gate(ticket, Phase.REQUIREMENTS)
    answer = gate_service.check_gate_requirements(ticket, Phase.REQUIREMENTS)
    assert answer["validation_status"] == "failed"
    assert answer["blocking_reasons"]


def test_collect_artifacts(gate_service: PhaseGateService, make_ticket: MakeTicket) -> None:
    result = {
        "summary": "written",
        "artifacts": [
            {"type": "requirements_document", "path": "docs/requirements.md"},
            {"artifact_type": "notes", "artifact_content": {"content": "two"}},
            {"type": "text", "content": "three"},
        ],
    }
    ticket = make_ticket(Phase.REQUIREMENTS, result=result)
    collected = gate_service.collect_artifacts(ticket, Phase.REQUIREMENTS)
    assert [(item.artifact_type, item.artifact_path, item.artifact_content) for item in collected] == [
        ("requirements_document", "docs/requirements.md", None),
        ("notes", None, {"content": "two"}),
        ("text", None, {"content": "three"}),
    ]
    assert all(item.ticket_id == ticket and item.phase_id == Phase.REQUIREMENTS for item in collected)


@pytest.mark.parametrize("phase", GOOD)
def test_validate_gate_passed(
    gate_service: PhaseGateService, make_ticket: MakeTicket, db_service: DatabaseService, phase: Phase
) -> None:
    ticket = make_ticket(phase, GOOD[phase])
    result = gate_service.validate_gate(ticket, phase)
    assert (result.gate_status, result.blocking_reasons) == ("passed", [])
    with db_service.get_session() as session:
        stored = session.get_one(PhaseGateResult, result.id)
        assert (stored.gate_status, stored.validation_result) == ("passed", result.validation_result)
        assert stored.validated_at == result.validated_at is not None


def test_validate_gate_failed(gate_service: PhaseGateService, make_ticket: MakeTicket) -> None:
    ticket = make_ticket(Phase.TESTING, {"test_results": {"report": junit(passed=2, failed=1)}})
    result = gate_service.validate_gate(ticket, Phase.TESTING)
    assert result.gate_status == "failed"
    assert [reason.split(":")[0] for reason in result.blocking_reasons or []] == [
        "test_results.all_passed",
        "test_evidence",
    ]


@pytest.mark.parametrize(
    ("phase", "target"),
    [
        (Phase.REQUIREMENTS, Phase.DESIGN),
        (Phase.DESIGN, Phase.IMPLEMENTATION),
        (Phase.IMPLEMENTATION, Phase.TESTING),
        (Phase.TESTING, Phase.DEPLOYMENT),
        (Phase.DEPLOYMENT, Phase.DONE),
    ],
)
def test_can_transition_when_gate_passed(
    gate_service: PhaseGateService, make_ticket: MakeTicket, phase: Phase, target: Phase
) -> None:
    assert gate_service.can_transition(make_ticket(phase, GOOD[phase]), target) == (True, [])


def test_can_transition_when_gate_failed(gate_service: PhaseGateService, make_ticket: MakeTicket) -> None:
    allowed, reasons = gate_service.can_transition(make_ticket(Phase.REQUIREMENTS), Phase.DESIGN)
    assert allowed is False
    assert "requirements_document" in reasons[0]


def test_the_specified_requirements_are_in_force() -> None:
    assert PHASE_GATE_REQUIREMENTS[Phase.REQUIREMENTS]["validation_criteria"] == {
        "requirements_document": {"min_length": 500, "required_sections": ["scope", "acceptance_criteria"]}
    }
    assert PHASE_GATE_REQUIREMENTS[Phase.IMPLEMENTATION]["required_artifacts"] == [
        "code_changes",
        "test_coverage",
    ]
    assert PHASE_GATE_REQUIREMENTS[Phase.TESTING]["validation_criteria"] == {
        "test_results": {"all_passed": True}
    }


# Claims


@pytest.mark.parametrize(
    ("phase", "type_", "claim"),
    [
        (
            Phase.REQUIREMENTS,
            "requirements_document",
            {"length": 600, "sections": ["scope", "acceptance_criteria"]},
        ),
        *(
            (Phase.IMPLEMENTATION, "test_coverage", {"percentage": value})
            for value in (85, 100, 80.0, 999, -1, "85", True, None, [85])
        ),
        *(
            (Phase.IMPLEMENTATION, "code_changes", {"has_tests": value})
            for value in (True, "false", "true", 1, None)
        ),
        *((Phase.TESTING, "test_results", {"all_passed": value}) for value in (True, "no", "yes", 1, None)),
        (Phase.TESTING, "test_results", {"all_passed": True, "failed": 7}),
    ],
)
def test_a_claim_without_evidence_is_inconclusive(
    gate_service: PhaseGateService, make_ticket: MakeTicket, phase: Phase, type_: str, claim: Content
) -> None:
    ticket = make_ticket(phase, {**GOOD[phase], type_: claim})
    result = gate_service.validate_gate(ticket, phase)
    assert result.gate_status == "inconclusive"
    assert (result.validation_result or {})["code"] == "evidence_not_given"
    assert "Attach the evidence" in (result.blocking_reasons or [""])[0]


@pytest.mark.parametrize("value", [999, -1, "85", True, [85]])
def test_a_claim_that_is_no_percentage_is_told(
    gate_service: PhaseGateService, make_ticket: MakeTicket, value: object
) -> None:
    report = {"report": lcov(9, 10), "percentage": value}
    ticket = make_ticket(Phase.IMPLEMENTATION, {**GOOD[Phase.IMPLEMENTATION], "test_coverage": report})
    result = gate_service.validate_gate(ticket, Phase.IMPLEMENTATION)
    assert result.gate_status == "passed"
    assert finding(result, "test_coverage.claims")["code"] == "claim_unusable"


@pytest.mark.parametrize(
    ("phase", "type_", "content", "code", "both"),
    [
        (
            Phase.IMPLEMENTATION,
            "test_coverage",
            {"report": lcov(61, 100), "percentage": 95},
            "coverage_below_minimum",
            ("95 %", "61 %"),
        ),
        (
            Phase.TESTING,
            "test_results",
            {"report": junit(passed=3, failed=2), "all_passed": True},
            "tests_failed",
            ("all tests are claimed to pass", "2 failed"),
        ),
        (
            Phase.IMPLEMENTATION,
            "code_changes",
            {"diff": CODE, "has_tests": True},
            "code_without_tests",
            ("tests are claimed", "0 assertions added"),
        ),
        (
            Phase.REQUIREMENTS,
            "requirements_document",
            {"content": "x", "length": 600, "sections": ["scope", "acceptance_criteria"]},
            "document_too_short",
            ("600 characters are claimed", "1 were counted"),
        ),
    ],
)
def test_a_lie_is_measured_and_told_with_both_numbers(
    gate_service: PhaseGateService,
    make_ticket: MakeTicket,
    phase: Phase,
    type_: str,
    content: Content,
    code: str,
    both: tuple[str, str],
) -> None:
    result = gate_service.validate_gate(make_ticket(phase, {**GOOD[phase], type_: content}), phase)
    assert result.gate_status == "failed"
    assert (result.validation_result or {})["code"] == code
    claims = [
        item["found"]
        for item in (result.validation_result or {})["findings"]
        if item["criterion"] == f"{type_}.claims"
    ]
    assert all(part in claims[0] for part in both)


# Evidence


@pytest.mark.parametrize(
    ("report", "status", "code"),
    [
        (junit(passed=1), "passed", None),
        (junit(passed=0), "failed", "no_test_executed"),
        (junit(passed=0, skipped=4), "failed", "no_test_executed"),
        (junit(passed=5, errors=1), "failed", "tests_failed"),
        ("<testsuite><testcase name='a'/>", "inconclusive", "evidence_malformed"),
        ("<html/>", "inconclusive", "evidence_unknown_format"),
        ("", "inconclusive", "evidence_empty"),
        (7, "inconclusive", "evidence_malformed"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><testsuite/>", "inconclusive", "evidence_forbidden_markup"),
    ],
)
def test_test_reports_are_counted(
    gate_service: PhaseGateService, make_ticket: MakeTicket, report: object, status: str, code: str | None
) -> None:
    ticket = make_ticket(Phase.TESTING, {**GOOD[Phase.TESTING], "test_results": {"report": report}})
    result = gate_service.validate_gate(ticket, Phase.TESTING)
    assert (result.gate_status, (result.validation_result or {})["code"]) == (status, code)


@pytest.mark.parametrize(
    ("covered", "total", "status"),
    [(80, 100, "passed"), (79, 100, "failed"), (79_999, 100_000, "failed"), (0, 0, "inconclusive")],
)
def test_coverage_is_compared_exactly(
    gate_service: PhaseGateService, make_ticket: MakeTicket, covered: int, total: int, status: str
) -> None:
    report = {"report": lcov(covered, total)}
    ticket = make_ticket(Phase.IMPLEMENTATION, {**GOOD[Phase.IMPLEMENTATION], "test_coverage": report})
    assert gate_service.validate_gate(ticket, Phase.IMPLEMENTATION).gate_status == status


@pytest.mark.parametrize(
    ("diff", "status", "code"),
    [
        (CODE + TESTS, "passed", None),
        (CODE, "failed", "code_without_tests"),
        (CODE + TEST_WITHOUT_ASSERTION, "failed", "code_without_tests"),
        (DOCUMENTATION, "passed", None),
        (DOCUMENTATION + CODE, "failed", "code_without_tests"),
        ("not a diff at all", "inconclusive", "evidence_unknown_format"),
    ],
)
def test_code_must_come_with_tests(
    gate_service: PhaseGateService, make_ticket: MakeTicket, diff: str, status: str, code: str | None
) -> None:
    ticket = make_ticket(Phase.IMPLEMENTATION, {**GOOD[Phase.IMPLEMENTATION], "code_changes": {"diff": diff}})
    result = gate_service.validate_gate(ticket, Phase.IMPLEMENTATION)
    assert (result.gate_status, (result.validation_result or {})["code"]) == (status, code)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x", "document_too_short"),
        ("# Scope\n" + "word " * 200, "section_missing"),
        (REQUIREMENTS.replace("## Acceptance criteria", "## Notes"), "section_missing"),
        (
            REQUIREMENTS.split("- Asking")[0] + "\nTBD\n" + "\n## Notes\n\n" + "a word and another. " * 40,
            "section_unfilled",
        ),
        (" " * 2000, "evidence_empty"),
    ],
)
def test_a_document_must_say_something(
    gate_service: PhaseGateService, make_ticket: MakeTicket, text: str, code: str | None
) -> None:
    ticket = make_ticket(Phase.REQUIREMENTS, {"requirements_document": {"content": text}})
    result = gate_service.validate_gate(ticket, Phase.REQUIREMENTS)
    assert (result.validation_result or {})["code"] == code


def test_sections_are_found_under_the_names_that_people_give_them(
    gate_service: PhaseGateService, make_ticket: MakeTicket
) -> None:
    text = REQUIREMENTS.replace("## Scope", "## 1. Goals").replace(
        "## Acceptance criteria", "## Definition of Done:"
    )
    ticket = make_ticket(Phase.REQUIREMENTS, {"requirements_document": {"content": text}})
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "passed"


def test_the_newest_artifact_of_a_type_counts(
    gate_service: PhaseGateService, make_ticket: MakeTicket, services: Services
) -> None:
    ticket = make_ticket(Phase.REQUIREMENTS, {"requirements_document": {"content": "too short"}})
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "failed"
    better = NewArtifact("requirements_document", content={"content": REQUIREMENTS})
    services.tickets.add_artifact(ticket, better, collected_by="worker-1")
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "passed"
    worse = NewArtifact("requirements_document", content={"content": "too short again"})
    services.tickets.add_artifact(ticket, worse, collected_by="worker-1")
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "failed"


def test_a_corrected_file_at_the_same_path_is_seen(
    gate_service: PhaseGateService, make_ticket: MakeTicket, workspace: Path
) -> None:
    artifact = {"requirements_document": {"artifact_path": "requirements.md"}}
    ticket = make_ticket(Phase.REQUIREMENTS, artifact, workspace=workspace)
    (workspace / "requirements.md").write_text("too short")
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "failed"
    (workspace / "requirements.md").write_text(REQUIREMENTS)
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "passed"
    (workspace / "requirements.md").unlink()
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "failed"


def test_the_file_in_the_workspace_counts_and_not_the_text_beside_it(
    gate_service: PhaseGateService, make_ticket: MakeTicket, workspace: Path
) -> None:
    (workspace / "requirements.md").write_text("too short")
    artifact = {"artifact_path": "requirements.md", "content": REQUIREMENTS}
    ticket = make_ticket(Phase.REQUIREMENTS, {"requirements_document": artifact}, workspace=workspace)
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "failed"


@pytest.mark.parametrize("path", ["../secret.md", "/etc/hostname", "link.md", "folder", "a\\..\\b"])
def test_a_path_that_leads_outside_is_not_evidence(
    gate_service: PhaseGateService, make_ticket: MakeTicket, workspace: Path, path: str
) -> None:
    (workspace.parent / "secret.md").write_text(REQUIREMENTS)
    (workspace / "link.md").symlink_to(workspace.parent / "secret.md")
    (workspace / "folder").mkdir()
    artifact = {"requirements_document": {"artifact_path": path}}
    ticket = make_ticket(Phase.REQUIREMENTS, artifact, workspace=workspace)
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status in ("failed", "inconclusive")


def test_a_workspace_that_is_gone_is_inconclusive(
    gate_service: PhaseGateService, make_ticket: MakeTicket, tmp_path: Path
) -> None:
    artifact = {"requirements_document": {"artifact_path": "requirements.md"}}
    ticket = make_ticket(Phase.REQUIREMENTS, artifact, workspace=tmp_path / "gone")
    result = gate_service.validate_gate(ticket, Phase.REQUIREMENTS)
    assert (result.gate_status, (result.validation_result or {})["code"]) == (
        "inconclusive",
        "evidence_no_workspace",
    )


def test_several_reports_are_read_as_one(
    gate_service: PhaseGateService, make_ticket: MakeTicket, workspace: Path
) -> None:
    (workspace / "a.xml").write_text(junit(passed=2))
    (workspace / "b.xml").write_text(junit(passed=1, failed=1))
    artifacts = {"test_results": {"paths": ["a.xml", "b.xml"]}, "test_evidence": {"log": "x"}}
    ticket = make_ticket(Phase.TESTING, artifacts, workspace=workspace)
    result = gate_service.validate_gate(ticket, Phase.TESTING)
    assert result.gate_status == "failed"
    assert "3 passed, 1 failed" in finding(result, "test_results.all_passed")["found"]


# Tasks and their results


@pytest.mark.parametrize(
    ("tasks", "code"),
    [
        ((), "no_tasks"),
        (("completed", "pending"), "tasks_open"),
        (("completed", "failed"), "tasks_open"),
        (("running",), "tasks_open"),
        (("completed", "completed"), None),
    ],
)
def test_all_tasks_must_be_completed_and_there_must_be_one(
    gate_service: PhaseGateService, make_ticket: MakeTicket, tasks: tuple[str, ...], code: str | None
) -> None:
    ticket = make_ticket(Phase.REQUIREMENTS, GOOD[Phase.REQUIREMENTS], tasks=tasks)
    result = gate_service.validate_gate(ticket, Phase.REQUIREMENTS)
    assert (result.validation_result or {})["code"] == code
    expected = code is None
    assert gate_service.check_gate_requirements(ticket, Phase.REQUIREMENTS)["requirements_met"] is expected


@pytest.mark.parametrize(
    ("artifacts", "usable"),
    [
        ("x", 0),
        (7, 0),
        ([1, None], 0),
        ([None, {"type": "requirements_document", "content": {"content": REQUIREMENTS}}], 1),
        ([{"type": 7}, {"type": ""}, {"type": "y" * 101}, {"type": "a", "path": 5}, {}], 0),
        ({"requirements_document": {"content": REQUIREMENTS}}, 1),
        ({"requirements_document": "docs/requirements.md"}, 1),
        ({"type": "requirements_document", "content": {"content": REQUIREMENTS}}, 1),
        ({"artifact_type": "requirements_document", "artifact_path": "docs/requirements.md"}, 1),
        ([[{"type": "a"}]], 0),
        (None, 0),
    ],
)
def test_malformed_task_results_never_stop_a_review(
    gate_service: PhaseGateService,
    make_ticket: MakeTicket,
    db_service: DatabaseService,
    artifacts: object,
    usable: int,
) -> None:
    ticket = make_ticket(Phase.REQUIREMENTS, result={"artifacts": artifacts})
    result = gate_service.validate_gate(ticket, Phase.REQUIREMENTS)
    assert result.gate_status in ("passed", "failed", "inconclusive")
    with db_service.get_session() as session:
        assert session.scalar(select(func.count()).select_from(PhaseGateArtifact)) == usable
        told = session.scalars(select(Event).where(Event.event_type == "artifact.unusable")).all()
        unusable = artifacts is not None and (usable == 0 or None in _list(artifacts))
        assert bool(told) is unusable


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


@pytest.mark.parametrize("result", ["text", 7, [1, None], {"artifacts": {}}, {}, True])
def test_a_result_of_any_shape_is_looked_at_once(
    gate_service: PhaseGateService, make_ticket: MakeTicket, result: object
) -> None:
    ticket = make_ticket(Phase.REQUIREMENTS, result=result)
    assert gate_service.collect_artifacts(ticket, Phase.REQUIREMENTS) == []
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "failed"


def test_nothing_is_collected_twice(gate_service: PhaseGateService, make_ticket: MakeTicket) -> None:
    result = {"artifacts": [{"type": "requirements_document", "content": {"content": REQUIREMENTS}}]}
    ticket = make_ticket(Phase.REQUIREMENTS, result=result)
    assert len(gate_service.collect_artifacts(ticket, Phase.REQUIREMENTS)) == 1
    assert gate_service.collect_artifacts(ticket, Phase.REQUIREMENTS) == []
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "passed"


def test_a_corrected_result_is_collected_again_and_only_what_changed(
    gate_service: PhaseGateService, make_ticket: MakeTicket, db_service: DatabaseService
) -> None:
    same = {"type": "notes", "content": {"content": "same"}}
    first = {"artifacts": [same, {"type": "requirements_document", "content": {"content": "short"}}]}
    ticket = make_ticket(Phase.REQUIREMENTS, result=first)
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "failed"
    with db_service.get_session() as session:
        task = session.scalars(select(Task)).one()
        task.result = {
            "artifacts": [same, {"type": "requirements_document", "content": {"content": REQUIREMENTS}}]
        }
    collected = gate_service.collect_artifacts(ticket, Phase.REQUIREMENTS)
    assert [item.artifact_type for item in collected] == ["requirements_document"]
    assert gate_service.validate_gate(ticket, Phase.REQUIREMENTS).gate_status == "passed"


def test_artifacts_of_tasks_that_are_not_completed_do_not_count(
    gate_service: PhaseGateService, make_ticket: MakeTicket, db_service: DatabaseService
) -> None:
    ticket = make_ticket(Phase.REQUIREMENTS, tasks=("running",))
    with db_service.get_session() as session:
        session.scalars(select(Task)).one().result = {
            "artifacts": [{"type": "requirements_document", "content": {"content": REQUIREMENTS}}]
        }
    assert gate_service.collect_artifacts(ticket, Phase.REQUIREMENTS) == []


# Phases and moves


@pytest.mark.parametrize("name", ["PHASE_UNKNOWN", "", "passed", "PHASE_TESTING\x00"])
def test_an_unknown_phase_is_an_error(
    gate_service: PhaseGateService, make_ticket: MakeTicket, name: str
) -> None:
    ticket = make_ticket(Phase.TESTING, GOOD[Phase.TESTING])
    for ask in (
        gate_service.validate_gate,
        gate_service.check_gate_requirements,
        gate_service.collect_artifacts,
    ):
        with pytest.raises(UnknownPhase, match="the phases are"):
            ask(ticket, name)


@pytest.mark.parametrize("phase", [Phase.BACKLOG, Phase.DONE, Phase.BLOCKED])
def test_a_phase_without_gate_cannot_be_validated(
    gate_service: PhaseGateService, make_ticket: MakeTicket, phase: Phase
) -> None:
    with pytest.raises(PhaseHasNoGate, match="gated phases are"):
        gate_service.validate_gate(make_ticket(phase), phase)


@pytest.mark.parametrize("ticket_id", ["no-such-ticket", "", "x\x00y", "\ud800", "y" * 5000])
def test_a_ticket_that_is_not_there_is_an_error(gate_service: PhaseGateService, ticket_id: str) -> None:
    with pytest.raises(NotFound):
        gate_service.validate_gate(ticket_id, Phase.TESTING)
    with pytest.raises(NotFound):
        gate_service.check_gate_requirements(ticket_id, Phase.TESTING)
    with pytest.raises(NotFound):
        gate_service.collect_artifacts(ticket_id, Phase.TESTING)
    with pytest.raises(NotFound):
        gate_service.can_transition(ticket_id, Phase.TESTING)


@pytest.mark.parametrize(
    ("phase", "target", "said"),
    [
        (Phase.REQUIREMENTS, "PHASE_TESTING", "it can move to PHASE_DESIGN, PHASE_BLOCKED"),
        (Phase.REQUIREMENTS, "PHASE_REQUIREMENTS", "cannot move"),
        (Phase.DONE, "PHASE_BACKLOG", "nowhere"),
        (Phase.REQUIREMENTS, "PHASE_NOWHERE", "there is no phase"),
        (Phase.REQUIREMENTS, "", "there is no phase"),
    ],
)
def test_an_illegal_target_is_refused_with_the_reason(
    gate_service: PhaseGateService, make_ticket: MakeTicket, phase: Phase, target: str, said: str
) -> None:
    allowed, [reason] = gate_service.can_transition(make_ticket(phase, GOOD.get(phase)), target)
    assert allowed is False
    assert said in reason


@pytest.mark.parametrize(
    ("phase", "target"),
    [
        (Phase.TESTING, Phase.IMPLEMENTATION),
        (Phase.TESTING, Phase.BLOCKED),
        (Phase.BACKLOG, Phase.REQUIREMENTS),
        (Phase.BLOCKED, Phase.BACKLOG),
    ],
)
def test_moves_that_leave_no_gate_need_no_review(
    gate_service: PhaseGateService,
    make_ticket: MakeTicket,
    db_service: DatabaseService,
    phase: Phase,
    target: Phase,
) -> None:
    assert gate_service.can_transition(make_ticket(phase, tasks=()), target) == (True, [])
    with db_service.get_session() as session:
        assert session.scalar(select(func.count()).select_from(PhaseGateResult)) == 0


def test_a_blocked_ticket_returns_only_to_the_phase_that_it_left(
    gate_service: PhaseGateService, make_ticket: MakeTicket, db_service: DatabaseService
) -> None:
    ticket = make_ticket(Phase.BLOCKED)
    with db_service.get_session() as session:
        session.get_one(Ticket, ticket).previous_phase_id = Phase.DESIGN
    assert gate_service.can_transition(ticket, Phase.DESIGN) == (True, [])
    assert gate_service.can_transition(ticket, Phase.DEPLOYMENT)[0] is False


def test_a_blocked_ticket_that_came_from_nowhere_has_passed_no_gate(
    gate_service: PhaseGateService, make_ticket: MakeTicket
) -> None:
    ticket = make_ticket(Phase.BLOCKED)
    assert gate_service.can_transition(ticket, Phase.BACKLOG) == (True, [])
    assert gate_service.can_transition(ticket, Phase.DEPLOYMENT)[0] is False


# What it costs, and what it leaves


@pytest.mark.parametrize("count", [1, 200])
def test_a_validation_is_two_statements_however_much_there_is(
    make_ticket: MakeTicket, db_service: DatabaseService, tmp_path: Path, count: int
) -> None:
    ticket = make_ticket(Phase.REQUIREMENTS, GOOD[Phase.REQUIREMENTS], tasks=("completed",) * count)
    with db_service.get_session() as session:
        for _ in range(count):
            session.add(
                PhaseGateArtifact(
                    ticket_id=ticket,
                    phase_id=Phase.REQUIREMENTS,
                    artifact_type="requirements_document",
                    artifact_content={"content": REQUIREMENTS},
                    collected_by="worker-1",
                )
            )
    db = DatabaseService(db_service.engine.url.render_as_string(hide_password=False), pool_size=1)
    service = PhaseGateService(db)
    service.validate_gate(ticket, Phase.REQUIREMENTS)
    with (tmp_path / "trace").open("w+") as trace:
        with db.single_statements() as connection:
            connection.pgconn.trace(trace.fileno())
        service.validate_gate(ticket, Phase.REQUIREMENTS)
        with db.single_statements() as connection:
            connection.pgconn.untrace()
        trace.seek(0)
        sent = [words[4] for line in trace if (words := line.split())[2] == "F"]
    db.close()
    assert sum(word in ("Query", "Bind") for word in sent) == 2, sent


@pytest.mark.parametrize(
    ("artifacts", "status", "code"),
    [(GOOD[Phase.TESTING], "passed", None), ({}, "failed", "artifact_missing")],
)
def test_a_verdict_is_recorded_with_its_event(
    gate_service: PhaseGateService,
    make_ticket: MakeTicket,
    db_service: DatabaseService,
    artifacts: dict[str, Content],
    status: str,
    code: str | None,
) -> None:
    ticket = make_ticket(Phase.TESTING, artifacts)
    result = gate_service.validate_gate(ticket, Phase.TESTING)
    with db_service.get_session() as session:
        told = session.scalars(select(Event).where(Event.event_type == "gate.decided")).one()
        assert told.entity_id == ticket
        assert told.payload == {
            "result_id": result.id,
            "phase_id": "PHASE_TESTING",
            "gate_status": status,
            "code": code,
        }


def test_a_result_can_be_merged_into_a_session(
    gate_service: PhaseGateService, make_ticket: MakeTicket, db_service: DatabaseService
) -> None:
    result = gate_service.validate_gate(make_ticket(Phase.TESTING, GOOD[Phase.TESTING]), Phase.TESTING)
    with db_service.get_session() as session:
        session.add(result)
        session.refresh(result)
        assert result.gate_status == "passed"


def test_a_fresh_process_can_begin_with_a_validation(
    make_ticket: MakeTicket, db_service: DatabaseService
) -> None:
    ticket = make_ticket(Phase.TESTING, GOOD[Phase.TESTING])
    address = db_service.engine.url.render_as_string(hide_password=False)
    script = (
        "from omoi_os.services.database import DatabaseService\n"
        "from omoi_os.services.phase_gate import PhaseGateService\n"
        f"db = DatabaseService({address!r})\n"
        f"print(PhaseGateService(db).validate_gate({ticket!r}, 'testing').gate_status)\n"
        "db.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "passed\n"
