"""Tickets are made where their phase says, and listed without what may be large."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect

from omoi_os.bootstrap import Services
from omoi_os.domain.phases import WORK_PHASES, Phase, status_in
from omoi_os.errors import InvalidInput, NotFound
from omoi_os.models.ticket import Ticket
from omoi_os.services.phase_service import Move
from omoi_os.services.tickets import NewTicket
from tests.queue_tasks import HOSTILE_IDS


@pytest.mark.parametrize("phase", [Phase.BACKLOG, *WORK_PHASES])
def test_a_ticket_made_in_a_phase_stands_as_one_that_moved_there(services: Services, phase: Phase) -> None:
    made = services.tickets.create(NewTicket("x", phase_id=phase))
    moved = services.tickets.create(
        NewTicket("y", phase_id=Phase.DESIGN if phase is Phase.BACKLOG else "backlog")
    )
    services.phases.move(moved.id, Move(phase, "for the test", "tester", force=True))
    assert made.status == services.tickets.get(moved.id).status == status_in(phase)


@pytest.mark.parametrize("limit", [0, -1, 1001, 10**9])
def test_a_page_has_an_end(services: Services, limit: int) -> None:
    ticket = services.tickets.create(NewTicket("x")).id
    with pytest.raises(InvalidInput, match="limit"):
        services.tickets.list(limit=limit)
    with pytest.raises(InvalidInput, match="limit"):
        services.tickets.history(ticket, limit=limit)


def test_a_list_leaves_the_contexts_where_they_are(services: Services) -> None:
    with services.db.get_session() as session:
        session.add(Ticket(title="x", context={"decisions": ["x" * 1000]}, context_summary="x" * 1000))
    (ticket,) = services.tickets.list().tickets
    assert inspect(ticket).unloaded >= {"context", "context_summary"}


@pytest.mark.parametrize("id_", HOSTILE_IDS)
def test_the_history_of_a_ticket_that_nobody_knows(services: Services, id_: str) -> None:
    with pytest.raises(NotFound):
        services.tickets.history(id_)
