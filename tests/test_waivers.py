"""Waivers: who may give one, for what, for how long, and how it ends."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from omoi_os.api.app import create_app
from omoi_os.bootstrap import Services
from omoi_os.domain.inputs import Inputs
from omoi_os.domain.phases import Phase
from omoi_os.domain.waivers import Waiver
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.errors import GateClosed, InvalidInput, NotFound, PhaseHasNoGate, WaiverNotAllowed
from omoi_os.models.event import Event
from omoi_os.models.gate_waiver import GateWaiver
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.task import Task
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService, ReviewTerms
from omoi_os.services.phase_service import Move, PhaseService
from omoi_os.services.task_queue import TaskQueueService
from omoi_os.services.waivers import NewWaiver, WaiverService
from omoi_os.store import waivers as store
from tests.command import omoi
from tests.evidence_texts import junit
from tests.phase_tickets import add_task, attach, new_ticket, ready_ticket
from tests.test_verdict_binding import (
    Interrupted,
    hand_in,
    in_workspace,
    results,
    stale_reasons,
    with_policy,
)

T, P = Phase.TESTING, Phase.DEPLOYMENT
ALL_PASSED = "test_results.all_passed"
FORCE = ReviewTerms(force=True)


@pytest.fixture
def waivers(db_service: DatabaseService, gate_service: PhaseGateService) -> WaiverService:
    return WaiverService(db_service, gate_service)


@pytest.fixture
def failed(db_service: DatabaseService, gate_service: PhaseGateService) -> str:
    """A ticket whose gate is held closed by one failed test."""
    ticket_id = failing(db_service)
    assert gate_service.validate_gate(ticket_id, T).gate_status == "failed"
    return ticket_id


def failing(db: DatabaseService) -> str:
    ticket_id = ready_ticket(db, T)
    hand_in(db, ticket_id, T, "test_results", {"report": junit(passed=3, failed=1)})
    return ticket_id


def now(db: DatabaseService) -> datetime:
    with db.get_session() as session:
        moment: datetime = session.scalars(select(func.clock_timestamp())).one()
        return moment


def ask(
    criterion: str = ALL_PASSED, *, by: str = "operator", days: float = 7, reason: str = "known and harmless"
) -> NewWaiver:
    return NewWaiver(criterion, reason, by, datetime.now(UTC) + timedelta(days=days))


def row_count(db: DatabaseService) -> int:
    with db.get_session() as session:
        return session.scalar(select(func.count()).select_from(GateWaiver)) or 0


def told(db: DatabaseService) -> list[str]:
    with db.get_session() as session:
        return list(
            session.scalars(
                select(Event.event_type).where(Event.event_type.like("gate.waive%")).order_by(Event.seq)
            )
        )


# Given and used


def test_a_waived_gate_passes_and_says_so(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService, failed: str
) -> None:
    given = waivers.give(failed, "testing", ask())
    assert (given.criterion, given.waived_by, given.phase_id, given.revokes) == (
        ALL_PASSED,
        "operator",
        T,
        None,
    )
    assert stale_reasons(gate_service, failed, T) == ["a waiver was given, ended or ran out"]
    result = gate_service.validate_gate(failed, T)
    details = result.validation_result or {}
    assert (result.gate_status, result.blocking_reasons, details["code"]) == ("passed", [], None)
    assert [item["id"] for item in details["waivers"]] == [given.id]
    assert details["waivers"][0]["reason"] == "known and harmless"
    [finding] = [item for item in details["findings"] if item["waiver"]]
    assert (finding["criterion"], finding["outcome"], finding["waiver"]) == (ALL_PASSED, "fail", given.id)
    assert [item["criterion"] for item in details["convergence"]["resolved"]] == [ALL_PASSED]
    assert gate_service.check_gate_requirements(failed, T)["waivers"] == details["waivers"]
    assert gate_service.validate_gate(failed, T).id == result.id
    moved = PhaseService(db_service, gates=gate_service).move(failed, Move(P, "waived", "operator"))
    assert moved.gate_result_id == result.id
    assert told(db_service) == ["gate.waived"]


def test_a_waiver_lets_one_criterion_pass_and_no_other(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService
) -> None:
    ticket = failing(db_service)
    hand_in(db_service, ticket, T, "test_evidence", {"log": ""})
    add_task(db_service, ticket, T, "failed")
    gate_service.validate_gate(ticket, T)
    for criterion in (ALL_PASSED, "tasks"):
        waivers.give(ticket, T, ask(criterion))
        assert gate_service.validate_gate(ticket, T).gate_status != "passed"
    state = gate_service.check_gate_requirements(ticket, T)
    assert [item["criterion"] for item in state["waivers"]] == [ALL_PASSED, "tasks"]
    assert [reason.split(":")[0] for reason in state["blocking_reasons"]] == ["test_evidence"]
    waivers.give(ticket, T, ask("test_evidence"))
    assert gate_service.validate_gate(ticket, T).gate_status == "passed"


@pytest.mark.parametrize("report", ["<html/>", "", 7])
def test_what_is_unknown_can_be_waived(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService, report: object
) -> None:
    ticket = ready_ticket(db_service, T)
    hand_in(db_service, ticket, T, "test_results", {"report": report})
    assert gate_service.validate_gate(ticket, T).gate_status == "inconclusive"
    waivers.give(ticket, T, ask())
    assert gate_service.validate_gate(ticket, T).gate_status == "passed"


def test_an_artifact_that_is_missing_can_be_waived(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService
) -> None:
    ticket = new_ticket(db_service, T)
    add_task(db_service, ticket, T, "completed")
    hand_in(db_service, ticket, T, "test_results", {"report": junit()})
    gate_service.validate_gate(ticket, T)
    waivers.give(ticket, T, ask("test_evidence"))
    assert gate_service.validate_gate(ticket, T).gate_status == "passed"


# Refused


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"reason": ""}, InvalidInput, "reason"),
        ({"reason": " \n "}, InvalidInput, "reason"),
        ({"reason": "a\x00b"}, InvalidInput, "reason"),
        ({"by": ""}, InvalidInput, "waived_by"),
        ({"by": "x" * 256}, InvalidInput, "waived_by"),
        ({"criterion": "test_evidence"}, InvalidInput, "does not hold this gate closed"),
        ({"criterion": "test_results"}, InvalidInput, ALL_PASSED),
        ({"criterion": ""}, InvalidInput, "does not hold"),
        ({"criterion": "*"}, InvalidInput, "does not hold"),
        ({"days": -0.0001}, InvalidInput, "at most 30 days"),
        ({"days": 30.01}, InvalidInput, "at most 30 days"),
        ({"days": 300_000}, InvalidInput, "at most 30 days"),
        ({"by": "worker-1"}, WaiverNotAllowed, "worked on this phase"),
    ],
)
def test_a_waiver_that_must_not_be_is_refused_whole(
    waivers: WaiverService,
    gate_service: PhaseGateService,
    db_service: DatabaseService,
    failed: str,
    change: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    with pytest.raises(error, match=said):
        waivers.give(failed, T, ask(**change))
    assert (row_count(db_service), told(db_service)) == (0, [])
    assert gate_service.validate_gate(failed, T, terms=FORCE).gate_status == "failed"


@pytest.mark.parametrize("days", [29.99, 30 - 1e-9, 0.01])
def test_thirty_days_are_the_most(waivers: WaiverService, failed: str, days: float) -> None:
    assert waivers.give(failed, T, ask(days=days)).expires_at > datetime.now(UTC)


@pytest.mark.parametrize(("most", "days", "given"), [(7, 6.9, True), (7, 7.1, False), (0, 0.01, False)])
def test_the_policy_says_how_many_days(
    db_service: DatabaseService, most: int, days: float, given: bool
) -> None:
    text = f"version: 1\nphases:\n  testing:\n    waiver_max_days: {most}\n"
    gate = with_policy(db_service, text)
    ticket = failing(db_service)
    gate.validate_gate(ticket, T)
    if given:
        WaiverService(db_service, gate).give(ticket, T, ask(days=days))
    else:
        with pytest.raises(InvalidInput, match=f"at most {most} days"):
            WaiverService(db_service, gate).give(ticket, T, ask(days=days))
    assert row_count(db_service) == given


def test_an_end_needs_a_zone_and_is_one_moment_in_any(
    waivers: WaiverService, db_service: DatabaseService, failed: str
) -> None:
    until = datetime.now() + timedelta(days=1)  # noqa: DTZ005 - that is the mistake
    with pytest.raises(InvalidInput, match="with its zone"):
        waivers.give(failed, T, NewWaiver(ALL_PASSED, "why", "operator", until))
    east = (datetime.now(UTC) + timedelta(days=1)).astimezone(timezone(timedelta(hours=9)))
    given = waivers.give(failed, T, NewWaiver(ALL_PASSED, "why", "operator", east))
    assert (given.expires_at, given.expires_at.utcoffset()) == (east, timedelta(0))


def _agent(db: DatabaseService, ticket_id: str) -> None:
    with db.get_session() as session:
        task = Task(ticket_id=ticket_id, phase_id=T, task_type="w", status="completed")
        task.assigned_agent_id = "agent-7"
        session.add(task)


def _collected(db: DatabaseService, ticket_id: str) -> None:
    with db.get_session() as session:
        result = {"artifacts": {"test_results": {"report": junit(failed=2)}}}
        task = Task(ticket_id=ticket_id, phase_id=T, task_type="w", status="completed", result=result)
        task.assigned_agent_id = "agent-7"
        session.add(task)


def _lost(db: DatabaseService, ticket_id: str) -> None:
    queue = TaskQueueService(db)
    with db.get_session() as session:
        session.add(Task(ticket_id=ticket_id, phase_id=T, task_type="w", status="pending"))
    claimed = queue.claim_next_task("agent-7", phase_id=T)
    assert claimed is not None
    queue.release_task(claimed.id, "agent-7")
    with db.get_session() as session:
        session.get_one(Task, claimed.id).status = "completed"


@pytest.mark.parametrize("worked", [_agent, _collected, _lost], ids=["task", "artifact", "task it lost"])
def test_whoever_worked_on_the_phase_cannot_waive(
    waivers: WaiverService,
    gate_service: PhaseGateService,
    db_service: DatabaseService,
    failed: str,
    worked: Callable[[DatabaseService, str], None],
) -> None:
    worked(db_service, failed)
    gate_service.validate_gate(failed, T)
    with pytest.raises(WaiverNotAllowed, match="worked on this phase"):
        waivers.give(failed, T, ask(by="agent-7"))
    waivers.give(failed, T, ask(by="agent-8"))


def test_work_in_another_phase_or_ticket_does_not_count(
    waivers: WaiverService, db_service: DatabaseService, failed: str
) -> None:
    other = ready_ticket(db_service, T)
    for ticket_id, phase in ((failed, P), (other, T)):
        with db_service.get_session() as session:
            task = Task(ticket_id=ticket_id, phase_id=phase, task_type="w", status="completed")
            task.assigned_agent_id = "ada"
            session.add(task)
        attach(db_service, ticket_id, P, good=True)
    waivers.give(failed, T, ask(by="ada"))


def test_a_gate_that_passed_or_was_never_reviewed_is_not_waived(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService
) -> None:
    ticket = ready_ticket(db_service, T)
    with pytest.raises(WaiverNotAllowed, match="never reviewed"):
        waivers.give(ticket, T, ask())
    gate_service.validate_gate(ticket, T)
    with pytest.raises(WaiverNotAllowed, match="nothing to waive"):
        waivers.give(ticket, T, ask())
    assert row_count(db_service) == 0


def test_a_stale_verdict_is_not_waived(
    waivers: WaiverService, db_service: DatabaseService, failed: str
) -> None:
    hand_in(db_service, failed, T, "test_results", {"report": junit(failed=3)})
    with pytest.raises(WaiverNotAllowed, match="test_results is new, changed or gone"):
        waivers.give(failed, T, ask())


def test_a_workspace_that_cannot_be_read_is_not_waived(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService, workspace: Path
) -> None:
    """The worker could go on in it, and the waiver would not notice."""
    artifacts = (("test_results", None, "junit.xml"), ("test_evidence", {"log": "3 passed"}, None))
    ticket = in_workspace(db_service, T, workspace, artifacts)
    workspace.rmdir()
    result = gate_service.validate_gate(ticket, T)
    inputs = Inputs.from_dict((result.validation_result or {})["inputs"])
    assert (result.gate_status, inputs is not None and inputs.are_known) == ("inconclusive", False)
    with pytest.raises(WaiverNotAllowed, match="could not be read"):
        waivers.give(ticket, T, ask())
    assert inputs is not None
    given = Waiver("w", ALL_PASSED, "why", "operator", datetime.now(UTC), inputs)
    assert not given.covers(inputs)
    assert replace(given, inputs=replace(inputs, workspace="d")).covers(replace(inputs, workspace="d"))


def test_a_ticket_or_phase_that_is_not_there_is_told(waivers: WaiverService, failed: str) -> None:
    with pytest.raises(NotFound):
        waivers.give("no-such-ticket", T, ask())
    with pytest.raises(NotFound):
        waivers.of_ticket("no-such-ticket")
    with pytest.raises(PhaseHasNoGate):
        waivers.give(failed, Phase.DONE, ask())


# Bound to what was reviewed


@pytest.mark.parametrize(
    "change",
    [
        lambda db, ticket: hand_in(db, ticket, T, "test_results", {"report": junit(passed=3, failed=2)}),
        lambda db, ticket: hand_in(db, ticket, T, "test_evidence", {"log": "another"}),
        lambda db, ticket: add_task(db, ticket, T, "pending"),
    ],
    ids=["what was waived", "something else", "tasks"],
)
def test_after_any_change_it_waives_nothing(
    waivers: WaiverService,
    gate_service: PhaseGateService,
    db_service: DatabaseService,
    failed: str,
    change: Callable[[DatabaseService, str], None],
) -> None:
    waivers.give(failed, T, ask())
    assert gate_service.validate_gate(failed, T).gate_status == "passed"
    change(db_service, failed)
    result = gate_service.validate_gate(failed, T)
    assert (result.gate_status, (result.validation_result or {})["waivers"]) == ("failed", [])
    with pytest.raises(GateClosed):
        PhaseService(db_service, gates=gate_service).move(failed, Move(P, "go", "operator"))


def test_what_is_as_it_was_is_waived_again(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService, failed: str
) -> None:
    waivers.give(failed, T, ask())
    hand_in(db_service, failed, T, "test_results", {"report": junit(passed=1, failed=2)})
    assert gate_service.validate_gate(failed, T).gate_status == "failed"
    hand_in(db_service, failed, T, "test_results", {"report": junit(passed=3, failed=1)})
    assert gate_service.validate_gate(failed, T).gate_status == "passed"


def test_under_another_policy_it_waives_nothing(
    waivers: WaiverService, db_service: DatabaseService, failed: str
) -> None:
    waivers.give(failed, T, ask())
    text = "version: 1\nphases:\n  testing:\n    required_artifacts: [test_results]\n"
    assert with_policy(db_service, text).validate_gate(failed, T).gate_status == "failed"


def test_it_is_no_help_to_another_ticket(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService, failed: str
) -> None:
    waivers.give(failed, T, ask())
    assert gate_service.validate_gate(failing(db_service), T).gate_status == "failed"


# Ended


def test_it_ends_by_the_clock_of_the_database(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService, failed: str
) -> None:
    until = now(db_service) + timedelta(seconds=0.6)
    waivers.give(failed, T, NewWaiver(ALL_PASSED, "for a moment", "operator", until))
    verdict = gate_service.validate_gate(failed, T)
    assert verdict.gate_status == "passed"
    while now(db_service) <= until:
        time.sleep(0.02)
    assert stale_reasons(gate_service, failed, T) == ["a waiver was given, ended or ran out"]
    with db_service.get_session() as session:
        assert not gate_service.holds(verdict, session=session)
    assert gate_service.validate_gate(failed, T).gate_status == "failed"
    assert row_count(db_service) == 1


def test_a_revoked_waiver_waives_nothing_from_now_on(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService, failed: str
) -> None:
    given = waivers.give(failed, T, ask())
    verdict = gate_service.validate_gate(failed, T)
    assert verdict.gate_status == "passed"
    ended = waivers.revoke(given.id, reason="not harmless", revoked_by="bea")
    assert (ended.revokes, ended.waived_by, ended.reason) == (given.id, "bea", "not harmless")
    assert stale_reasons(gate_service, failed, T) == ["a waiver was given, ended or ran out"]
    with db_service.get_session() as session:
        assert not gate_service.holds(verdict, session=session)
    assert gate_service.validate_gate(failed, T).gate_status == "failed"
    again = waivers.give(failed, T, ask())
    assert gate_service.validate_gate(failed, T).gate_status == "passed"
    assert [(row.id, row.revokes) for row in waivers.of_ticket(failed)] == [
        (given.id, None),
        (ended.id, given.id),
        (again.id, None),
    ]
    assert told(db_service) == ["gate.waived", "gate.waiver_revoked", "gate.waived"]


def test_only_a_waiver_can_be_revoked(waivers: WaiverService, failed: str) -> None:
    given = waivers.give(failed, T, ask())
    ended = waivers.revoke(given.id, reason="", revoked_by="bea")
    for wrong in (ended.id, failed, "", "x", "\x00", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(NotFound):
            waivers.revoke(wrong, reason="", revoked_by="bea")


@pytest.mark.parametrize("end", ["revoked", "another"])
def test_what_happens_to_waivers_between_verdict_and_move_counts(
    db_service: DatabaseService, failed: str, end: str
) -> None:
    gate = Interrupted(db_service)
    gate.then = []
    service = WaiverService(db_service, gate)
    given = service.give(failed, T, ask())
    assert gate.validate_gate(failed, T).gate_status == "passed"
    gate.then = [lambda: service.revoke(given.id, reason="", revoked_by="bea")]
    if end == "revoked":
        with pytest.raises(GateClosed):
            PhaseService(db_service, gates=gate).move(failed, Move(P, "go", "operator"))
    else:
        gate.then.append(lambda: service.give(failed, T, ask(by="cleo")))
        with pytest.raises(GateClosed):
            PhaseService(db_service, gates=gate).move(failed, Move(P, "go", "operator"))
    assert gate.check_gate_requirements(failed, T)["validation_status"] == "failed"


# The record


def test_rows_are_only_ever_added(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService, failed: str
) -> None:
    def rows() -> list[dict[str, Any]]:
        with db_service.get_session() as session:
            found = session.execute(select(GateWaiver.__table__).order_by(GateWaiver.seq))
            return [dict(row._mapping) for row in found]

    first = waivers.give(failed, T, ask())
    before = rows()
    gate_service.validate_gate(failed, T)
    waivers.revoke(first.id, reason="x", revoked_by="bea")
    gate_service.validate_gate(failed, T)
    waivers.give(failed, T, ask())
    assert rows()[:1] == before
    assert len(rows()) == 3
    for path in (Path(store.__file__), Path(store.__file__).with_name("gates.py")):
        statements = path.read_text()
        assert not re.search(r"(?i)(UPDATE|DELETE\s+FROM|TRUNCATE)\s+gate_waivers", statements)


def test_of_two_operators_at_once_one_is_told_to_look_again(db_service: DatabaseService, failed: str) -> None:
    class Slow(PhaseGateService):
        """Somebody else is quicker, after this one looked at the verdict."""

        def latest_verdict(self, ticket_id: str, phase_id: str) -> PhaseGateResult | None:
            found = super().latest_verdict(ticket_id, phase_id)
            WaiverService(db_service, PhaseGateService(db_service)).give(failed, T, ask(by="quick"))
            return found

    with pytest.raises(WaiverNotAllowed, match="changed meanwhile"):
        WaiverService(db_service, Slow(db_service)).give(failed, T, ask(by="slow"))
    assert [
        row.waived_by for row in WaiverService(db_service, PhaseGateService(db_service)).of_ticket(failed)
    ]


def test_simultaneous_waivers_leave_one(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService, failed: str
) -> None:
    def give(number: int) -> str:
        try:
            return waivers.give(failed, T, ask(by=f"operator {number}")).id
        except WaiverNotAllowed:
            return ""

    with ThreadPoolExecutor(8) as pool:
        given = [id_ for id_ in pool.map(give, range(16)) if id_]
    assert (len(given), row_count(db_service)) == (1, 1)
    assert gate_service.validate_gate(failed, T).gate_status == "passed"


def test_a_verdict_that_nobody_reached_is_not_waived(
    waivers: WaiverService, gate_service: PhaseGateService, db_service: DatabaseService, failed: str
) -> None:
    with db_service.get_session() as session:
        row = session.scalars(select(PhaseGateResult)).one()
        row.validation_result = {"code": "review_abandoned", "findings": [], "reviewed": []}
        row.gate_status = "inconclusive"
    with pytest.raises(WaiverNotAllowed, match="validate the gate first"):
        waivers.give(failed, T, ask())


# The doors


def test_http_shows_waivers_and_gives_none(services: Services, db_service: DatabaseService) -> None:
    ticket = failing(db_service)
    services.gates.validate_gate(ticket, T)
    given = services.waivers.give(ticket, T, ask())
    services.gates.validate_gate(ticket, T)
    services.phases.move(ticket, Move(P, "go", "operator"))
    with TestClient(create_app(services), base_url="http://127.0.0.1:8420") as client:
        path = f"/api/v1/tickets/{ticket}"
        [listed] = client.get(f"{path}/waivers").json()["waivers"]
        assert (listed["id"], listed["criterion"], listed["waived_by"]) == (given.id, ALL_PASSED, "operator")
        history = client.get(f"{path}/phase-history").json()
        assert [item["id"] for item in history["waivers"]] == [given.id]
        state = client.get(f"{path}/gate-status", params={"phase_id": T}).json()
        assert [item["id"] for item in state["waivers"]] == [given.id]
        answer = client.post(f"{path}/validate-gate", params={"phase_id": T}).json()
        assert [item["waiver"] for item in answer["findings"] if item["waiver"]] == [given.id]
        for method in (client.post, client.put, client.delete, client.patch):
            assert method(f"{path}/waivers").status_code == 405


def test_the_command_line_gives_lists_and_ends_waivers(
    db_service: DatabaseService, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    ticket = failing(db_service)

    def run(*arguments: str, code: int = 0) -> str:
        done = omoi(*arguments, cwd=tmp_path, OMOI_DATABASE_URL=postgres.ensure())
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    run("gate", "validate", ticket, code=1)
    day = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    waive = ("gate", "waive", ticket, "--criterion", ALL_PASSED, "--until", day, "--reason", "known")
    waiver = json.loads(run(*waive, "--json"))
    assert waiver["expires_at"].startswith(f"{day}T00:00:00")
    assert "stale" in run("gate", "status", ticket, code=5)
    assert "waived" in run("gate", "validate", ticket)
    findings = json.loads(run("gate", "validate", ticket, "--json"))["findings"]
    assert waiver["id"] in {item["waiver"] for item in findings}
    assert "nothing to waive" in run(*waive, code=4)
    assert ALL_PASSED in run("gate", "waivers", ticket)
    assert "known" in run("ticket", "history", ticket)
    assert "Ended" in run("gate", "revoke", waiver["id"], "--reason", "over")
    assert "over" in run("ticket", "history", ticket)
    run("gate", "validate", ticket, code=1)
    assert results(db_service) == [("failed", "tests_failed"), ("passed", None), ("failed", "tests_failed")]
    assert "write a day or a time" in run(*waive[:-3], "soon", "--reason", "x", code=2)
