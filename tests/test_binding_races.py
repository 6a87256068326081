"""Evidence that arrives while tickets move, and many who validate and move at once.

OMOI_ROUNDS asks for more rounds than the few of every day; OMOI_TICKETS for more crowded tickets.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from omoi_os.api.app import create_app
from omoi_os.bootstrap import Services, services_on
from omoi_os.domain.phases import Phase
from omoi_os.errors import GateClosed
from omoi_os.models.event import Event
from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService
from omoi_os.services.phase_service import Move, PhaseService
from omoi_os.services.tickets import NewArtifact, TicketService
from omoi_os.settings import Settings
from tests.evidence_texts import junit
from tests.phase_tickets import ready_ticket

ROUNDS = int(os.environ.get("OMOI_ROUNDS", "60"))
CROWDED = int(os.environ.get("OMOI_TICKETS", "4"))
T, P = Phase.TESTING, Phase.DEPLOYMENT
FAILING = NewArtifact("test_results", content={"report": junit(failed=1)}, phase_id=T)
LARGER = NewArtifact("test_results", content={"report": junit(passed=5)}, phase_id=T)


@dataclass(frozen=True, slots=True)
class Round:
    """How one race ended."""

    moved: bool
    reviewed_last: bool


def race(db: DatabaseService, gate: PhaseGateService, new: NewArtifact, delays: Sequence[float]) -> Round:
    """An artifact and a transition of one ticket, each begun after its delay."""
    ticket_id = ready_ticket(db, T)
    phases, tickets = PhaseService(db, gates=gate), TicketService(db)
    start = threading.Barrier(2)

    def attach() -> None:
        start.wait()
        time.sleep(delays[0])
        tickets.add_artifact(ticket_id, new, collected_by="worker-1")

    thread = threading.Thread(target=attach)
    thread.start()
    start.wait()
    time.sleep(delays[1])
    try:
        phases.move(ticket_id, Move(P, "done", "ada"))
    except GateClosed:
        moved = False
    else:
        moved = True
    thread.join()
    return Round(moved, _check(db, ticket_id, new, moved=moved))


def _check(db: DatabaseService, ticket_id: str, new: NewArtifact, *, moved: bool) -> bool:
    """That nothing went through on evidence that was not reviewed; whether the new artifact was reviewed.

    A transaction that began later has the larger id; whether it committed earlier, the row itself does not
    say. The lock does: an artifact that was written before the move had the ticket's lock is in its verdict,
    and one that waited for that lock was written (its clock was read) when the move had been made.
    """
    with db.get_session() as session:
        artifact = session.scalars(
            select(PhaseGateArtifact)
            .where(
                PhaseGateArtifact.ticket_id == ticket_id, PhaseGateArtifact.artifact_content == new.content
            )
            .order_by(PhaseGateArtifact.seq.desc())
        ).first()
        assert artifact is not None
        move = session.scalars(select(PhaseHistory).where(PhaseHistory.ticket_id == ticket_id)).one_or_none()
        assert (move is not None) is moved
        if move is None:
            assert new is FAILING
            return True
        verdict = session.get_one(PhaseGateResult, move.gate_result_id)
        reviewed = {item["id"] for item in (verdict.validation_result or {})["reviewed"]}
        told = {
            event.event_type: event.seq
            for event in session.scalars(select(Event).where(Event.entity_id == ticket_id))
        }
        assert verdict.gate_status == "passed"
    if artifact.id in reviewed:
        assert new is LARGER, "a failing report went through"
        return True
    assert told["artifact.added"] > told["ticket.moved"], "it was there before the move, and not reviewed"
    return False


@pytest.mark.timeout(3000)
def test_nothing_goes_through_on_evidence_that_was_not_reviewed(db_service: DatabaseService) -> None:
    gate = PhaseGateService(db_service)
    seed = random.Random(7)
    # The whole move takes some milliseconds: the artifact arrives before, during and after it.
    plans = [
        (seed.choice((FAILING, LARGER)), (seed.uniform(0, 0.012), seed.uniform(0, 0.004)))
        for _ in range(ROUNDS)
    ]
    with ThreadPoolExecutor(4) as pool:
        rounds = list(pool.map(lambda plan: race(db_service, gate, *plan), plans))
    ends = {
        "closed": sum(not one.moved for one in rounds),
        "reviewed": sum(one.moved and one.reviewed_last for one in rounds),
        "too late": sum(not one.reviewed_last for one in rounds),
    }
    print(f"{ROUNDS} races: {ends}")  # noqa: T201 - for those who ask for many
    assert all(ends.values()), ends


@pytest.mark.timeout(3000)
def test_of_a_crowd_exactly_one_moves_each_ticket_and_nobody_sees_an_error(
    db_service: DatabaseService, services: Services
) -> None:
    address = db_service.engine.url.render_as_string(hide_password=False)
    crowd = DatabaseService(address, pool_size=16)
    answers: list[tuple[str, int]] = []
    try:
        app = create_app(services_on(crowd, Settings(database_url=address)))
        with TestClient(app, base_url="http://127.0.0.1:8420", raise_server_exceptions=False) as client:
            for _ in range(CROWDED):
                answers += _crowd(client, ready_ticket(db_service, T))
    finally:
        crowd.close()
    statuses = {status for _, status in answers}
    assert statuses <= {200, 409}, statuses
    assert sum(what == "transition" and status == 200 for what, status in answers) == CROWDED
    assert all(status == 200 for what, status in answers if what == "validate-gate")
    with db_service.get_session() as session:
        moves = session.execute(
            select(PhaseHistory.ticket_id, func.count()).group_by(PhaseHistory.ticket_id)
        ).all()
        assert [count for _, count in moves] == [1] * CROWDED


def _crowd(client: TestClient, ticket_id: str) -> list[tuple[str, int]]:
    """32 requests at once, of which every second one would move the ticket."""

    def ask(number: int) -> tuple[str, int]:
        path = f"/api/v1/tickets/{ticket_id}"
        if number % 2:
            body = {"to_phase": P, "reason": f"request {number}"}
            return "transition", client.post(f"{path}/transition", json=body).status_code
        force: dict[str, str | bool] = {"phase_id": T, "force": number % 4 == 0}
        return "validate-gate", client.post(f"{path}/validate-gate", params=force).status_code

    with ThreadPoolExecutor(32) as pool:
        return list(pool.map(ask, range(32)))
