"""What one phase asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from omoi_os.domain.phases import Phase
from omoi_os.domain.policy.criteria import Criterion, EvidenceKind


class JudgeMode(StrEnum):
    """`AUTO` judges where a model is configured, and otherwise lets the rules decide alone."""

    OFF = "off"
    AUTO = "auto"
    REQUIRED = "required"


class Advance(StrEnum):
    """Whether a ticket that passed moves on by itself or waits for a person."""

    AUTO = "auto"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class RequiredArtifact:
    """An artifact that a gate asks for, and what it must show.

    Attributes:
        criteria: Empty where its being there and readable is all that is asked.
    """

    type: str
    kind: EvidenceKind
    criteria: tuple[Criterion, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgeLimits:
    """Where a judge is stopped; one that reaches a limit has said nothing."""

    max_iterations: int = 30
    wall_clock_seconds: int = 600
    max_cost_usd: float = 1.0
    max_tokens: int = 500_000


@dataclass(frozen=True, slots=True)
class JudgeCriterion:
    """What a judge is asked, in plain words."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class JudgePolicy:
    """Who judges what no rule can measure.

    Attributes:
        model: None for the model of the settings.
        judges: 1, or 2 that must agree.
        max_wrong_passes: The largest share of wrong passes, in percent, that a model may have shown
            in trials; None where that is not asked.
    """

    mode: JudgeMode = JudgeMode.AUTO
    model: str | None = None
    criteria: tuple[JudgeCriterion, ...] = ()
    limits: JudgeLimits = JudgeLimits()
    judges: int = 1
    second_model: str | None = None
    max_wrong_passes: float | None = None


@dataclass(frozen=True, slots=True)
class SummaryPolicy:
    """How a phase is summed up for the next one.

    Attributes:
        condense: Have a model condense what does not fit.
    """

    condense: bool = False
    max_tokens: int = 2000


@dataclass(frozen=True, slots=True)
class PhasePolicy:
    """What one phase must show, and what happens then.

    Attributes:
        max_iterations: Failed reviews after which a person is asked.
        max_attempts: Reviews that come to nothing, one after the other, before a person is waited for; the
            outage of a model is not one.
        waiver_max_days: The longest time for which a criterion can be waived.
    """

    phase: Phase
    artifacts: tuple[RequiredArtifact, ...]
    tasks_must_be_completed: bool = True
    judge: JudgePolicy = JudgePolicy()
    context: SummaryPolicy = SummaryPolicy()
    advance: Advance = Advance.AUTO
    max_iterations: int = 3
    max_attempts: int = 3
    waiver_max_days: int = 30

    @property
    def artifact_types(self) -> tuple[str, ...]:
        return tuple(artifact.type for artifact in self.artifacts)

    def without_tasks(self) -> PhasePolicy:
        """The same gate for a working tree that no task queue knows."""
        return replace(self, tasks_must_be_completed=False)
