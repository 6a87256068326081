"""Reviews that are asked for: exactly one where one is wanted, none lost, and no key stands for two."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy.orm import Session

from omoi_os.bootstrap import Services, services_on
from omoi_os.domain.inputs import digest_of
from omoi_os.domain.judging import Opinion, no_opinion
from omoi_os.domain.reviews import Cause
from omoi_os.errors import (
    IdempotencyKeyReused,
    InvalidInput,
    NotFound,
    PhaseHasNoGate,
    ReviewOver,
    UnknownPhase,
)
from omoi_os.models import PhaseGateResult, Ticket
from omoi_os.models.phases import Phase
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.durable_reviews import DurableReviews
from omoi_os.services.engine import Job
from omoi_os.services.gate.record import without_evidence
from omoi_os.services.review_requests import CANCELLED, Asked
from omoi_os.settings import Settings
from omoi_os.store import idempotency, reviews, tickets
from tests.phase_tickets import attach, ready_ticket
from tests.test_consequences import PHASE, attach_text, hand_in, place, worked_off
from tests.test_durable_reviews import MET, OneJudge, run, steps_of, taken, waiting, with_judge
from tests.workers import until

ADA = Asked("ada")


@pytest.fixture
def services(db_service: DatabaseService) -> Services:
    return services_on(db_service, Settings())


def together[T](*calls: Callable[[], T]) -> list[T]:
    """What calls that begin at the same moment return."""
    start = Barrier(len(calls))

    def begin(call: Callable[[], T]) -> T:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))


def reviews_of(services: Services, ticket: str) -> list[PhaseGateResult]:
    return list(services.requests.list(ticket_id=ticket).reviews)


class Remembers:
    """An engine that keeps what it is given, and runs nothing."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.cancelled: list[str] = []

    def prepare(self) -> None: ...

    def enqueue(self, _session: Session, job: Job) -> None:
        self.jobs.append(job)

    def cancel(self, workflow_id: str) -> None:
        self.cancelled.append(workflow_id)


# Completed phases


def test_two_last_tasks_that_end_at_the_same_moment_ask_for_exactly_one_review(services: Services) -> None:
    for _ in range(60):
        with services.db.get_session() as session:
            made = Ticket(title="Reset", phase_id=PHASE)
            session.add(made)
            session.flush()
            ticket = made.id
        for _task in range(2):
            services.queue.enqueue_task(ticket, PHASE, "work", "Do it", "HIGH")

        def end(agent: str, task: str) -> None:
            services.queue.complete_task(task, agent, {})

        claimed = [(agent, services.queue.claim_next_task(agent, PHASE)) for agent in ("ada", "bob")]
        together(*[partial(end, agent, task.id) for agent, task in claimed if task is not None])
        (review,) = reviews_of(services, ticket)
        assert (review.gate_status, review.cause, review.carry_on) == ("pending", "phase_completed", True)


# Requests


def test_a_request_while_one_is_pending_adds_what_it_wants_to_it(services: Services) -> None:
    ticket = ready_ticket(services.db, PHASE)
    first = services.requests.request(ticket, None, ADA)
    assert (first.gate_status, first.stage, first.cause) == ("pending", "queued", "request")
    assert (first.carry_on, first.force, first.validated_by) == (False, False, "ada")
    forced = services.requests.request(ticket, PHASE, Asked("bob", force=True))
    carried = services.requests.request(ticket, "requirements", Asked("eve", carry_on=True))
    assert {first.id, forced.id, carried.id} == {first.id}
    assert (carried.carry_on, carried.force, carried.validated_by) == (True, True, "ada")
    plain = services.requests.request(ticket, PHASE, ADA)
    assert (plain.carry_on, plain.force) == (True, True)


def test_many_who_ask_at_once_get_one_review(services: Services) -> None:
    ticket = ready_ticket(services.db, PHASE)
    asked = [lambda: services.requests.request(ticket, PHASE, ADA).id] * 16
    assert len(set(together(*asked))) == 1


def test_a_request_that_races_with_a_decision_is_not_lost(services: Services) -> None:
    """Whatever was there when somebody asked is what the last verdict is about, or a review is pending."""
    steps = steps_of(services)
    ends = {"decided before": 0, "decided after": 0}
    for number in range(40):
        ticket = worked_off(services, good=False)
        desk = taken(steps, waiting(services, ticket).id, judges=False)
        measured = steps.measure(desk, steps.snapshot(desk))["measured"]

        def ask(ticket: str = ticket, number: int = number) -> str:
            attach(services.db, ticket, PHASE, good=True, run=number)
            return services.requests.request(ticket, PHASE, ADA).id

        def record(desk: Any = desk, measured: Any = measured) -> str:
            return str(steps.record(desk, measured, None)["state"])

        asked, state = together(ask, record)
        pending = services.requests.list(ticket_id=ticket, status="pending").reviews
        last = services.gates.latest_verdict(ticket, PHASE)
        assert pending or (last is not None and services.gates.is_current(last))
        ends["decided before" if asked != desk.review_id else "decided after"] += 1
        assert state in ("decided", "changed")
    assert all(ends.values()), ends


