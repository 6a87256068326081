"""A verdict is about exactly what was reviewed: what changes it, what does not, and what comes in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from omoi_os.domain.inputs import Inputs
from omoi_os.domain.phases import Phase
from omoi_os.domain.policy import PhasePolicy, Policy, built_in
from omoi_os.domain.verdict import decide
from omoi_os.errors import GateClosed, NotFound, PolicyInvalid
from omoi_os.evidence.snapshot import Snapshot, take_snapshot
from omoi_os.evidence.snapshot_store import sweep
from omoi_os.models.event import Event
from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.task import Task
from omoi_os.models.ticket import Ticket
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService, ReviewTerms
from omoi_os.services.phase_service import Move, PhaseService
from omoi_os.services.policies import PolicyService, parse_policy
from omoi_os.store import gates
from tests.command import environment
from tests.evidence_texts import junit, lcov
from tests.phase_tickets import USUAL, add_task, attach, ready_ticket
from tests.repository import commit, git, repository
from tests.test_phase_gates import GOOD

B, T, P = Phase.IMPLEMENTATION, Phase.TESTING, Phase.DEPLOYMENT
FORCE = ReviewTerms(force=True)
STRICTER = "version: 1\nphases:\n  {}:\n    criteria:\n      {}\n"

type Change = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Meddling(PolicyService):
    """A policy that is asked for at known moments of a review; then somebody else does something.

    In a workspace it is asked for once when a review is requested, once when the gate was read, and once in
    each attempt, after the artifacts were read and before the snapshot is taken.
    """

    then: list[Callable[[], object]] = field(default_factory=list)

    def of(self, phase_id: str, reviewed: Path | None = None) -> PhasePolicy:
        if self.then:
            self.then.pop(0)()
        return PolicyService.of(self, phase_id, reviewed)


def nothing() -> None:
    """Nobody does anything."""


class Interrupted(PhaseGateService):
    """A gate after whose verdict something happens, once per entry in `then`."""

    then: list[Callable[[], object]]

    def validate_gate(self, ticket_id: str, phase_id: str, *, terms: ReviewTerms = USUAL) -> PhaseGateResult:
        result = super().validate_gate(ticket_id, phase_id, terms=terms)
        if self.then:
            self.then.pop(0)()
        return result


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


@pytest.fixture
def gate(db_service: DatabaseService, store: Path) -> PhaseGateService:
    return PhaseGateService(db_service, snapshots=store)


@pytest.fixture
def repo(workspace: Path) -> Path:
    """A change with its tests on a branch, and a report that git ignores."""
    repository(
        workspace, {"src/reset.py": "def reset(token):\n    return None\n", ".gitignore": "*.info\n*.log\n"}
    )
    work = {
        "src/reset.py": "def reset(token):\n    return find(token)\n",
        "tests/test_reset.py": "def test_reset():\n    assert reset('used') is None\n",
    }
    commit(workspace, work, branch="work")
    (workspace / "lcov.info").write_text(lcov(9, 10))
    return workspace


@pytest.fixture
def ticket(db_service: DatabaseService, repo: Path) -> str:
    """A ticket whose evidence stands in the repository, and would pass."""
    artifacts = (("code_changes", {"note": "by git"}, None), ("test_coverage", None, "lcov.info"))
    return in_workspace(db_service, B, repo, artifacts)


@pytest.fixture
def tested(db_service: DatabaseService, workspace: Path) -> str:
    """A ticket whose test report stands in a plain folder, and would pass."""
    (workspace / "junit.xml").write_text(junit(passed=3))
    artifacts = (("test_results", None, "junit.xml"), ("test_evidence", {"log": "3 passed"}, None))
    return in_workspace(db_service, T, workspace, artifacts)


def in_workspace(
    db: DatabaseService,
    phase: Phase,
    workspace: Path,
    artifacts: tuple[tuple[str, dict[str, Any] | None, str | None], ...],
) -> str:
    with db.get_session() as session:
        ticket = Ticket(title="Reset", phase_id=phase, workspace_path=str(workspace))
        session.add(ticket)
        session.flush()
        session.add(Task(ticket_id=ticket.id, phase_id=phase, task_type="work", status="completed"))
        for type_, content, path in artifacts:
            session.add(
                PhaseGateArtifact(
                    ticket_id=ticket.id,
                    phase_id=phase,
                    artifact_type=type_,
                    artifact_content=content,
                    artifact_path=path,
                    collected_at=session.scalar(select(func.clock_timestamp())),
                    collected_by="worker-1",
                )
            )
        return ticket.id


def hand_in(db: DatabaseService, ticket_id: str, phase: Phase, type_: str, content: dict[str, Any]) -> None:
    with db.get_session() as session:
        session.add(
            PhaseGateArtifact(
                ticket_id=ticket_id,
                phase_id=phase,
                artifact_type=type_,
                artifact_content=content,
                collected_at=session.scalar(select(func.clock_timestamp())),
                collected_by="worker-1",
            )
        )


def with_policy(db: DatabaseService, text: str, **options: Any) -> PhaseGateService:
    return PhaseGateService(db, policies=PolicyService(parse_policy(text.encode(), "omoi.yaml")), **options)


def results(db: DatabaseService) -> list[tuple[str, str | None]]:
    """Status and code of all reviews, in their order."""
    with db.get_session() as session:
        found = session.scalars(select(PhaseGateResult).order_by(PhaseGateResult.seq))
        return [(row.gate_status, (row.validation_result or {}).get("code")) for row in found]


def events(db: DatabaseService, event_type: str = "gate.decided") -> int:
    with db.get_session() as session:
        return (
            session.scalar(select(func.count()).select_from(Event).where(Event.event_type == event_type)) or 0
        )


def told(db: DatabaseService) -> list[tuple[str, str | None]]:
    """The same, as events tell it."""
    with db.get_session() as session:
        decided = session.scalars(
            select(Event.payload).where(Event.event_type == "gate.decided").order_by(Event.seq)
        )
        return [(payload["gate_status"], payload["code"]) for payload in decided if payload]


def stale_reasons(gate: PhaseGateService, ticket_id: str, phase: Phase) -> list[str]:
    state = gate.check_gate_requirements(ticket_id, phase)
    assert state["stale"] == bool(state["stale_reasons"])
    return list(state["stale_reasons"])


# What was reviewed


def test_inputs_survive_being_stored_and_what_is_none_is_refused() -> None:
    inputs = Inputs({"a": "1"}, "p", "w", "b", "t", None, None, ("x", "y"))
    assert Inputs.from_dict(inputs.as_dict()) == inputs
    assert inputs.changes_since(inputs) == []
    nothing_of_the_kind: list[object] = [None, [], {}, {**inputs.as_dict(), "more": 1}, {"artifacts": {}}]
    for broken in nothing_of_the_kind:
        assert Inputs.from_dict(broken) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"artifacts": {"a": "2", "b": "1"}}, ["a is new, changed or gone"]),
        ({"artifacts": {"a": "1"}}, ["b is new, changed or gone"]),
        ({"artifacts": {"a": "1", "b": "1", "c": "1"}}, ["c is new, changed or gone"]),
        ({"workspace": None}, ["the workspace changed"]),
        ({"base": "x"}, ["the change is compared with another commit"]),
        ({"tasks": "x"}, ["the phase's tasks changed"]),
        ({"policy": "x"}, ["the policy changed"]),
        ({"prompts": "x"}, ["the judge's prompts changed"]),
        ({"model": "x"}, ["the judge is another model"]),
        ({"waivers": ()}, ["a waiver was given, ended or ran out"]),
        ({"policy": "x", "tasks": None}, ["the phase's tasks changed", "the policy changed"]),
    ],
)
def test_every_input_counts_and_is_named(change: dict[str, Any], said: list[str]) -> None:
    before: dict[str, Any] = {
        "artifacts": {"a": "1", "b": "1"},
        "policy": "p",
        "workspace": "w",
        "base": "b",
        "tasks": "t",
        "prompts": "r",
        "model": "m",
        "waivers": ("v",),
    }
    now = Inputs(**{**before, **change})
    assert now.changes_since(Inputs(**before)) == said
    assert now.digest != Inputs(**before).digest


def _touch(folder: Path) -> None:
    path = folder / "src/reset.py"
    text = path.read_bytes()
    path.unlink()
    path.write_bytes(text)
    os.utime(path, (1, 1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda repo: (repo / "src/reset.py").write_text("x = 1\n"), "the workspace changed"),
        (lambda repo: (repo / "src/new.py").write_text(""), "the workspace changed"),
        (lambda repo: (repo / "src/reset.py").unlink(), "the workspace changed"),
        (lambda repo: (repo / "src/reset.py").chmod(0o755), "the workspace changed"),
        (lambda repo: (repo / "src/reset.py").rename(repo / "src/other.py"), "the workspace changed"),
        (lambda repo: (repo / "src/link").symlink_to("/etc"), "the workspace changed"),
        (lambda repo: (repo / "lcov.info").write_text(lcov(8, 10)), "the workspace changed"),
        (lambda repo: (repo / "lcov.info").unlink(), "the workspace changed"),
        (
            lambda repo: git(repo, "branch", "-f", "main", "work"),
            "the change is compared with another commit",
        ),
        (lambda repo: git(repo, "commit", "-q", "--allow-empty", "-m", "as it is"), None),
        (lambda repo: (repo / "noise.log").write_text("ignored"), None),
        (_touch, None),
    ],
    ids=[
        *("changed", "new", "deleted", "mode", "renamed", "link", "report", "no report", "base"),
        *("committed", "ignored", "touched"),
    ],
)
def test_a_change_of_the_workspace_makes_the_verdict_stale(
    gate: PhaseGateService,
    db_service: DatabaseService,
    ticket: str,
    repo: Path,
    change: Change,
    said: str | None,
) -> None:
    first = gate.validate_gate(ticket, B)
    assert (first.gate_status, stale_reasons(gate, ticket, B)) == ("passed", [])
    change(repo)
    assert stale_reasons(gate, ticket, B) == ([said] if said else [])
    assert gate.is_current(first) is (said is None)
    assert (gate.validate_gate(ticket, B).id == first.id) is (said is None)


def _uncollected(db: DatabaseService, ticket_id: str) -> None:
    with db.get_session() as session:
        result = {"artifacts": {"test_results": {"report": junit(passed=4)}}}
        session.add(Task(ticket_id=ticket_id, phase_id=T, task_type="x", status="completed", result=result))


def _withdrawn(db: DatabaseService, ticket_id: str) -> None:
    with db.get_session() as session:
        session.execute(delete(PhaseGateArtifact).where(PhaseGateArtifact.artifact_type == "test_evidence"))


RESULTS = "test_results is new, changed or gone"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda db, ticket: hand_in(db, ticket, T, "test_results", {"report": junit(4)}), RESULTS),
        (lambda db, ticket: hand_in(db, ticket, T, "test_results", {"report": junit(), "n": 1}), RESULTS),
        (_uncollected, RESULTS),
        (_withdrawn, "test_evidence is new, changed or gone"),
        (lambda db, ticket: add_task(db, ticket, T, "pending"), "the phase's tasks changed"),
        (lambda db, ticket: add_task(db, ticket, T, "failed"), "the phase's tasks changed"),
        (lambda db, ticket: attach(db, ticket, T, good=True), None),
        (lambda db, ticket: add_task(db, ticket, T, "completed"), None),
        (lambda db, ticket: add_task(db, ticket, P, "pending"), None),
        (lambda db, ticket: hand_in(db, ticket, T, "notes", {"report": junit(4)}), None),
        (lambda db, ticket: hand_in(db, ticket, P, "test_results", {"report": junit(4)}), None),
    ],
    ids=[
        *("new", "claim", "uncollected", "gone", "open task", "failed task"),
        *("attached again", "completed task", "task of another phase", "not asked for", "another phase"),
    ],
)
def test_a_change_of_artifacts_or_tasks_makes_the_verdict_stale(
    gate: PhaseGateService,
    db_service: DatabaseService,
    change: Callable[[DatabaseService, str], None],
    said: str | None,
) -> None:
    ticket_id = ready_ticket(db_service, T)
    first = gate.validate_gate(ticket_id, T)
    assert (first.gate_status, stale_reasons(gate, ticket_id, T)) == ("passed", [])
    change(db_service, ticket_id)
    assert stale_reasons(gate, ticket_id, T) == ([said] if said else [])
    assert (gate.validate_gate(ticket_id, T).id == first.id) is (said is None)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        (STRICTER.format("implementation", "test_coverage: {min_percentage: 95}"), True),
        (STRICTER.format("implementation", "test_coverage: {min_percentage: {claims: accept}}"), True),
        (STRICTER.format("implementation", "test_coverage: {min_percentage: {severity: warn}}"), True),
        ("version: 1\nphases:\n  implementation:\n    advance: manual\n", False),
        ("version: 1\nphases:\n  testing:\n    required_artifacts: [test_results]\n", False),
        ("version: 1\n", False),
    ],
)
def test_another_policy_for_the_phase_makes_the_verdict_stale(
    gate: PhaseGateService, db_service: DatabaseService, text: str, changed: bool
) -> None:
    ticket_id = ready_ticket(db_service, B)
    gate.validate_gate(ticket_id, B)
    other = with_policy(db_service, text)
    assert stale_reasons(other, ticket_id, B) == (["the policy changed"] if changed else [])


def test_a_verdict_that_names_nothing_it_was_reached_on_is_stale(
    gate: PhaseGateService, db_service: DatabaseService
) -> None:
    ticket_id = ready_ticket(db_service, T)
    first = gate.validate_gate(ticket_id, T)
    with db_service.get_session() as session:
        row = session.get_one(PhaseGateResult, first.id)
        row.validation_result = {
            name: value for name, value in (row.validation_result or {}).items() if name != "inputs"
        }
    assert stale_reasons(gate, ticket_id, T) == [
        "that review came to nothing: it names nothing that it was reached on"
    ]
    assert gate.validate_gate(ticket_id, T).id != first.id


# The same inputs


@pytest.mark.parametrize("good", [True, False])
def test_unchanged_inputs_are_answered_by_the_stored_verdict(
    gate: PhaseGateService, db_service: DatabaseService, good: bool
) -> None:
    ticket_id = ready_ticket(db_service, T)
    if not good:
        hand_in(db_service, ticket_id, T, "test_results", {"report": junit(failed=1)})
    first = gate.validate_gate(ticket_id, T)
    other = PhaseGateService(db_service)
    again = [service.validate_gate(ticket_id, T) for service in (gate, other, gate)]
    assert {(row.id, row.validated_at, row.gate_status) for row in again} == {
        (first.id, first.validated_at, "passed" if good else "failed")
    }
    assert again[0].validation_result == first.validation_result
    assert (len(results(db_service)), events(db_service)) == (1, 1)


def test_a_workspace_that_did_not_change_is_not_copied_again(
    gate: PhaseGateService, db_service: DatabaseService, ticket: str, store: Path
) -> None:
    first = gate.validate_gate(ticket, B)
    (store / ".gitignore").unlink()
    store.rmdir()
    assert gate.validate_gate(ticket, B).id == first.id
    assert not store.exists()
    assert (len(results(db_service)), events(db_service)) == (1, 1)


def test_force_measures_anew(gate: PhaseGateService, db_service: DatabaseService, ticket: str) -> None:
    ids = {gate.validate_gate(ticket, B, terms=terms).id for terms in (USUAL, FORCE, USUAL, FORCE)}
    assert (len(ids), len(results(db_service)), events(db_service)) == (3, 3, 3)


def test_an_inconclusive_verdict_is_measured_anew(
    gate: PhaseGateService, db_service: DatabaseService
) -> None:
    ticket_id = ready_ticket(db_service, T)
    hand_in(db_service, ticket_id, T, "test_results", {"report": "<html/>"})
    assert {gate.validate_gate(ticket_id, T).gate_status for _ in range(3)} == {"inconclusive"}
    assert (len(results(db_service)), events(db_service)) == (3, 3)


def test_an_earlier_pass_does_not_answer_after_a_later_failure(
    gate: PhaseGateService, db_service: DatabaseService
) -> None:
    ticket_id = ready_ticket(db_service, T)
    passed = gate.validate_gate(ticket_id, T)
    hand_in(db_service, ticket_id, T, "test_results", {"report": junit(failed=1)})
    assert gate.validate_gate(ticket_id, T).gate_status == "failed"
    attach(db_service, ticket_id, T, good=True)
    again = gate.validate_gate(ticket_id, T)
    assert (again.gate_status, again.id != passed.id) == ("passed", True)


def test_the_same_text_at_another_path_is_another_artifact(
    gate: PhaseGateService, db_service: DatabaseService, tested: str, workspace: Path
) -> None:
    (workspace / "again.xml").write_text(junit(passed=3))
    first = gate.validate_gate(tested, T)
    with db_service.get_session() as session:
        session.add(
            PhaseGateArtifact(
                ticket_id=tested,
                phase_id=T,
                artifact_type="test_results",
                artifact_path="again.xml",
                collected_at=session.scalar(select(func.clock_timestamp())),
                collected_by="worker-1",
            )
        )
    assert stale_reasons(gate, tested, T) == [RESULTS]
    assert gate.validate_gate(tested, T).id != first.id


# Between the verdict and the move


@dataclass(frozen=True, slots=True)
class Case:
    """A ticket, its repository and the gate that it is about to pass."""

    gate: PhaseGateService
    repo: Path
    ticket: str

    def write(self, name: str, text: str) -> None:
        (self.repo / name).write_text(text)

    def move_base(self) -> None:
        git(self.repo, "branch", "-f", "main", "work")

    def ask_for(self, percent: int) -> None:
        text = STRICTER.format("implementation", f"test_coverage: {{min_percentage: {percent}}}")
        self.gate.stages.policies = PolicyService(parse_policy(text.encode(), "omoi.yaml"))

    def hand_in(self, covered: int) -> None:
        hand_in(self.gate.db, self.ticket, B, "test_coverage", {"report": lcov(covered, 10)})

    def add_task(self) -> None:
        add_task(self.gate.db, self.ticket, B, "pending")


@pytest.mark.parametrize(
    "happens",
    [
        lambda case: case.write("lcov.info", lcov(1, 10)),
        lambda case: case.write("tests/test_reset.py", ""),
        lambda case: case.move_base(),
        lambda case: case.ask_for(95),
        lambda case: case.hand_in(1),
        lambda case: case.add_task(),
    ],
    ids=["report", "file", "base", "policy", "artifact", "task"],
)
def test_what_changes_between_verdict_and_move_closes_the_gate(
    db_service: DatabaseService, store: Path, ticket: str, repo: Path, happens: Callable[[Case], object]
) -> None:
    gate = Interrupted(db_service, snapshots=store)
    gate.then = [lambda: happens(Case(gate, repo, ticket))]
    with pytest.raises(GateClosed):
        PhaseService(db_service, gates=gate).move(ticket, Move(T, "done", "ada"))
    with db_service.get_session() as session:
        assert session.get_one(Ticket, ticket).phase_id == B
        assert session.scalars(select(PhaseHistory)).all() == []


@pytest.mark.parametrize(
    ("happens", "holds"),
    [
        (lambda case: case.hand_in(1), False),
        (lambda case: case.hand_in(10), False),
        (lambda case: case.add_task(), False),
        (lambda case: case.ask_for(81), False),
        (lambda case: case.ask_for(80), True),
    ],
    ids=["artifact", "better artifact", "task", "policy", "same policy"],
)
def test_the_transaction_itself_looks_again(
    gate: PhaseGateService,
    db_service: DatabaseService,
    ticket: str,
    repo: Path,
    happens: Callable[[Case], object],
    holds: bool,
) -> None:
    verdict = gate.validate_gate(ticket, B)
    happens(Case(gate, repo, ticket))
    with db_service.get_session() as session:
        assert gate.holds(verdict, session=session) is holds
        assert gate.is_about(verdict, session=session) is holds


def test_a_result_that_nobody_collected_holds_nothing_open(
    gate: PhaseGateService, db_service: DatabaseService
) -> None:
    ticket_id = ready_ticket(db_service, T)
    verdict = gate.validate_gate(ticket_id, T)
    with db_service.get_session() as session:
        assert gate.holds(verdict, session=session)
    _uncollected(db_service, ticket_id)
    with db_service.get_session() as session:
        assert not gate.holds(verdict, session=session)


def test_a_move_needs_the_workspace_that_was_reviewed(
    db_service: DatabaseService, store: Path, ticket: str, repo: Path
) -> None:
    """What is as good as before opens the gate, and the history names the verdict on that."""
    gate = Interrupted(db_service, snapshots=store)
    gate.then = [lambda: (repo / "lcov.info").write_text(lcov(10, 10))]
    moved = PhaseService(db_service, gates=gate).move(ticket, Move(T, "done", "ada"))
    assert results(db_service) == [("passed", None), ("passed", None)]
    newest = gate.latest_verdict(ticket, B)
    assert newest is not None
    assert moved.gate_result_id == newest.id


# The policy


@pytest.mark.parametrize("inside", ["omoi.yaml", "deep/er/omoi.yaml"])
def test_a_policy_in_the_reviewed_workspace_is_refused(
    db_service: DatabaseService, ticket: str, repo: Path, inside: str
) -> None:
    gate = PhaseGateService(db_service, policies=PolicyService(built_in(), repo / inside))
    for ask in (gate.validate_gate, gate.check_gate_requirements):
        with pytest.raises(PolicyInvalid, match="lies in the folder that is reviewed"):
            ask(ticket, B)
    assert results(db_service) == []


def test_the_policy_of_a_verdict_can_be_read_back(db_service: DatabaseService) -> None:
    text = STRICTER.format("testing", "test_results: {all_passed: true}") + "    advance: manual\n"
    gate = with_policy(db_service, text)
    digest = (gate.validate_gate(ready_ticket(db_service, T), T).validation_result or {})["policy"]
    kept = Policy.from_dict(PhaseGateService(db_service).kept_policy(digest))
    assert (kept, kept.digest) == (gate.policies.policy, digest)
    for wrong in ("", "0" * 64, digest[:-1], digest.upper() + "x", "\x00"):
        with pytest.raises(NotFound):
            gate.kept_policy(wrong)


# One open review


def _opened(db: DatabaseService, ticket_id: str, phase: Phase, lease: float) -> str:
    """A review that somebody else began, and does not end."""
    question = gates.GateQuestion(ticket_id, phase, ())
    with db.single_statements() as connection:
        unused = gates.Decision(question, decide([]), "other", None)
        found = gates.open_review(connection, question, "other", lease, unused)
    assert found is not None
    return found.id


def test_a_second_request_gets_the_open_review(
    gate: PhaseGateService, db_service: DatabaseService, ticket: str
) -> None:
    last = gate.validate_gate(ticket, B)
    open_id = _opened(db_service, ticket, B, 900)
    for _ in range(2):
        running = gate.validate_gate(ticket, B, terms=FORCE)
        assert (running.id, running.gate_status, running.validated_at) == (open_id, "pending", None)
    state = gate.check_gate_requirements(ticket, B)
    assert (state["gate_status"], state["validation_status"], state["stale"]) == ("pending", "passed", False)
    assert state["validated_at"] == last.validated_at
    found = gate.latest_verdict(ticket, B)
    assert found is not None
    assert found.id == last.id
    assert (len(results(db_service)), events(db_service)) == (2, 1)


def test_a_pending_review_opens_nothing(
    gate: PhaseGateService, db_service: DatabaseService, ticket: str
) -> None:
    _opened(db_service, ticket, B, 900)
    with pytest.raises(GateClosed) as closed:
        PhaseService(db_service, gates=gate).move(ticket, Move(T, "done", "ada"))
    assert closed.value.facts["gate_status"] == "pending"


def test_a_review_that_nobody_ends_is_taken_over_after_its_lease(
    gate: PhaseGateService, db_service: DatabaseService, ticket: str
) -> None:
    left = _opened(db_service, ticket, B, -1)
    result = gate.validate_gate(ticket, B)
    assert (result.gate_status, result.id == left) == ("passed", False)
    assert results(db_service) == [("inconclusive", "review_abandoned"), ("passed", None)]
    assert told(db_service) == results(db_service)
    abandoned = gate.find_result(left)
    assert abandoned is not None
    assert (abandoned.lease_until, abandoned.validated_by) == (None, "other")
    assert "did not come to an end" in (abandoned.blocking_reasons or [""])[0]
    question = gates.GateQuestion(ticket, B, ())
    with db_service.single_statements() as connection:
        late = gates.Decision(question, decide([]), "other", None, {}, left)
        assert gates.record_result(connection, late) is None
    assert results(db_service)[0] == ("inconclusive", "review_abandoned")


def test_whoever_was_overtaken_answers_with_the_other_verdict(
    gate: PhaseGateService, db_service: DatabaseService, ticket: str, store: Path
) -> None:
    others: list[PhaseGateResult] = []
    overtake = lambda: others.append(gate.validate_gate(ticket, B))  # noqa: E731
    policies = Meddling(built_in(), then=[nothing, nothing, overtake])
    slow = PhaseGateService(db_service, policies=policies, snapshots=store, lease=-1)
    assert slow.validate_gate(ticket, B).id == others[0].id
    assert results(db_service) == [("inconclusive", "review_abandoned"), ("passed", None)]


def test_simultaneous_requests_make_one_review(
    gate: PhaseGateService, db_service: DatabaseService, ticket: str
) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: gate.validate_gate(ticket, B), range(12)))
    assert {answer.gate_status for answer in answers} <= {"passed", "pending"}
    assert results(db_service) == [("passed", None)]
    assert len({answer.id for answer in answers}) == 1


def test_an_error_in_a_review_ends_it(db_service: DatabaseService, ticket: str, store: Path) -> None:
    store.write_text("no folder")
    gate = PhaseGateService(db_service, snapshots=store)
    with pytest.raises(OSError, match="snapshots"):
        gate.validate_gate(ticket, B)
    assert told(db_service) == results(db_service) == [("inconclusive", "review_abandoned")]
    store.unlink()
    assert gate.validate_gate(ticket, B).gate_status == "passed"


def test_a_ticket_that_goes_away_in_mid_review_is_not_found(
    db_service: DatabaseService, ticket: str, store: Path
) -> None:
    def remove() -> None:
        with db_service.get_session() as session:
            session.execute(delete(Ticket).where(Ticket.id == ticket))

    policies = Meddling(built_in(), then=[nothing, nothing, remove])
    with pytest.raises(NotFound):
        PhaseGateService(db_service, policies=policies, snapshots=store).validate_gate(ticket, B)


def test_evidence_that_arrives_in_mid_review_is_reviewed(
    db_service: DatabaseService, ticket: str, store: Path
) -> None:
    worse = lambda: hand_in(db_service, ticket, B, "test_coverage", {"report": lcov(1, 10)})  # noqa: E731
    policies = Meddling(built_in(), then=[nothing, nothing, worse])
    result = PhaseGateService(db_service, policies=policies, snapshots=store).validate_gate(ticket, B)
    assert (result.gate_status, (result.validation_result or {})["code"]) == (
        "failed",
        "coverage_below_minimum",
    )
    assert len(results(db_service)) == 1


@pytest.mark.parametrize("arrives", ["task", "result"])
def test_work_that_arrives_in_mid_review_is_reviewed(
    db_service: DatabaseService, tested: str, store: Path, arrives: str
) -> None:
    def work() -> None:
        result = {"artifacts": {"test_results": {"report": junit(failed=1)}}}
        with db_service.get_session() as session:
            status = "pending" if arrives == "task" else "completed"
            session.add(Task(ticket_id=tested, phase_id=T, task_type="x", status=status, result=result))

    policies = Meddling(built_in(), then=[nothing, nothing, work])
    result = PhaseGateService(db_service, policies=policies, snapshots=store).validate_gate(tested, T)
    code = "tasks_open" if arrives == "task" else "tests_failed"
    assert results(db_service) == [("failed", code)]
    assert result.gate_status == "failed"


def test_artifacts_that_never_hold_still_are_inconclusive(
    db_service: DatabaseService, ticket: str, store: Path
) -> None:
    more = lambda: hand_in(db_service, ticket, B, "code_changes", {"note": time.time()})  # noqa: E731
    policies = Meddling(built_in(), then=[nothing, nothing, more, more, more])
    gate = PhaseGateService(db_service, policies=policies, snapshots=store)
    result = gate.validate_gate(ticket, B)
    assert (result.gate_status, (result.validation_result or {})["code"]) == (
        "inconclusive",
        "evidence_changed",
    )
    assert stale_reasons(gate, ticket, B)
    assert policies.then == []
    assert gate.validate_gate(ticket, B).gate_status == "passed"


# The snapshot


def test_inline_evidence_needs_no_snapshot_and_no_open_review(
    gate: PhaseGateService, db_service: DatabaseService, store: Path, workspace: Path
) -> None:
    artifacts = tuple((type_, content, None) for type_, content in GOOD[T].items())
    ticket_id = in_workspace(db_service, T, workspace, artifacts)
    result = gate.validate_gate(ticket_id, T)
    inputs = (result.validation_result or {})["inputs"]
    assert (result.gate_status, inputs["workspace"], inputs["base"]) == ("passed", None, None)
    assert not store.exists()
    (workspace / "new.txt").write_text("x")
    assert stale_reasons(gate, ticket_id, T) == []


def test_snapshots_are_gone_afterwards(
    gate: PhaseGateService, ticket: str, tested: str, repo: Path, store: Path
) -> None:
    for ticket_id, phase in ((ticket, B), (tested, T)):
        assert gate.validate_gate(ticket_id, phase, terms=FORCE).gate_status == "passed"
    (repo / "junit.xml").unlink()
    assert gate.validate_gate(tested, T).gate_status == "failed"
    assert [path.name for path in store.iterdir()] == [".gitignore"]


def test_the_base_is_that_of_the_snapshot(repo: Path, store: Path) -> None:
    taken = take_snapshot(repo, store / "one")
    assert isinstance(taken, Snapshot)
    with taken as snapshot:
        before = snapshot.base()
        git(repo, "branch", "-f", "main", "work")
        assert snapshot.base() == before == git(repo, "rev-parse", "work~1").strip()


LARGE = 150_000


@pytest.fixture
def slow_review(db_service: DatabaseService, workspace: Path) -> str:
    """A ticket whose first report takes a good while to read, and whose second one is read after it."""
    (workspace / "large.xml").write_text(junit(passed=LARGE))
    (workspace / "small.xml").write_text(junit(passed=1))
    artifacts = (
        ("test_results", {"paths": ["large.xml", "small.xml"]}, None),
        ("test_evidence", {"log": "passed"}, None),
    )
    return in_workspace(db_service, T, workspace, artifacts)


def _is_sealed(store: Path) -> bool:
    """Whether a snapshot is complete."""
    for tree in store.glob("*/tree"):
        try:
            if tree.stat().st_mode & 0o777 == 0o555:
                return True
        except FileNotFoundError:
            continue
    return False


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_evidence_is_read_from_the_snapshot_only(
    gate: PhaseGateService,
    db_service: DatabaseService,
    slow_review: str,
    workspace: Path,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate.stages, "stands", lambda *_: True)
    done = threading.Event()

    def worker() -> None:
        _wait_for(lambda: _is_sealed(store) or done.is_set())
        (workspace / "small.xml").write_text(junit(failed=1))

    thread = threading.Thread(target=worker)
    thread.start()
    result = gate.validate_gate(slow_review, T)
    done.set()
    thread.join()
    [found] = [
        item["found"]
        for item in (result.validation_result or {})["findings"]
        if item["criterion"] == "test_results.all_passed"
    ]
    assert (result.gate_status, f"{LARGE + 1:,}" in found) == ("passed", True), found
    assert stale_reasons(gate, slow_review, T) == ["the workspace changed"]
    with pytest.raises(GateClosed):
        PhaseService(db_service, gates=gate).move(slow_review, Move(P, "done", "ada"))


def test_what_changes_in_mid_review_is_reviewed(
    gate: PhaseGateService, slow_review: str, workspace: Path, store: Path
) -> None:
    def worker() -> None:
        _wait_for(lambda: _is_sealed(store))
        (workspace / "small.xml").write_text(junit(failed=1))

    thread = threading.Thread(target=worker)
    thread.start()
    result = gate.validate_gate(slow_review, T)
    thread.join()
    assert (result.gate_status, stale_reasons(gate, slow_review, T)) == ("failed", [])


def test_a_workspace_that_never_holds_still_is_inconclusive(
    gate: PhaseGateService, tested: str, workspace: Path
) -> None:
    for number in range(300):
        (workspace / f"file_{number}.txt").write_text("x" * 2000)
    stop = threading.Event()

    def worker() -> None:
        # The last name in the list is written all the time, and so is the first.
        while not stop.is_set():
            for name in ("a.txt", "zz.txt"):
                (workspace / name).write_text(f"{time.perf_counter_ns()}")

    thread = threading.Thread(target=worker)
    thread.start()
    try:
        result = gate.validate_gate(tested, T)
    finally:
        stop.set()
        thread.join()
    assert result.gate_status == "inconclusive"
    assert (result.validation_result or {})["code"] == "evidence_workspace_changed"
    assert gate.validate_gate(tested, T).gate_status == "passed"


# Processes that stop


@pytest.fixture
def reviewer(
    db_service: DatabaseService, tested: str, workspace: Path, store: Path
) -> Iterator[subprocess.Popen[str]]:
    """Another process, frozen in the middle of a review with a lease of a moment; it holds a snapshot."""
    address = db_service.engine.url.render_as_string(hide_password=False)
    script = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from tests.test_verdict_binding import *\n"
        f"db, store = DatabaseService({address!r}), Path({str(store)!r})\n"
        "def freeze():\n"
        f"    global held; held = take_snapshot(Path({str(workspace)!r}), store / 'held')\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "policies = Meddling(built_in(), then=[nothing, nothing, freeze])\n"
        "gate = PhaseGateService(db, policies=policies, snapshots=store, lease=0.2)\n"
        f"print(gate.validate_gate({tested!r}, 'testing').id)\n"
        "db.close()\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            _wait_for(lambda: _is_stopped(process.pid))
            time.sleep(0.25)
            yield process
        finally:
            process.kill()


def _is_stopped(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    assert state != "Z", "it ended"
    return state == "T"


def test_a_killed_review_is_pending_until_its_lease_is_over(
    gate: PhaseGateService,
    db_service: DatabaseService,
    tested: str,
    reviewer: subprocess.Popen[str],
    store: Path,
) -> None:
    assert results(db_service) == [("pending", None)]
    assert sweep(store, alive=lambda _: False, older_than=0) == []
    reviewer.kill()
    reviewer.wait()
    assert gate.validate_gate(tested, T).gate_status == "passed"
    assert results(db_service) == [("inconclusive", "review_abandoned"), ("passed", None)]
    assert sweep(store, alive=lambda _: False, older_than=0) == ["held"]
    assert [path.name for path in store.iterdir()] == [".gitignore"]


def test_a_frozen_review_that_wakes_changes_nothing(
    gate: PhaseGateService,
    db_service: DatabaseService,
    tested: str,
    reviewer: subprocess.Popen[str],
) -> None:
    result = gate.validate_gate(tested, T)
    reviewer.send_signal(signal.SIGCONT)
    answer, _ = reviewer.communicate(timeout=60)
    assert answer.strip() == result.id
    assert results(db_service) == [("inconclusive", "review_abandoned"), ("passed", None)]
    assert told(db_service) == results(db_service)
