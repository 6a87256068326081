"""Looks whether a machine has what reviews need: each thing on its own, so that all that is wrong is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final, Protocol

from pydantic import BaseModel

from omoi_os.errors import DatabaseUnavailable, OmoiError, PolicyInvalid
from omoi_os.judge.executor import Executor
from omoi_os.judge.prompts import PromptSet, PromptsInvalid
from omoi_os.judge.run import AgentRun, AgentTask, Host, Limits, Pace, RunOutcome, Stage
from omoi_os.services.budgets import BudgetLimits, BudgetService
from omoi_os.services.fleet import FleetService
from omoi_os.services.judging import model_of
from omoi_os.services.policies import load_policy, policy_path
from omoi_os.settings import Settings
from omoi_os.utils.tokens import Tokens

_PYTHON: Final = ((3, 12), (3, 15))
_GIB: Final = 1 << 30
_ROOM: Final = 2 * _GIB
"""What one snapshot may take."""

_ONE_CALL: Final = Limits(
    max_iterations=1, wall_clock_seconds=60, llm_timeout_seconds=50, llm_attempts=1, repair_turns=0
)
_ANSWERS_WITHOUT_CALLING: Final = frozenset(
    {RunOutcome.NO_SUBMISSION, RunOutcome.REJECTED_SUBMISSION, RunOutcome.STUCK, RunOutcome.ITERATION_LIMIT}
)
_FIXES: Final = {
    RunOutcome.MISCONFIGURED: "Correct OMOI_JUDGE_MODEL, OMOI_JUDGE_API_KEY or OMOI_JUDGE_BASE_URL.",
    RunOutcome.QUOTA: "Raise the quota of the model's account, or name another model.",
    RunOutcome.RATE_LIMITED: "Wait a while, or raise the account's limit or OMOI_MODEL_CALLS_PER_MINUTE.",
    RunOutcome.UNAVAILABLE: "See whether OMOI_JUDGE_BASE_URL can be reached from this machine.",
    RunOutcome.WALL_CLOCK: "The model is too slow to review with; name another one.",
    RunOutcome.REFUSED: "The model refuses a harmless question; name another one.",
}


class Opened(Protocol):
    """What is used of a database that was opened."""

    @property
    def budgets(self) -> BudgetService: ...

    @property
    def fleet(self) -> FleetService: ...


type OpenDatabase = Callable[[], AbstractContextManager[Opened]]


class State(StrEnum):
    """How a check ended; `SKIPPED` is neither good nor bad."""

    OK = "ok"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        found: What was found, as a clause.
        fix: What to do, as a sentence; "" where nothing has to be done.
    """

    name: str
    state: State
    found: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def examine(settings: Settings, database: OpenDatabase) -> Iterator[Check]:
    """Look at everything, one after the other; the last one may take a minute and one call of the model.

    Args:
        database: Opens it, up to date, and raises DatabaseUnavailable where it cannot.
    """
    yield _python()
    yield _git()
    yield _with_policy("database", lambda: _database(settings, database))
    yield _with_policy("workers", lambda: _workers(database))
    yield _with_policy("budgets", lambda: _budgets(settings, database))
    yield _policy(settings)
    yield _workspaces(settings)
    yield _snapshots(settings)
    yield _prompts(settings)
    yield _vocabulary(settings)
    yield _with_policy("judge", lambda: _judge(settings, database))


def _with_policy(name: str, look: Callable[[], Check]) -> Check:
    """A check that opens the services, which need a policy; whether it can be read is a check of its own."""
    try:
        return look()
    except PolicyInvalid:
        return Check(name, State.SKIPPED, "is looked at once the policy can be read")


def _python() -> Check:
    least, below = _PYTHON
    found = ".".join(map(str, sys.version_info[:3]))
    if least <= sys.version_info[:2] < below:
        return Check("python", State.OK, found)
    return Check("python", State.FAIL, f"{found} is not supported", "Use Python 3.12, 3.13 or 3.14.")


def _git() -> Check:
    program = shutil.which("git")
    if program is None:
        fix = "Install git: changes are measured with it."
        return Check("git", State.FAIL, "there is no git on the PATH", fix)
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Check(
            "git", State.FAIL, f"{program} does not run ({type(error).__name__})", "Install git anew."
        )
    return Check("git", State.OK, " ".join(said.split()).removeprefix("git version "))


def _database(settings: Settings, database: OpenDatabase) -> Check:
    try:
        with database():
            return Check("database", State.OK, "answers, and its schema is up to date")
    except DatabaseUnavailable as error:
        fix = "Start it, or correct OMOI_DATABASE_URL; without that variable omoi starts its own."
        return Check("database", State.FAIL, error.message, fix if settings.database_url else "")


def _workers(database: OpenDatabase) -> Check:
    try:
        with database() as opened:
            fleet = opened.fleet.look()
    except DatabaseUnavailable:
        return Check("workers", State.SKIPPED, "they cannot be counted without the database")
    pending = "1 review is pending" if fleet.reviews == 1 else f"{fleet.reviews:,} reviews are pending"
    if fleet.oldest_seconds is not None:
        pending += f", the oldest for {fleet.oldest_seconds:,.0f} s"
    if fleet.is_stuck:
        fix = "Start one with `omoi worker`, or the API, a database and a worker with `omoi up`."
        return Check("workers", State.FAIL, f"no worker lives, and {pending}", fix)
    if fleet.workers == 0:
        return Check(
            "workers", State.SKIPPED, "none lives; `omoi worker` does the reviews that are asked for"
        )
    return Check("workers", State.OK, f"{fleet.workers:,} alive; {pending}")


