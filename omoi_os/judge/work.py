"""What a worker agent is told: its task in the words of the prompts, fenced and bounded as for judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from omoi_os.domain.judging import Fence, Loose, pack
from omoi_os.domain.work import Problem, WorkReport, problems_of
from omoi_os.judge.environment import prepare, without_known_secrets
from omoi_os.judge.run import Stage
from omoi_os.resources import resource
from omoi_os.utils.tokens import Tokens

_TASK_TOKENS: Final = 8_000
_TICKET_TOKENS: Final = 4_000
_CONTEXT_TOKENS: Final = 4_000


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """One task, and what whoever does it must know.

    Attributes:
        phase: Its name, as prompts write it.
        kind: The task's type.
        context: What earlier phases handed on, summed up.
        asked: The phase's policy in words, line by line.
        has_workspace: Whether there is a folder to work in.
    """

    phase: str
    kind: str
    description: str
    title: str
    ticket: str = ""
    context: str = ""
    asked: Sequence[str] = ()
    has_workspace: bool = True


@dataclass(frozen=True, slots=True)
class WorkerPrompts:
    """Renders what a worker is told."""

    tokens: Tokens

    def system(self, order: WorkOrder, fence: Fence) -> str:
        """What the worker is, what it can do, and how it ends."""
        return _render("system", nonce=fence.nonce, has_workspace=order.has_workspace)

    def message(self, order: WorkOrder, fence: Fence) -> str:
        """The task."""
        prepare()  # what it takes out of the environment is what is known
        return _render(
            "task",
            phase=order.phase,
            task=self._fenced("task", f"{order.kind}\n\n{order.description}", fence, _TASK_TOKENS),
            ticket=self._fenced("ticket", f"{order.title}\n\n{order.ticket}", fence, _TICKET_TOKENS),
            context=self._fenced("earlier phases", order.context, fence, _CONTEXT_TOKENS),
            asked="\n".join(order.asked),
        )

    def stage(self, order: WorkOrder, fence: Fence, problem: Problem | None) -> Stage[WorkReport]:
        """The task as a question that ends with a report whose artifacts are there.

        Args:
            problem: Says why a path cannot be an artifact; None where there is no workspace.
        """
        return Stage(self.message(order, fence), WorkReport, lambda report: problems_of(report, problem))

    def _fenced(self, name: str, text: str, fence: Fence, budget: int) -> str:
        if not text.strip():
            return ""
        return pack([Loose(name, without_known_secrets(text))], fence, budget, self.tokens).texts[0].text


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(resource("prompts") / "worker"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(name: str, **values: Any) -> str:
    return _environment().get_template(f"{name}.md.j2").render(**values).strip() + "\n"