def test_a_force_that_comes_while_the_last_verdict_is_repeated_is_not_lost(services: Services) -> None:
    judge = OneJudge()
    steps, ticket = with_judge(services, judge), worked_off(services)
    run(steps, taken(steps, waiting(services, ticket).id, judges=True))
    services.requests.request(ticket, PHASE, ADA)
    desk = taken(steps, waiting(services, ticket).id, judges=True)
    measured = steps.measure(desk, steps.snapshot(desk))["measured"]
    assert measured["same_as"]
    services.requests.request(ticket, PHASE, Asked("bob", force=True))
    assert steps.record(desk, measured, None) == {"state": "changed"}
    assert run(steps, desk)["state"] == "decided"
    assert len(judge.asked) == 2


@pytest.mark.parametrize(
    ("ticket", "phase", "error"),
    [
        ("nobody", None, NotFound),
        ("nobody", PHASE, NotFound),
        (None, "tests", UnknownPhase),
        (None, "backlog", PhaseHasNoGate),
    ],
)
def test_what_cannot_be_reviewed_is_said(
    services: Services, ticket: str | None, phase: str | None, error: type[Exception]
) -> None:
    named = ticket or ready_ticket(services.db, PHASE)
    for ask in (services.requests.request, services.requests.validate):
        with pytest.raises(error):
            ask(named, phase, ADA)
        with pytest.raises(error):
            ask(named, phase, Asked("ada", key="k"))


def test_the_most_urgent_ticket_is_reviewed_first(services: Services) -> None:
    engine = Remembers()
    services.requests.engine = engine
    for priority in ("LOW", "CRITICAL"):
        ticket = ready_ticket(services.db, PHASE)
        with services.db.get_session() as session:
            session.get_one(Ticket, ticket).priority = priority
        services.requests.request(ticket, PHASE, ADA)
    low, critical = engine.jobs
    assert critical.priority < low.priority
    assert critical.priority == 1


# Reviews that wait for their next attempt


OUTAGE = no_opinion("unavailable", "nobody answers", can_retry=True)


def put_off(services: Services, judge: OneJudge) -> tuple[DurableReviews, PhaseGateResult]:
    """A review that waits for a model that did not answer."""
    steps, ticket = with_judge(services, judge), worked_off(services)
    judge.answer = OUTAGE
    run(steps, taken(steps, waiting(services, ticket).id, judges=True))
    judge.answer = Opinion((MET,))
    later = waiting(services, ticket)
    assert (later.stage, later.retry_at is None) == ("waiting", False)
    return steps, later


@pytest.mark.parametrize("door", ["request", "validate"])
@pytest.mark.parametrize("force", [False, True])
def test_a_person_who_asks_for_a_review_that_waits_has_it_tried_at_once(
    services: Services, door: str, force: bool
) -> None:
    engine = Remembers()
    services.requests.engine = engine
    steps, later = put_off(services, OneJudge())
    ask = getattr(services.requests, door)
    now = ask(later.ticket_id, None, Asked("ada", force=force))
    assert (now.id, now.stage, now.retry_at, now.runner) == (later.id, "queued", None, None)
    assert (engine.jobs[-1].id, engine.jobs[-1].delay) == (now.workflow_id, 0)
    assert now.workflow_id not in [job.id for job in engine.jobs[:-1]]
    # The delayed workflow still comes: before the new one, and after it.
    assert comes_late(services, steps, later) == "lost"
    assert place(services, later.ticket_id) == PHASE
    assert run(steps, taken(steps, later.id, judges=True))["gate_status"] == "passed"
    assert comes_late(services, steps, later) == "lost"
    assert place(services, later.ticket_id) == Phase.DESIGN


def comes_late(services: Services, steps: DurableReviews, former: PhaseGateResult) -> str:
    """What a workflow finds whose review goes on under another name."""
    desk = steps.take(former.id, str(former.workflow_id), judges=True)
    assert (desk.taken, desk.early) == (None, False)
    found = run(steps, desk)["state"]
    services.consequences.follow(former.id)
    return str(found)


def test_what_asks_by_itself_leaves_a_review_waiting(services: Services) -> None:
    _, later = put_off(services, OneJudge())
    hand_in(services, later.ticket_id)
    now = waiting(services, later.ticket_id)
    assert (now.stage, now.retry_at, now.workflow_id) == ("waiting", later.retry_at, later.workflow_id)


