"""`omoi worker --execute`: tasks that wait are done by the real agent, on the real engine, whatever dies."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from omoi_os.bootstrap import Services, execution_on, open_services, services_on
from omoi_os.domain.phases import Phase
from omoi_os.domain.statuses import TaskStatus
from omoi_os.judge.scripted import Answer, Call, Request, ScriptedModel, finishes, says
from omoi_os.models.task import Task
from omoi_os.services.database import DatabaseService
from omoi_os.services.engine import NoEngine
from omoi_os.services.task_execution import TaskExecution
from omoi_os.services.task_queue import TaskFilter
from omoi_os.services.tickets import NewTicket
from omoi_os.settings import Settings
from omoi_os.worker import engine
from omoi_os.worker.client import EngineClient
from omoi_os.worker.process import Pace, working
from omoi_os.worker.tasks import Slots
from tests.agent_runs import load_library
from tests.command import COMMAND, environment

pytestmark = [
    pytest.mark.filterwarnings("ignore:Cost calculation failed:UserWarning"),
    pytest.mark.filterwarnings("ignore:Item .* on TypedDict class"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dbos"),
]

QUICK = engine.Load(poll=0.05, tasks=2)
PACE = Pace(beat=0.2, ttl=2.0, strays=0.5, drain=1)


class Model:
    """Writes one file in each task and finishes; counts who is at work at the same time.

    Attributes:
        hold: While it is not set, the second turn of a conversation waits.
    """

    def __init__(self) -> None:
        self.hold = threading.Event()
        self.hold.set()
        self.at_once = 0
        self.most = 0
        self.turns: list[int] = []
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        with self.lock:
            self.turns.append(request.turn)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(0.05)
        if request.turn:
            self.hold.wait(60)
        with self.lock:
            self.at_once -= 1
        if request.turn == 0:
            return says(None, Call("write_file", {"path": "docs/requirements.md", "content": "# Links\n"}))
        artifact = {"type": "requirements_document", "path": "docs/requirements.md"}
        return finishes(done=True, report="Wrote it.", artifacts=[artifact])


def settings_for(model: ScriptedModel, folder: Path) -> Settings:
    return Settings(
        home=folder / "home",
        workspace_roots=str(folder),
        retry_seconds=0.5,
        worker_model="openai/scripted",
        worker_api_key=SecretStr("no-key-is-needed"),
        worker_base_url=model.url,
    )


def new_ticket(services: Services, workspace: Path, tasks: int) -> list[str]:
    """A ticket with so many tasks, in a phase without a gate, so that no review makes more; their ids."""
    workspace.mkdir(exist_ok=True)
    made = services.tickets.create(NewTicket("Let links expire", phase_id=Phase.BACKLOG, workspace=workspace))
    queue = services.queue
    return [
        queue.enqueue_task(made.id, made.phase_id, "create_requirements_doc", "Write them.").id
        for _ in range(tasks)
    ]


def until(happened: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def read(services: Services, tasks: list[str]) -> list[Task]:
    return [services.queue.get_task(task) for task in tasks]


def all_are(services: Services, tasks: list[str], status: TaskStatus) -> bool:
    return all(task.status == status for task in read(services, tasks))


@pytest.fixture
def model() -> Iterator[tuple[Model, ScriptedModel]]:
    script = Model()
    with ScriptedModel(script) as server:
        yield script, server
        script.hold.set()


@pytest.mark.timeout(300)
def test_tasks_of_one_ticket_are_done_one_after_the_other_and_others_beside_them(
    model: tuple[Model, ScriptedModel], db_service: DatabaseService, tmp_path: Path
) -> None:
    script, server = model
    load_library()
    services = services_on(db_service, settings_for(server, tmp_path), EngineClient)
    first = new_ticket(services, tmp_path / "one", 3)
    with working(services, QUICK, PACE):
        until(lambda: all_are(services, first, TaskStatus.COMPLETED))
        assert script.most == 1
        # A cancelled one is not paid for any more.
        script.hold.clear()
        script.turns.clear()
        (cancelled,) = new_ticket(services, tmp_path / "two", 1)
        until(lambda: script.turns == [0, 1])
        services.queue.cancel_task(cancelled)
        time.sleep(3)
        script.hold.set()
        (other,) = new_ticket(services, tmp_path / "two", 1)
        until(lambda: all_are(services, [other], TaskStatus.COMPLETED))
        assert script.turns == [0, 1, 0, 1]
        # What is under way when the worker ends goes back, with no retry counted.
        script.hold.clear()
        (left,) = new_ticket(services, tmp_path / "three", 1)
        until(lambda: len(script.turns) == 6)
    script.hold.set()
    (given_back,) = read(services, [left])
    assert (given_back.status, given_back.retry_count) == (TaskStatus.PENDING, 0)
    assert all_are(services, [cancelled], TaskStatus.FAILED)


def test_while_the_model_is_away_one_task_is_begun_per_pause(
    model: tuple[Model, ScriptedModel], db_service: DatabaseService, tmp_path: Path
) -> None:
    services = services_on(db_service, settings_for(model[1], tmp_path))
    for number in range(3):
        new_ticket(services, tmp_path / str(number), 1)

    class Away(TaskExecution):
        pause = 10.0

    made = execution_on(services)
    execution = Away(made.queue, made.tickets, made.agent, made.places)
    now = [0.0]
    slots = Slots(execution, services.agents, NoEngine(), 3, [], clock=lambda: now[0])
    taken = []
    for now[0] in (1.0, 5.0, 11.5, 12.0, 21.6):
        slots.take(3)
        taken.append(len(services.queue.list_tasks(TaskFilter(status="assigned")).tasks))
    assert taken == [0, 0, 1, 1, 2]


@contextmanager
def worker(settings: Settings, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real worker that executes."""
    told = environment(
        OMOI_HOME=str(settings.home),
        OMOI_WORKSPACE_ROOTS=settings.workspace_roots,
        OMOI_WORKER_MODEL="openai/scripted",
        OMOI_WORKER_API_KEY="no-key-is-needed",
        OMOI_WORKER_BASE_URL=settings.worker_base_url or "",
        OMOI_LEASE_SECONDS="3",
        OMOI_POLL_SECONDS="0.1",
        OMOI_RETRY_SECONDS="1",
    )
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [*COMMAND, "worker", "--execute", "--capability", "writing"],
            cwd=folder,
            env=told,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


@pytest.mark.timeout(600)
def test_a_worker_that_is_killed_loses_nothing_and_at_most_one_call_is_repeated(
    model: tuple[Model, ScriptedModel], tmp_path: Path
) -> None:
    script, server = model
    script.hold.clear()
    settings = settings_for(server, tmp_path)
    with open_services(settings, EngineClient) as services:
        tasks = new_ticket(services, tmp_path / "workspace", 1)
        with worker(settings, tmp_path) as first:
            until(lambda: script.turns == [0, 1], 240)
            first.send_signal(signal.SIGKILL)
            first.wait(10)
        script.hold.set()
        (tmp_path / "workspace/docs/requirements.md").write_text("as the first one left it")
        with worker(settings, tmp_path) as second:
            until(lambda: all_are(services, tasks, TaskStatus.COMPLETED), 240)
            second.terminate()
            assert second.wait(90) == 0
        (done,) = read(services, tasks)
        assert done.retry_count == 0
        assert (done.result or {})["summary"] == "Wrote it."
    assert script.turns == [0, 1, 1]
    assert (tmp_path / "workspace/docs/requirements.md").read_text() == "as the first one left it"
