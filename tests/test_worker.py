"""A worker on the real engine: reviews that nobody asks for, and what it does about others' losses."""

from __future__ import annotations

import base64
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dbos import DBOS
from pydantic import SecretStr
from sqlalchemy import select, text, update

from omoi_os.bootstrap import Services, services_on
from omoi_os.judge.scripted import Answer, Request, ScriptedModel, fails
from omoi_os.models import PhaseGateResult
from omoi_os.models.phases import Phase
from omoi_os.models.worker_lease import WorkerLease
from omoi_os.services.database import DatabaseService
from omoi_os.services.durable_reviews import FAILED, DurableReviews
from omoi_os.services.engine import NoEngine
from omoi_os.services.review_requests import Asked
from omoi_os.settings import Settings
from omoi_os.worker import engine
from omoi_os.worker.client import EngineClient
from omoi_os.worker.leases import Leases, Watch
from omoi_os.worker.process import Pace, working
from omoi_os.worker.retention import forget_workflows
from omoi_os.worker.strays import Strays
from tests.agent_runs import KEY, load_library
from tests.test_condensing import MOST, NOTES, completed, point, points, policy
from tests.test_consequences import PHASE, decide, fixes, hand_in, place, worked_off
from tests.test_gate_judged import answers

pytestmark = [
    pytest.mark.filterwarnings("ignore:Cost calculation failed:UserWarning"),
    pytest.mark.filterwarnings("ignore:Item .* on TypedDict class"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dbos"),
]

QUICK = engine.Load(poll=0.05)
PACE = Pace(beat=0.2, ttl=2.0, strays=0.5, drain=1)


@pytest.fixture(scope="module")
def quick(_database: DatabaseService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services whose reviews a worker in this process does."""
    settings = Settings(workspaces=tmp_path_factory.mktemp("snapshots"), retry_seconds=0.1)
    services = services_on(_database, settings, EngineClient)
    with working(services, QUICK, PACE):
        yield services


@pytest.fixture
def services(quick: Services, db_service: DatabaseService) -> Services:
    assert quick.db is db_service
    return quick


@contextmanager
def unattended(services: Services) -> Iterator[None]:
    """Nothing that is asked for in the block reaches the engine."""
    reachable, services.requests.engine = services.requests.engine, NoEngine()
    try:
        yield
    finally:
        services.requests.engine = reachable


def until(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_ticket_goes_from_its_first_phase_to_done_without_anybody_asking(services: Services) -> None:
    ticket = worked_off(services)
    for phase in (Phase.DESIGN, Phase.IMPLEMENTATION, Phase.TESTING, Phase.DEPLOYMENT):
        until(lambda phase=phase: place(services, ticket) == phase)  # type: ignore[misc]
        hand_in(services, ticket, phase)
    until(lambda: place(services, ticket) == Phase.DONE)
    reviews = services.requests.list(ticket_id=ticket).reviews
    assert [(review.gate_status, review.cause) for review in reviews] == [("passed", "phase_completed")] * 5
    assert len(services.phases.get_phase_history(ticket)) == 5


def test_a_failed_review_is_mended_and_reviewed_again(services: Services) -> None:
    ticket = worked_off(services, good=False)
    until(lambda: len(fixes(services, ticket)) == 1)
    assert place(services, ticket) == PHASE
    hand_in(services, ticket)
    until(lambda: place(services, ticket) == Phase.DESIGN)


def test_a_review_that_was_never_enqueued_is_found(services: Services) -> None:
    with unattended(services):
        ticket = worked_off(services)
    until(lambda: place(services, ticket) == Phase.DESIGN)


def test_a_review_whose_workflow_was_deleted_is_found(services: Services) -> None:
    with unattended(services):
        ticket = worked_off(services)
    with services.db.get_session() as session:
        lost = {"workflow_id": "no-such-workflow", "runner": "no-such-workflow", "run": 1}
        session.execute(update(PhaseGateResult).values(lost))
    until(lambda: place(services, ticket) == Phase.DESIGN)


def test_a_review_that_waits_is_done_when_somebody_asks_and_its_delayed_workflow_finds_nothing(
    services: Services,
) -> None:
    with unattended(services):
        ticket = worked_off(services)
    (review,) = services.requests.list(ticket_id=ticket).reviews
    steps = DurableReviews(services.gates.stages, services.requests, first_pause=6.0)
    steps.give_up(steps.take(review.id, review.workflow_id or "", judges=False), FAILED)
    late = services.requests.find(review.id).workflow_id or ""
    services.requests.request(ticket, None, Asked("ada"))
    until(lambda: place(services, ticket) == Phase.DESIGN)
    assert [flow.status for flow in DBOS.list_workflows(workflow_ids=[late])] == ["DELAYED"]
    assert DBOS.retrieve_workflow(late).get_result() == "lost"
    assert len(services.requests.list(ticket_id=ticket, phase_id=PHASE).reviews) == 1


def test_a_verdict_that_nothing_followed_is_followed(services: Services) -> None:
    with unattended(services):
        ticket = worked_off(services)
        decide(services, ticket)
        assert place(services, ticket) == PHASE
    until(lambda: place(services, ticket) == Phase.DESIGN)
    with services.db.get_session() as session:
        ours = PhaseGateResult.ticket_id == ticket
        followed = session.scalars(select(PhaseGateResult.followed_at).where(ours)).one()
    assert followed is not None


def test_a_cancelled_review_that_waits_is_never_done(services: Services) -> None:
    with unattended(services):
        ticket = worked_off(services)
        (review,) = services.requests.list(ticket_id=ticket).reviews
        services.requests.cancel(review.id, cancelled_by="ada")
    Strays(services.db, services.requests, older=0).bring_back()
    time.sleep(0.5)
    assert place(services, ticket) == PHASE
    assert services.requests.find(review.id).gate_status == "inconclusive"


def test_a_row_of_the_engine_that_is_pickled_is_not_read(services: Services, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "owned",)  # type: ignore[return-value]

    ticket = worked_off(services)
    until(lambda: place(services, ticket) == Phase.DESIGN)
    (review, *_) = services.requests.list(ticket_id=ticket).reviews
    planted = base64.b64encode(pickle.dumps({"args": (Trap(),), "kwargs": {}})).decode()
    with services.db.get_session() as session:
        session.execute(
            text(
                "UPDATE dbos.workflow_status SET inputs = :planted, serialization = 'py_pickle',"
                " status = 'ENQUEUED', queue_name = 'reviews', output = NULL WHERE workflow_uuid = :id"
            ),
            {"planted": planted, "id": review.workflow_id},
        )
    time.sleep(1.0)
    assert not (tmp_path / "owned").exists()


def test_what_is_over_is_forgotten_and_what_is_not_stays(services: Services) -> None:
    ticket = worked_off(services)
    until(lambda: place(services, ticket) == Phase.DESIGN)
    (review, *_) = services.requests.list(ticket_id=ticket).reviews
    until(lambda: not DBOS.list_workflows(status="PENDING"))
    assert forget_workflows(3600) == 0
    assert forget_workflows(0) >= 1
    assert DBOS.list_workflows(workflow_ids=[review.workflow_id or ""]) == []
    assert services.requests.find(review.id).gate_status == "passed"


class Seen:
    """A watch that looks every second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.watch = Watch(ttl=10.0, clock=lambda: self.now)

    def until(self, end: float, *beats: tuple[str, int]) -> list[str]:
        """Who is silent at `end`."""
        while self.now < end:
            self.watch.silent(beats)
            self.now += 1.0
        return self.watch.silent(beats)


def test_a_peer_is_dead_when_its_number_stands_still_for_long_enough() -> None:
    seen = Seen()
    assert seen.until(9.0, ("a", 1), ("b", 1)) == []
    assert seen.until(10.0, ("a", 1), ("b", 2)) == ["a"]
    assert seen.until(18.0, ("a", 2), ("b", 2)) == []
    assert seen.until(19.0, ("a", 2), ("b", 2)) == ["b"]


def test_an_error_of_the_database_makes_nobody_dead() -> None:
    seen = Seen()
    seen.until(9.0, ("a", 1))
    seen.watch.forget()
    assert seen.until(18.0, ("a", 1)) == []
    assert seen.until(20.0, ("a", 1)) == ["a"]


def test_whoever_stood_still_itself_takes_nobody_for_dead() -> None:
    seen = Seen()
    seen.until(5.0, ("a", 1))
    seen.now = 500.0
    assert seen.watch.silent([("a", 1)]) == []
    assert seen.until(509.0, ("a", 1)) == []
    assert seen.until(511.0, ("a", 1)) == ["a"]


def test_the_work_of_a_dead_worker_is_done_by_another(services: Services) -> None:
    with unattended(services):
        ticket = worked_off(services)
    (review,) = services.requests.list(ticket_id=ticket).reviews
    with services.db.get_session() as session:
        services.requests.enqueue(session, review, delay=3600)
        # As a worker left it that was killed in the middle of it.
        session.execute(
            text(
                "UPDATE dbos.workflow_status SET status = 'PENDING', executor_id = 'dead',"
                " delay_until_epoch_ms = NULL, application_version = '1' WHERE workflow_uuid = :id"
            ),
            {"id": review.workflow_id},
        )
        session.add(WorkerLease(executor_id="dead", beat=7))
    until(lambda: place(services, ticket) == Phase.DESIGN)
    with services.db.get_session() as session:
        assert session.get(WorkerLease, "dead") is None


def test_a_beat_says_that_this_worker_lives(services: Services) -> None:
    leases = Leases(services.db, "me", 60)
    for _ in range(3):
        leases.beat()
    with services.db.get_session() as session:
        row = session.get(WorkerLease, "me")
    assert row is not None
    assert row.beat == 3
    leases.end()
    with services.db.get_session() as session:
        assert session.get(WorkerLease, "me") is None


@pytest.mark.parametrize("condense", [True, False])
def test_what_a_ticket_hands_on_is_condensed_by_the_worker_where_the_policy_asks_for_it(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, condense: bool
) -> None:
    load_library()
    with ScriptedModel(points(point("Limits were measured, and hold.", 31, 32))) as server:
        context = f"{{condense: {str(condense).lower()}, max_tokens: {MOST}}}"
        settings = Settings(
            home=tmp_path / "home",
            policy=policy(tmp_path, context),
            judge_model="openai/scripted",
            judge_api_key=SecretStr(KEY),
            judge_base_url=server.url,
        )
        contexts = services_on(services.db, settings).contexts
        monkeypatch.setattr(services.consequences, "contexts", contexts)
        monkeypatch.setattr(services.phases, "contexts", contexts)
        with unattended(services):
            ticket = worked_off(services)
            completed(services.db, ticket, list(NOTES))
        until(lambda: place(services, ticket) == Phase.DESIGN)
        until(lambda: not DBOS.list_workflows(status=["ENQUEUED", "PENDING"]))
        (review, *_) = services.requests.list(ticket_id=ticket).reviews
        steps = [step["function_name"] for step in DBOS.list_workflow_steps(review.workflow_id or "")]
        assert ("sum_up" in steps) is condense, steps
        summary = contexts.get_ticket_context(ticket)[1] or ""
        assert ("Limits were measured, and hold." in summary) is condense
        assert len(server.requests) == condense


class Judged:
    """A worker in this process, with a judge on a scripted model."""

    def __init__(self, services: Services, server: ScriptedModel) -> None:
        self.services = services
        self.server = server


type WithJudge = Callable[[Callable[[Request], Answer]], Judged]


@pytest.fixture
def judged(services: Services, tmp_path: Path) -> Iterator[WithJudge]:
    load_library()
    opened: list[ScriptedModel] = []
    before = services.gates.stages.judging

    def open_(script: Callable[[Request], Answer]) -> Judged:
        server = ScriptedModel(script)
        opened.append(server)
        server.__enter__()
        settings = Settings(
            home=tmp_path / "home",
            judge_model="openai/scripted",
            judge_api_key=SecretStr(KEY),
            judge_base_url=server.url,
        )
        # The worker has its stages from when it began: they are told of the judge.
        services.gates.stages.judging = services_on(services.db, settings).gates.stages.judging
        return Judged(services, server)

    yield open_
    services.gates.stages.judging = before
    for server in opened:
        server.__exit__(None, None, None)


def test_what_the_rules_leave_open_is_judged_by_the_worker(judged: WithJudge) -> None:
    it = judged(answers("met"))
    ticket = worked_off(it.services)
    until(lambda: place(it.services, ticket) == Phase.DESIGN)
    (review,) = it.services.requests.list(ticket_id=ticket).reviews
    assert (review.validation_result or {})["judge"]["asked"] is True
    assert len(it.server.requests) == 1


def test_an_outage_ends_in_a_verdict_without_anybodys_help(judged: WithJudge) -> None:
    down = [True]
    it = judged(lambda request: fails(503) if down[0] else answers("met")(request))
    ticket = worked_off(it.services)
    (review,) = it.services.requests.list(ticket_id=ticket).reviews
    until(lambda: it.services.requests.find(review.id).waits >= 2, 60)
    now = it.services.requests.find(review.id)
    assert (now.gate_status, now.waits_for, now.attempt) == ("pending", "unavailable", 0)
    assert place(it.services, ticket) == PHASE
    down[0] = False
    until(lambda: place(it.services, ticket) == Phase.DESIGN, 60)


def test_cancelling_stops_paying(judged: WithJudge) -> None:
    def slow(request: Request) -> Answer:
        time.sleep(0.3)
        return fails(500)  # the library would ask again and again

    it = judged(slow)
    ticket = worked_off(it.services)
    (review,) = it.services.requests.list(ticket_id=ticket).reviews
    until(lambda: len(it.server.requests) >= 1)
    it.services.requests.cancel(review.id, cancelled_by="ada")
    time.sleep(3.0)
    asked = len(it.server.requests)
    time.sleep(3.0)
    assert len(it.server.requests) == asked
    ended = it.services.requests.find(review.id)
    assert (ended.validation_result or {})["code"] == "review_cancelled"
    assert place(it.services, ticket) == PHASE


def test_a_request_is_answered_at_once_and_decided_by_the_worker(judged: WithJudge) -> None:
    it = judged(answers("met"))
    with unattended(it.services):
        ticket = worked_off(it.services)
    said = it.services.requests.validate(ticket, PHASE, Asked("ada"))
    assert said.gate_status == "pending"
    until(lambda: it.services.requests.find(said.id).gate_status == "passed")