def test_a_key_said_again_wakes_nothing(services: Services) -> None:
    judge, keyed = OneJudge(), Asked("ada", key="once")
    steps, later = put_off(services, judge)
    services.requests.request(later.ticket_id, None, keyed)
    judge.answer = OUTAGE
    run(steps, taken(steps, later.id, judges=True))
    assert services.requests.request(later.ticket_id, None, keyed).stage == "waiting"


# Validation


def test_what_the_rules_decide_is_answered_at_once(services: Services) -> None:
    ticket = ready_ticket(services.db, PHASE)
    said = services.requests.validate(ticket, None, ADA)
    assert (said.gate_status, said.validated_by, said.carry_on) == ("passed", "ada", False)
    assert services.requests.validate(ticket, None, ADA).id == said.id
    assert services.requests.validate(ticket, None, Asked("ada", force=True)).id != said.id


def test_a_verdict_that_is_to_be_followed_is_whoever_reached_it(services: Services) -> None:
    ticket = ready_ticket(services.db, PHASE)
    plain = services.requests.validate(ticket, None, ADA)
    assert services.consequences.follow(plain.id) is None
    carried = services.requests.validate(ticket, None, Asked("ada", carry_on=True))
    assert carried.id == plain.id
    services.consequences.follow(carried.id)
    assert place(services, ticket) == Phase.DESIGN


def test_where_a_judge_is_needed_a_worker_does_it_and_what_is_wanted_is_added(services: Services) -> None:
    judge = OneJudge()
    steps, ticket = with_judge(services, judge), ready_ticket(services.db, PHASE)
    said = services.requests.validate(ticket, None, ADA)
    assert (said.gate_status, judge.asked) == ("pending", [])
    desk = taken(steps, said.id, judges=True)
    more = services.requests.validate(ticket, None, Asked("bob", carry_on=True, force=True))
    assert (more.id, more.carry_on, more.force) == (said.id, True, True)
    assert run(steps, desk)["state"] == "decided"
    assert len(judge.asked) == 1
    services.consequences.follow(said.id)
    assert place(services, ticket) == Phase.DESIGN


# Keys


def test_a_key_said_twice_asks_once(services: Services) -> None:
    judge = OneJudge()
    steps, ticket = with_judge(services, judge), ready_ticket(services.db, PHASE)
    keyed = Asked("ada", key="k-1")
    first = services.requests.request(ticket, PHASE, keyed)
    run(steps, taken(steps, first.id, judges=True))
    again = services.requests.request(ticket, PHASE, keyed)
    assert (again.id, again.gate_status) == (first.id, "passed")
    attach_text(services, ticket, "something else")
    assert services.requests.validate(ticket, PHASE, keyed).id == first.id
    assert len(reviews_of(services, ticket)) == 1


def test_a_key_answers_when_the_ticket_has_moved_on(services: Services) -> None:
    ticket = ready_ticket(services.db, PHASE)
    keyed = Asked("ada", carry_on=True, key="lost-answer")
    first = services.requests.validate(ticket, None, keyed)
    services.consequences.follow(first.id)
    assert place(services, ticket) == Phase.DESIGN
    assert services.requests.validate(ticket, None, keyed).id == first.id


def test_a_key_stands_for_one_request(services: Services) -> None:
    ticket, other = (ready_ticket(services.db, PHASE) for _ in range(2))
    services.requests.request(ticket, PHASE, Asked("ada", key="k"))
    for named, phase, asked in (
        (other, PHASE, Asked("ada", key="k")),
        (ticket, Phase.DESIGN, Asked("ada", key="k")),
        (ticket, None, Asked("ada", key="k")),
        (ticket, PHASE, Asked("ada", force=True, key="k")),
        (ticket, PHASE, Asked("ada", carry_on=True, key="k")),
    ):
        for ask in (services.requests.request, services.requests.validate):
            with pytest.raises(IdempotencyKeyReused):
                ask(named, phase, asked)
    assert reviews_of(services, other) == []


@pytest.mark.parametrize("key", ["", "  ", "k" * 256, "a\0b", "\ud800"])
def test_a_key_that_cannot_be_kept_is_refused(services: Services, key: str) -> None:
    ticket = ready_ticket(services.db, PHASE)
    with pytest.raises(InvalidInput):
        services.requests.request(ticket, PHASE, Asked("ada", key=key))
    assert reviews_of(services, ticket) == []


def test_of_sixteen_who_say_one_key_all_get_one_answer(services: Services) -> None:
    for round_, ask in enumerate((services.requests.request, services.requests.validate) * 3):
        ticket = ready_ticket(services.db, PHASE)
        asked = Asked("ada", force=True, key=f"k{round_}")
        calls = [lambda ask=ask, ticket=ticket, asked=asked: ask(ticket, None, asked).id] * 16
        assert len(set(together(*calls))) == 1