def _budgets(settings: Settings, database: OpenDatabase) -> Check:
    limits = BudgetLimits.of(settings)
    if limits == BudgetLimits():
        found = (
            "none is set; OMOI_MODEL_CALLS_PER_MINUTE and OMOI_JUDGE_USD_PER_DAY limit what models may cost"
        )
        return Check("budgets", State.SKIPPED, found)
    try:
        with database() as opened:
            state = opened.budgets.state()
    except DatabaseUnavailable:
        return Check("budgets", State.FAIL, "they cannot be asked: no model is called", "See the database.")
    told = []
    if limits.calls_per_minute is not None:
        told.append(f"{limits.calls_per_minute:,} model calls per minute")
    if state.left_usd is not None:
        told.append(f"${state.usd_per_day:,.2f} per day, of which ${state.left_usd:,.2f} are left today")
    return Check("budgets", State.OK, " and ".join(told))


def _policy(settings: Settings) -> Check:
    path = policy_path(settings)
    try:
        policy = load_policy(settings)
    except PolicyInvalid as error:
        more = len(error.message.splitlines()) - 1
        found = error.message.splitlines()[0] + (f" (and {more:,} more)" if more else "")
        return Check("policy", State.FAIL, found, "See `omoi policy check`.")
    return Check("policy", State.OK, f"{path or 'the built-in one'}, digest {policy.digest[:12]}")


def _workspaces(settings: Settings) -> Check:
    for root in settings.roots:
        if not root.is_dir() or not os.access(root, os.R_OK | os.X_OK):
            fix = "Make it, or correct OMOI_WORKSPACE_ROOTS."
            return Check("workspaces", State.FAIL, f"{root} is no folder that can be read", fix)
    if not settings.roots:
        return Check("workspaces", State.FAIL, "no folder is allowed", "Set OMOI_WORKSPACE_ROOTS.")
    return Check("workspaces", State.OK, f"under {', '.join(map(str, settings.roots))}")


def _snapshots(settings: Settings) -> Check:
    wanted = settings.snapshots
    folder = next(place for place in (wanted, *wanted.parents) if place.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        fix = "Make it writable, or set OMOI_WORKSPACES."
        return Check("snapshots", State.FAIL, f"{wanted} cannot be written", fix)
    free = shutil.disk_usage(folder).free
    found = f"{free / _GIB:,.1f} GiB are free for {wanted}"
    if free < _ROOM:
        fix = "Make room, or set OMOI_WORKSPACES to another disk: one snapshot may take 2 GiB."
        return Check("snapshots", State.FAIL, f"only {found}", fix)
    return Check("snapshots", State.OK, found)


def _prompts(settings: Settings) -> Check:
    try:
        prompts = PromptSet.load(settings.prompts)
    except PromptsInvalid as error:
        fix = "Correct the file, or take OMOI_PROMPTS away."
        return Check("prompts", State.FAIL, error.message.splitlines()[0], fix)
    return Check("prompts", State.OK, f"{settings.prompts or 'built in'}, digest {prompts.digest[:12]}")


def _vocabulary(settings: Settings) -> Check:
    try:
        Tokens(settings.encoding).count("whole")
    except (OSError, ValueError, LookupError, ImportError) as error:
        fix = "Install omoi-os anew: its dependency litellm carries the vocabulary."
        return Check("vocabulary", State.FAIL, f"{settings.encoding} is not there ({error})", fix)
    return Check("vocabulary", State.OK, f"{settings.encoding}, without a network")


class _Ready(BaseModel):
    ready: bool


def _judge(settings: Settings, database: OpenDatabase) -> Check:
    if model_of(settings) is None:
        found = "no model is configured, so the rules decide alone; OMOI_JUDGE_MODEL names one"
        return Check("judge", State.SKIPPED, found)
    with ExitStack() as stack:
        try:
            pace = _paced(settings, stack, database)
        except DatabaseUnavailable:
            return Check(
                "judge", State.FAIL, "was not asked, since its budget cannot be", "See the database."
            )
        return _asked(settings, pace)


def _paced(settings: Settings, stack: ExitStack, database: OpenDatabase) -> Pace | None:
    """This one call counts like any other; without a limit no database is needed for it."""
    return stack.enter_context(database()).budgets.pace if settings.model_calls_per_minute else None


def _asked(settings: Settings, pace: Pace | None) -> Check:
    model = model_of(settings, pace)
    assert model is not None  # noqa: S101 looked up before
    host = Host(settings.judge_host, settings.judge_host_key) if settings.judge_host else None
    task = AgentTask(
        "You check a connection.", (Stage("Call `finish` once, with `ready` set to true.", _Ready),)
    )
    try:
        return _of_run(Executor(model, _ONE_CALL, host).run(task), model.name)
    except OmoiError as error:
        return Check("judge", State.FAIL, error.message)


def _of_run(run: AgentRun, name: str) -> Check:
    if run.accepted:
        tokens = run.usage.prompt_tokens + run.usage.completion_tokens
        cost = "unknown" if run.usage.cost_usd is None else f"${run.usage.cost_usd:.4f}"
        found = f"{name} answers in {sum(run.usage.latencies):.1f} s ({tokens:,} tokens, cost {cost})"
        return Check("judge", State.OK, found)
    if run.outcome in _ANSWERS_WITHOUT_CALLING:
        fix = "Name a model that can call tools."
        return Check("judge", State.FAIL, f"{name} answers, but does not call the tool: {run.detail}", fix)
    fix = _FIXES.get(run.outcome, "Look at the log, and try again.")
    return Check("judge", State.FAIL, f"{name}: {run.outcome}: {run.detail}", fix)
