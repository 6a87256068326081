"""Asks a model, once, to tell in a few words what many items say."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Final
from uuid import UUID, uuid4

from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field

from omoi_os.domain.context import MOST_GIVEN, Leftover, Point
from omoi_os.domain.judging import Fence, Loose, pack
from omoi_os.judge.environment import prepare, without_known_secrets, without_secrets
from omoi_os.judge.executor import Executor
from omoi_os.judge.prompts import environment_of, texts_in
from omoi_os.judge.run import AgentTask, Host, Limits, Model, RunOutcome, Stage, Usage
from omoi_os.resources import resource
from omoi_os.utils.tokens import Tokens

ONE_CALL: Final = Limits(
    max_iterations=1,
    wall_clock_seconds=60.0,
    max_cost_usd=0.5,
    max_tokens=40_000,
    max_output_tokens=8_000,
    llm_timeout_seconds=50,
    llm_attempts=1,
    max_reply_bytes=256_000,
    repair_turns=0,
)
"""Nothing waits for it, and without it the summary is as good as it was: it is not worth a second call."""

_MOST_SHOWN: Final = MOST_GIVEN * 5 // 4  # the numbers need some, too
_TOKENS_OF_A_POINT: Final = 25


class SaidPoint(BaseModel):
    """One point of a submission."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=4_000, description="One or two plain sentences.")
    items: list[int] = Field(
        min_length=1, max_length=2_000, description="The numbers of the notes that it tells."
    )


class Condensation(BaseModel):
    """What a model submits."""

    model_config = ConfigDict(extra="forbid")

    points: list[SaidPoint] = Field(min_length=1, max_length=200, description="The most important one first.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking.

    Attributes:
        points: What the model said, without secrets; nothing unless the outcome is `accepted`.
        detail: Why it is not, for a person.
    """

    points: tuple[Point, ...]
    outcome: RunOutcome
    detail: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class Condenser:
    """A model, and how it is asked to condense."""

    model: Model
    tokens: Tokens = field(default_factory=Tokens)
    host: Host | None = None
    limits: Limits = ONE_CALL

    def ask(self, leftover: Leftover, room: int) -> Answer:
        """Ask for points of `room` tokens together; never raises for what a model or its provider does."""
        prepare()  # what it takes out of the environment is a secret
        key = self.model.api_key.get_secret_value()
        id_ = uuid4()
        stage = Stage(self.message(leftover, room, Fence.of(str(id_), key)), Condensation)
        run = Executor(self.model, self.limits, self.host).run(self._task(stage, id_, key))
        said = run.value(0, stage).points if run.accepted else []
        points = tuple(Point(without_secrets(point.text, key), tuple(point.items)) for point in said)
        return Answer(points, run.outcome, run.detail, run.usage)

    def system(self, fence: Fence) -> str:
        """What the model is, and how it answers."""
        return _render("system", nonce=fence.nonce)

    def message(self, leftover: Leftover, room: int, fence: Fence) -> str:
        """What it is asked; the items stand in the fence, without the secrets of this process."""
        shown = without_known_secrets(leftover.text, self.model.api_key.get_secret_value())
        fenced = pack([Loose("notes", shown)], fence, _MOST_SHOWN, self.tokens).texts[0].text
        most_points = max(1, room // _TOKENS_OF_A_POINT)
        return _render("items", items=fenced, room=room, words=room * 2 // 3, most_points=most_points)

    def _task(self, stage: Stage[Condensation], id_: UUID, key: str) -> AgentTask:
        return AgentTask(self.system(Fence.of(str(id_), key)), (stage,), conversation_id=id_)


def _render(name: str, **values: object) -> str:
    return _templates().get_template(f"{name}.md.j2").render(**values).strip() + "\n"


@cache
def _templates() -> ImmutableSandboxedEnvironment:
    return environment_of(texts_in(resource("prompts") / "context"))
