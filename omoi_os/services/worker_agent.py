"""The agent that does tasks: what it is told, what it works with, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

from omoi_os.domain.evidence import Unreadable
from omoi_os.domain.judging import Fence
from omoi_os.domain.phases import parse_phase
from omoi_os.domain.policy import PHASE_GATE_REQUIREMENTS
from omoi_os.domain.policy.words import explain
from omoi_os.domain.storable import storable
from omoi_os.domain.work import Problem, WorkReport, result_of
from omoi_os.errors import WorkerMisconfigured
from omoi_os.evidence.paths import open_workspace
from omoi_os.judge.environment import without_secrets
from omoi_os.judge.run import AgentRun, Limits, Model, RunOutcome
from omoi_os.judge.work import WorkerPrompts, WorkOrder
from omoi_os.models.task import Task
from omoi_os.models.ticket import Ticket
from omoi_os.services.agent_executor import AgentExecutor
from omoi_os.services.context_service import ContextService
from omoi_os.services.judging import model_of
from omoi_os.services.policies import PolicyService
from omoi_os.settings import Settings
from omoi_os.utils.tokens import Tokens

_LONGEST_REASON: Final = 2_000
_BIGGEST_ARTIFACT: Final = 1 << 40

type Kept = dict[str, Any]
"""How a step went, as JSON."""


class State(StrEnum):
    """How a step ended."""

    REPORTED = "reported"
    COMPLETED = "completed"
    FAILED = "failed"
    AWAY = "away"
    """For nothing that the task is to blame for: it is given back."""

    BUSY = "busy"
    CUT_OFF = "cut_off"
    LOST = "lost"


AWAY: Final = frozenset(
    {RunOutcome.RATE_LIMITED, RunOutcome.UNAVAILABLE, RunOutcome.QUOTA, RunOutcome.MISCONFIGURED}
)
"""How runs end that say nothing about their task: the model, or the way to it, is not there."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What work is done with.

    Attributes:
        transcripts: Folder of the conversations, from which a killed one goes on.
        roots: Folders under which workspaces may be written.
        closed: What the operator keeps; no agent writes there.
    """

    model: Model
    transcripts: Path
    roots: Sequence[Path] = ()
    closed: Sequence[Path] = ()
    limits: Limits = field(default_factory=Limits)
    tokens: Tokens = field(default_factory=Tokens)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the settings say.

        Raises:
            WorkerMisconfigured: No model is named.
        """
        judge = model_of(settings)
        name = settings.worker_model
        if judge is None and name is None:
            raise WorkerMisconfigured
        model = judge if name is None else model_of(settings.for_worker())
        assert model is not None  # noqa: S101 - one of the two is named
        kept = (settings.home, settings.snapshots, settings.policy, settings.prompts)
        return cls(
            model,
            settings.transcripts,
            settings.roots,
            [path for path in kept if path is not None],
            Limits(
                max_iterations=settings.worker_iterations,
                wall_clock_seconds=settings.worker_seconds,
                max_cost_usd=settings.worker_cost,
            ),
            Tokens(settings.encoding),
        )


@dataclass(frozen=True, slots=True)
class Assignment:
    """A task as one execution has it."""

    task: Task
    ticket: Ticket
    agent_id: str
    conversation_id: UUID

    @property
    def root(self) -> Path | None:
        return Path(self.ticket.workspace_path) if self.ticket.workspace_path else None

    @property
    def workplace(self) -> str:
        """The name under which one agent at a time is let in."""
        return self.ticket.workspace_path or f"task {self.task.id}"


class WorkerAgent:
    """Does one task in one conversation; a killed one goes on where it was."""

    def __init__(self, hands: Hands, contexts: ContextService, policies: PolicyService) -> None:
        self.hands = hands
        self.contexts = contexts
        self.policies = policies

    def refusal(self, root: Path) -> str | None:
        """Why this process cannot work there, as another one might; None where it can."""
        if not any(root.is_relative_to(folder.expanduser().resolve()) for folder in self.hands.roots):
            return "the workspace is not under a root of this worker"
        workspace = open_workspace(root, follow=False)
        if isinstance(workspace, Unreadable):
            return workspace.detail
        workspace.close()
        return None

    def do(self, given: Assignment) -> AgentRun:
        """Run the conversation to its end; takes minutes. Whatever goes wrong is the run's outcome."""
        hands, root = self.hands, given.root
        prompts, fence = WorkerPrompts(hands.tokens), Fence.of(str(given.conversation_id), self._key)
        executor = AgentExecutor(root or hands.transcripts, model=hands.model, limits=self._limits(given))
        tools = () if root is None else (*executor.reading_tools, *executor.writing_tools(hands.closed))
        order = self._order(given)
        return executor.execute_task(
            prompts.stage(order, fence, None if root is None else _looking_in(root)),
            tools=tools,
            system_prompt=prompts.system(order, fence),
            persistence_dir=hands.transcripts,
            conversation_id=given.conversation_id,
        )

    def said(self, run: AgentRun) -> Kept:
        """What a run that nobody stopped comes to."""
        if not run.accepted:
            reason = self._short(f"{run.outcome}: {run.detail}")
            if run.outcome in AWAY:
                return kept(State.AWAY, reason=reason)
            return kept(State.FAILED, reason=reason, permanent=not run.outcome.can_retry)
        report = run.values[0]
        assert isinstance(report, WorkReport)  # noqa: S101 - what the stage asked for
        if not report.done:
            reason = self._short(f"the agent says that it is not done: {report.report}")
            return kept(State.FAILED, reason=reason, permanent=False)
        return kept(State.REPORTED, result=self._clean(result_of(report)))

    @property
    def _key(self) -> str:
        return self.hands.model.api_key.get_secret_value()

    def _limits(self, given: Assignment) -> Limits:
        limits, seconds = self.hands.limits, given.task.timeout_seconds
        if seconds is None or seconds >= limits.wall_clock_seconds:
            return limits
        return replace(limits, wall_clock_seconds=float(seconds))

    def _order(self, given: Assignment) -> WorkOrder:
        task, ticket = given.task, given.ticket
        phase = parse_phase(task.phase_id)
        context = self.contexts.get_context_for_phase(ticket.id, phase)
        return WorkOrder(
            phase=phase.name.lower(),
            kind=task.task_type,
            description=task.description or "",
            title=ticket.title,
            ticket=ticket.description or "",
            context=self.contexts.summarize_context(context) if context["phases"] else "",
            asked=list(explain(self.policies.of(phase))) if phase in PHASE_GATE_REQUIREMENTS else [],
            has_workspace=given.root is not None,
        )

    def _clean(self, value: Any) -> Any:
        match value:
            case str():
                return storable(without_secrets(value, self._key))
            case dict():
                return {name: self._clean(item) for name, item in value.items()}
            case list():
                return [self._clean(item) for item in value]
            case _:
                return value

    def _short(self, text: str) -> str:
        return str(self._clean(text))[:_LONGEST_REASON]


def kept(state: State, **found: object) -> Kept:
    """How a step went."""
    return {"state": state.value, **found}


def _looking_in(root: Path) -> Problem:
    def problem(path: str) -> str | None:
        workspace = open_workspace(root, follow=False)
        if isinstance(workspace, Unreadable):
            return workspace.detail
        with workspace:
            opened = workspace.open(path, max_bytes=_BIGGEST_ARTIFACT)
        if isinstance(opened, Unreadable):
            return opened.detail
        opened.close()
        return None

    return problem
