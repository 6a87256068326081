"""How findings are followed from review to review."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from omoi_os.cli.show import print_development
from omoi_os.domain.convergence import converge
from omoi_os.domain.phases import Phase
from omoi_os.domain.verdict import Finding, Outcome, Severity, finding_id
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService
from tests.evidence_texts import junit
from tests.phase_tickets import add_task, finish_tasks, ready_ticket
from tests.test_verdict_binding import hand_in

T = Phase.TESTING
FAILED = Finding("tests.all_passed", Outcome.FAIL, "tests_failed", "2 failed", "none")
UNKNOWN = Finding("tests.all_passed", Outcome.UNKNOWN, "evidence_empty", "nothing", "a report")
MISSING = Finding("notes", Outcome.FAIL, "artifact_missing", "none", "notes")
PASSED = Finding("tests.all_passed", Outcome.PASS, "tests_passed", "3 passed", "none")
WARNED = replace(FAILED, severity=Severity.WARN)
WAIVED = replace(FAILED, waiver="w")


@pytest.mark.parametrize(
    ("before", "now", "resolved", "still_open", "new"),
    [
        ([], [], [], [], []),
        ([], [FAILED], [], [], [FAILED]),
        ([FAILED], [FAILED], [], [FAILED], []),
        ([FAILED], [replace(FAILED, found="1 failed", fix="Mend it.")], [], [FAILED], []),
        ([FAILED], [PASSED], [FAILED], [], []),
        ([FAILED, MISSING], [MISSING], [FAILED], [MISSING], []),
        ([FAILED], [UNKNOWN], [FAILED], [], [UNKNOWN]),
        ([PASSED], [FAILED], [], [], [FAILED]),
        ([WARNED], [WARNED], [], [], []),
        ([WARNED], [FAILED], [], [], [FAILED]),
        ([FAILED], [WARNED], [FAILED], [], []),
        ([FAILED], [WAIVED], [FAILED], [], []),
        ([WAIVED], [FAILED], [], [], [FAILED]),
        ([WAIVED], [WAIVED], [], [], []),
    ],
)
def test_findings_are_resolved_still_open_or_new(
    before: list[Finding],
    now: list[Finding],
    resolved: list[Finding],
    still_open: list[Finding],
    new: list[Finding],
) -> None:
    told = converge([item.as_dict() for item in before], now).as_dict()
    assert {name: [item["id"] for item in told[name]] for name in told} == {
        "resolved": [item.id for item in resolved],
        "still_open": [item.id for item in still_open],
        "new": [item.id for item in new],
    }


def test_what_is_open_is_told_with_its_new_numbers_and_what_was_with_its_old_ones() -> None:
    fewer = replace(FAILED, found="1 failed")
    told = converge([FAILED.as_dict(), MISSING.as_dict()], [fewer])
    assert told.still_open == ({"id": FAILED.id, "criterion": "tests.all_passed", "found": "1 failed"},)
    assert told.resolved == ({"id": MISSING.id, "criterion": "notes", "found": "none"},)


def test_an_id_depends_on_criterion_and_code_alone() -> None:
    assert FAILED.id == finding_id("tests.all_passed", "tests_failed") == WAIVED.id == WARNED.id
    assert len({FAILED.id, UNKNOWN.id, MISSING.id, PASSED.id}) == 4
    # It is stored: another one would make every open finding of every gate look new.
    assert FAILED.id == "11bb8122a305"


def test_findings_that_were_stored_without_id_are_known_again() -> None:
    old: dict[str, Any] = {name: value for name, value in FAILED.as_dict().items() if name != "id"}
    assert [item["id"] for item in converge([old], [FAILED]).still_open] == [FAILED.id]


def test_a_gate_tells_how_its_findings_developed(
    gate_service: PhaseGateService, db_service: DatabaseService
) -> None:
    ticket = ready_ticket(db_service, T)

    def groups() -> dict[str, list[str]]:
        told = (gate_service.validate_gate(ticket, T).validation_result or {})["convergence"]
        return {name: [item["criterion"] for item in told[name]] for name in told}

    hand_in(db_service, ticket, T, "test_results", {"report": junit(failed=2)})
    assert groups() == {"resolved": [], "still_open": [], "new": ["test_results.all_passed"]}
    add_task(db_service, ticket, T, "pending")
    hand_in(db_service, ticket, T, "test_results", {"report": junit(failed=1)})
    both = {"resolved": [], "still_open": ["test_results.all_passed"], "new": ["tasks"]}
    assert groups() == both
    assert groups() == both, "the same verdict answers, and says the same"
    finish_tasks(db_service, ticket, T)
    hand_in(db_service, ticket, T, "test_results", {"report": junit()})
    assert (groups()["still_open"], groups()["new"]) == ([], [])
    state = gate_service.check_gate_requirements(ticket, T)
    assert sorted(item["criterion"] for item in state["convergence"]["resolved"]) == [
        "tasks",
        "test_results.all_passed",
    ]


def test_what_holds_the_gate_for_another_reason_than_before_is_told_once() -> None:
    out = Console(file=StringIO(), width=200)
    groups = {
        "resolved": [{"criterion": "coverage"}, {"criterion": "tests"}],
        "still_open": [{"criterion": "document"}],
        "new": [{"criterion": "coverage"}, {"criterion": "judge"}],
    }
    print_development(out, groups)
    assert isinstance(out.file, StringIO)
    assert out.file.getvalue().splitlines() == [
        "Since the review before, resolved: tests",
        "Since the review before, still open: coverage, document",
        "Since the review before, new: judge",
    ]
