"""The machine of the demo: a folder, a database, models and a worker, all of which are gone afterwards."""

from __future__ import annotations

import logging
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omoi_os.bootstrap import Services
from omoi_os.cli import samples
from omoi_os.cli.demo.models import JUDGE, KEY, PROVIDER, WORKER, scripted_models
from omoi_os.cli.demo.script import BASE, Script
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.show import progress
from omoi_os.cli.signals import Held, held
from omoi_os.judge.executor import load
from omoi_os.judge.scripted import ScriptedModel
from omoi_os.settings import Settings
from omoi_os.worker.engine import Load
from omoi_os.worker.process import Pace, working

POLICY: Final = """\
version: 1
phases:
  testing:
    advance: manual
"""
"""The built-in policy, but that a person moves tickets out of testing."""

_NOBODYS: Final = "OMOI_DEMO_"
"""Begins no variable: what the operator has set must not change the story."""

_LOAD: Final = Load(poll=0.1, tasks=1)
_PACE: Final = Pace(drain=10)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the story is told with.

    Attributes:
        signals: Held back, so that they are looked for while something is waited for.
        tree: The ticket's workspace.
        models: Counts what it was asked.
    """

    services: Services
    signals: Held
    tree: Path
    models: ScriptedModel


@contextmanager
def workshop(script: Script) -> Iterator[Workshop]:
    """All of it, whatever the operator's settings say."""
    with held() as signals, tempfile.TemporaryDirectory(prefix="omoi-demo-") as name:
        folder = Path(name).resolve()
        tree = folder / "workspace"
        with scripted_models(script, tree) as models:
            settings = _settings(folder, models.url)
            # The agent's library takes seconds to load: meanwhile the database is made. No daemon: a process
            # that ends in the middle of an import may wait for its lock for ever.
            threading.Thread(target=load, name="agents").start()
            samples.begin(BASE, tree, script.branch)
            with opened(settings, judges_here=False) as services, ExitStack() as stack:
                signals.look()
                with progress("starting a worker"):
                    stack.enter_context(working(services, _LOAD, _PACE))
                stack.callback(_hush)
                signals.look()
                yield Workshop(services, signals, tree, models)


def _hush() -> None:
    """Where the story ends before its end, nobody need be told what is cut off."""
    for name in ("dbos", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")


def _settings(folder: Path, url: str) -> Settings:
    policy = folder / "omoi.yaml"
    policy.write_text(POLICY)
    return read_settings(
        _env_prefix=_NOBODYS,
        home=folder / "home",
        workspace_roots=str(folder),
        policy=policy,
        retry_seconds=0.5,
        judge_model=PROVIDER + JUDGE,
        judge_api_key=KEY,
        judge_base_url=url,
        worker_model=PROVIDER + WORKER,
        worker_api_key=KEY,
        worker_base_url=url,
    )