def test_who_looked_for_a_key_before_it_was_kept_asks_nothing_new(services: Services) -> None:
    """Two say one key; the review of the first is over before the second one asks."""
    ticket = ready_ticket(services.db, PHASE)
    keyed = Asked("ada", force=True, key="once")
    with ThreadPoolExecutor(1) as pool:
        with services.db.get_session() as session:
            connection = driver_connection(session)
            tickets.hold(connection, ticket, alone=True)
            late = pool.submit(services.requests.request, ticket, None, keyed)
            until(lambda: waits_for_a_lock(services))
            wanted = reviews.ReviewRequest(ticket, PHASE, "ada", Cause.REQUEST, force=True)
            first, _ = reviews.request(connection, wanted)
            idempotency.keep(connection, "once", digest_of([ticket, None, False, True]), first.id)
            reviews.end(connection, first.id, *without_evidence(CANCELLED))
        assert late.result(20).id == first.id
    assert [review.id for review in reviews_of(services, ticket)] == [first.id]


def waits_for_a_lock(services: Services) -> bool:
    with services.db.single_statements() as connection:
        statement = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"
        return connection.execute(statement).fetchone() == (True,)


# Afterwards


def test_a_cancelled_review_is_over_and_its_workflow_is_ended(services: Services) -> None:
    engine = Remembers()
    services.requests.engine = engine
    ticket = ready_ticket(services.db, PHASE)
    review = services.requests.request(ticket, PHASE, Asked("ada", carry_on=True))
    ended = services.requests.cancel(review.id, cancelled_by="bob")
    details = ended.validation_result or {}
    assert (ended.gate_status, details["code"], engine.cancelled) == (
        "inconclusive",
        "review_cancelled",
        [review.workflow_id],
    )
    assert "bob cancelled it" in (ended.blocking_reasons or [""])[0]
    with pytest.raises(ReviewOver) as over:
        services.requests.cancel(review.id, cancelled_by="bob")
    assert over.value.facts["gate_status"] == "inconclusive"
    assert services.requests.request(ticket, PHASE, ADA).id != review.id
    with pytest.raises(NotFound):
        services.requests.cancel("nobody", cancelled_by="bob")


def test_of_those_who_cancel_and_decide_at_once_one_wins(services: Services) -> None:
    steps = steps_of(services)
    for _ in range(20):
        ticket = worked_off(services)
        desk = taken(steps, waiting(services, ticket).id, judges=False)
        measured = steps.measure(desk, steps.snapshot(desk))["measured"]

        def cancel(review: str = desk.review_id) -> str:
            try:
                return services.requests.cancel(review, cancelled_by="bob").gate_status
            except ReviewOver:
                return "over"

        def record(desk: Any = desk, measured: Any = measured) -> str:
            return str(steps.record(desk, measured, None).get("gate_status"))

        cancelled, decided = together(cancel, record)
        (review,) = reviews_of(services, ticket)
        assert (cancelled, decided, review.gate_status) in (
            ("over", "passed", "passed"),
            ("inconclusive", "inconclusive", "inconclusive"),
        )


def test_reviews_are_listed_in_pages_the_newest_first_and_filtered(services: Services) -> None:
    tickets = [ready_ticket(services.db, phase) for phase in (PHASE, PHASE, Phase.TESTING)]
    asked = [services.requests.request(ticket, None, ADA).id for ticket in tickets]
    services.requests.cancel(asked[0], cancelled_by="bob")
    seen: list[str] = []
    cursor = None
    while True:
        page = services.requests.list(limit=2, cursor=cursor)
        seen += [review.id for review in page.reviews]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == asked[::-1]
    by = services.requests.list
    assert [review.id for review in by(status="pending").reviews] == [asked[2], asked[1]]
    assert [review.id for review in by(phase_id="testing").reviews] == [asked[2]]
    assert [review.id for review in by(ticket_id=tickets[0], status="inconclusive").reviews] == [asked[0]]
    assert by(ticket_id="nobody").reviews == []
    for wrong in ({"status": "done"}, {"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"phase_id": "x"}):
        with pytest.raises(InvalidInput):
            by(**wrong)


def test_the_fleet_counts_what_waits_and_who_lives(services: Services) -> None:
    assert services.fleet.look().is_stuck is False
    services.requests.request(ready_ticket(services.db, PHASE), PHASE, ADA)
    fleet = services.fleet.look()
    assert (fleet.workers, fleet.reviews, fleet.is_stuck) == (0, 1, True)
    assert 0 <= (fleet.oldest_seconds or -1) < 60
