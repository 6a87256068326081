"""The composition root: from settings to services, with the database reached and up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import OperationalError

from omoi_os.embedded import EmbeddedPostgres
from omoi_os.errors import DatabaseUnavailable, EmbeddedDatabaseError
from omoi_os.evidence.snapshot_store import sweep
from omoi_os.services.agent_health import AgentHealthService
from omoi_os.services.budgeted_judge import BudgetedJudge
from omoi_os.services.budgets import BudgetLimits, BudgetService
from omoi_os.services.calibration import CalibrationService
from omoi_os.services.condensing import condenser_of
from omoi_os.services.consequences import Consequences
from omoi_os.services.context_service import ContextService
from omoi_os.services.context_summarizer import ContextSummarizer
from omoi_os.services.database import DatabaseService
from omoi_os.services.engine import Engine
from omoi_os.services.events import EventService
from omoi_os.services.fleet import FleetService
from omoi_os.services.gate.judged import Judging
from omoi_os.services.housekeeping import Housekeeping
from omoi_os.services.phase_gate import PhaseGateService
from omoi_os.services.phase_service import PhaseService
from omoi_os.services.policies import PolicyService
from omoi_os.services.review import ReviewService
from omoi_os.services.review_requests import ReviewRequests
from omoi_os.services.task_execution import TaskExecution
from omoi_os.services.task_generator import TaskGeneratorService
from omoi_os.services.task_queue import TaskQueueService
from omoi_os.services.tickets import TicketService
from omoi_os.services.transcripts import TranscriptService
from omoi_os.services.waivers import WaiverService
from omoi_os.services.webhook_sender import WebhookSender
from omoi_os.services.webhooks import WebhookService
from omoi_os.services.worker_agent import Hands, WorkerAgent
from omoi_os.services.workplaces import Workplaces
from omoi_os.settings import Settings
from omoi_os.store import schema
from omoi_os.utils.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a door (CLI, API, worker) needs."""

    settings: Settings
    db: DatabaseService
    tickets: TicketService
    gates: PhaseGateService
    reviews: ReviewService
    queue: TaskQueueService
    generator: TaskGeneratorService
    phases: PhaseService
    agents: AgentHealthService
    housekeeping: Housekeeping
    waivers: WaiverService
    contexts: ContextService
    transcripts: TranscriptService
    requests: ReviewRequests
    consequences: Consequences
    fleet: FleetService
    budgets: BudgetService
    events: EventService
    webhooks: WebhookService


type EngineOf = Callable[[DatabaseService], Engine]


@contextmanager
def open_services(
    settings: Settings, engine: EngineOf | None = None, *, judges_here: bool = True
) -> Iterator[Services]:
    """Reach the database that the settings name, or the embedded one; bring its schema up to date.

    Args:
        engine: Makes the port to the durable engine; without one, reviews wait for workers to find them.
        judges_here: Whether a move that needs a judge asks it in this process, or leaves it to a worker.

    Raises:
        DatabaseUnavailable: It does not answer, or does not start.
    """
    with _database(settings) as db:
        db.ping()
        _migrate(db)
        # What a crash left: a snapshot is locked for as long as its process lives.
        sweep(settings.snapshots, alive=lambda _: False, older_than=60.0)
        services = services_on(db, settings, engine, judges_here=judges_here)
        services.events.settle()
        yield services


def services_on(
    db: DatabaseService, settings: Settings, engine: EngineOf | None = None, *, judges_here: bool = True
) -> Services:
    """The services on a database that is ready; the arguments are those of `open_services`."""
    policies = PolicyService.opened(settings)
    budgets = BudgetService(db, BudgetLimits.of(settings))
    contexts = ContextService(
        db,
        summarizer=ContextSummarizer(Tokens(settings.encoding)),
        policy=policies.policy,
        condenser=condenser_of(settings, budgets.pace),
    )
    judge = BudgetedJudge.opened(settings, budgets)
    judging = Judging(judge, contexts, CalibrationService(db, judge))
    gates = PhaseGateService(db, policies=policies, snapshots=settings.snapshots, judging=judging)
    requests = ReviewRequests(db, gates, engine=engine(db) if engine is not None else None)
    queue = TaskQueueService(db, completions=requests)
    generator = TaskGeneratorService(db, queue, contexts=contexts)
    phases = PhaseService(
        db,
        generator=generator,
        contexts=contexts,
        gates=gates,
        requests=requests,
        reviews=None if judges_here else requests,
    )
    events = EventService(db, _secrets(settings))
    agents = AgentHealthService(db, timeout_seconds=settings.agent_timeout)
    return Services(
        settings=settings,
        db=db,
        tickets=TicketService(db, workspace_roots=settings.roots),
        gates=gates,
        reviews=ReviewService(db, gates=gates),
        queue=queue,
        generator=generator,
        phases=phases,
        agents=agents,
        housekeeping=Housekeeping(queue, agents, requests),
        waivers=WaiverService(db, gates),
        contexts=contexts,
        transcripts=TranscriptService(gates, _secrets(settings)),
        requests=requests,
        consequences=Consequences(phases, queue, requests, contexts, first_pause=settings.retry_seconds),
        fleet=FleetService(db, settings.lease_seconds),
        budgets=budgets,
        events=events,
        webhooks=WebhookService(db, events, WebhookSender(internal=settings.webhook_allow_internal)),
    )


def execution_on(services: Services) -> TaskExecution:
    """What does tasks with agents of ours, on these services.

    Raises:
        WorkerMisconfigured: No model is named for them.
    """
    settings = services.settings
    agent = WorkerAgent(Hands.of(settings), services.contexts, services.gates.policies)
    places = Workplaces(services.db, beat=min(2.0, settings.agent_timeout / 6))
    return TaskExecution(services.queue, services.tickets, agent, places, first_pause=settings.retry_seconds)


def _secrets(settings: Settings) -> tuple[str, ...]:
    keys = (settings.judge_api_key, settings.judge_host_key, settings.worker_api_key)
    return tuple(key.get_secret_value() for key in keys if key is not None)


@contextmanager
def _database(settings: Settings) -> Iterator[DatabaseService]:
    idle = 2 * settings.lease_seconds  # about when others take over what a frozen worker was doing
    if settings.database_url is not None:
        db = DatabaseService(settings.database_url, pool_size=settings.pool_size, idle_seconds=idle)
        try:
            yield db
        finally:
            db.close()
        return
    _make_home(settings.home)
    server = EmbeddedPostgres(settings.home / "pg")
    try:
        db = DatabaseService(
            server.ensure(),
            pool_size=settings.pool_size,
            idle_seconds=idle,
            before_connect=server.ensure,
        )
        try:
            yield db
        finally:
            db.close()
    finally:
        server.release()


def _make_home(home: Path) -> None:
    """Make the folder of local state, and keep git from taking it for a part of the work."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise EmbeddedDatabaseError(
            f"the folder {home} cannot be made ({error.strerror}); set OMOI_HOME to one that can be written"
        ) from error


def _migrate(db: DatabaseService) -> None:
    try:
        if not schema.is_current(db.engine):
            schema.upgrade(db.engine)
    except OperationalError as error:
        raise DatabaseUnavailable(f"the schema could not be brought up to date: {error.orig}") from error
