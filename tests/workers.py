"""Workers in the process of a test: one at a time, since the engine is one to a process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from omoi_os.bootstrap import Services, services_on
from omoi_os.judge.scripted import Script, ScriptedModel
from omoi_os.services.database import DatabaseService
from omoi_os.settings import Settings
from omoi_os.worker.client import EngineClient
from omoi_os.worker.engine import Load
from omoi_os.worker.process import Pace, working
from tests.agent_runs import KEY

LOAD: Final = Load(poll=0.05)
PACE: Final = Pace(beat=0.2, ttl=2.0, strays=0.5, drain=1)
MARKS: Final = [
    pytest.mark.filterwarnings("ignore:Cost calculation failed:UserWarning"),
    pytest.mark.filterwarnings("ignore:Item .* on TypedDict class"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dbos"),
]


@contextmanager
def doors(address: str, settings: Settings) -> Iterator[Services]:
    """Services as `omoi serve` has them: judges are asked by workers, of which there is none yet."""
    db = DatabaseService(address)
    try:
        yield services_on(db, settings, EngineClient, judges_here=False)
    finally:
        db.close()


@contextmanager
def worker(services: Services) -> Iterator[str]:
    """Reviews are done while the block runs."""
    with working(services, LOAD, PACE) as name:
        yield name


@contextmanager
def judged_by(services: Services, script: Script, home: Path) -> Iterator[ScriptedModel]:
    """A judge on a scripted model, for these services and for the worker that has them."""
    before = services.gates.stages.judging
    with ScriptedModel(script) as server:
        services.gates.stages.judging = services_on(
            services.db, judging_settings(server, home)
        ).gates.stages.judging
        try:
            yield server
        finally:
            services.gates.stages.judging = before


def judging_settings(server: ScriptedModel, home: Path) -> Settings:
    return Settings(
        home=home,
        judge_model="openai/scripted",
        judge_api_key=SecretStr(KEY),
        judge_base_url=server.url,
    )


def until(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
