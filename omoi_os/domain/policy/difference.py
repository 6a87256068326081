"""What a change of policy means: is less asked than before, or more?

What code cannot tell counts as weaker: a person has to look at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from omoi_os.domain.phases import Phase
from omoi_os.domain.policy.criteria import (
    ClaimsMode,
    Criterion,
    EvidenceKind,
    MinCoverage,
    MinLength,
    RequiredSections,
    criterion_name,
)
from omoi_os.domain.policy.phase import Advance, JudgeMode, JudgePolicy, PhasePolicy, RequiredArtifact
from omoi_os.domain.policy.whole import Policy
from omoi_os.domain.policy.words import count, demand
from omoi_os.domain.verdict import Severity


class Direction(StrEnum):
    WEAKER = "weaker"
    STRONGER = "stronger"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Change:
    """One change, as a sentence without its end."""

    phase: Phase
    direction: Direction
    text: str


type Told = tuple[Direction, str]

_MODES = (JudgeMode.OFF, JudgeMode.AUTO, JudgeMode.REQUIRED)


def differences(old: Policy, new: Policy) -> tuple[Change, ...]:
    """Everything that `new` asks otherwise than `old`, in the order of the phases."""
    return tuple(
        Change(phase, direction, text)
        for phase in old.phases
        for direction, text in _of_phase(old.of(phase), new.of(phase))
    )


def _of_phase(old: PhasePolicy, new: PhasePolicy) -> Iterator[Told]:
    if old.tasks_must_be_completed is not new.tasks_must_be_completed:
        asked = new.tasks_must_be_completed
        yield _grown(asked, f"tasks {'must' if asked else 'need not'} be completed")
    yield from _artifacts(old, new)
    yield from _judge(old.judge, new.judge)
    yield from _afterwards(old, new)


def _artifacts(old: PhasePolicy, new: PhasePolicy) -> Iterator[Told]:
    before = {artifact.type: artifact for artifact in old.artifacts}
    after = {artifact.type: artifact for artifact in new.artifacts}
    for name in before | after:
        if name not in after:
            yield Direction.WEAKER, f"{name} is no longer required"
        elif name not in before:
            yield Direction.STRONGER, f"{name} is required"
        else:
            yield from _artifact(before[name], after[name])


def _artifact(old: RequiredArtifact, new: RequiredArtifact) -> Iterator[Told]:
    if old.kind is not new.kind:
        # Any file at all is the least to ask; which of two other kinds asks more cannot be told.
        direction = Direction.STRONGER if old.kind is EvidenceKind.PRESENCE else Direction.WEAKER
        yield direction, f"{new.type} is {new.kind} instead of {old.kind}"
    before = {criterion_name(criterion): criterion for criterion in old.criteria}
    after = {criterion_name(criterion): criterion for criterion in new.criteria}
    for name in before | after:
        where = f"{new.type}.{name}"
        if name not in after:
            yield Direction.WEAKER, f"{where} is no longer asked ({demand(before[name])})"
        elif name not in before:
            yield Direction.STRONGER, f"{where} is asked ({demand(after[name])})"
        else:
            for direction, text in _criterion(before[name], after[name]):
                yield direction, f"{where}: {text}"


def _criterion(old: Criterion, new: Criterion) -> Iterator[Told]:
    match old, new:
        case MinLength(characters=before), MinLength(characters=after):
            yield from _number(before, after, "characters")
        case MinCoverage(percent=less), MinCoverage(percent=more):
            yield from _number(less, more, "%")
        case RequiredSections(), RequiredSections():
            yield from _sections(old, new)
        case _:
            pass
    if old.terms.severity is not new.terms.severity:
        blocks = new.terms.severity is Severity.BLOCK
        yield _grown(blocks, "it blocks" if blocks else "it is only told, and no longer blocks")
    if old.terms.claims is not new.terms.claims:
        rejected = new.terms.claims is ClaimsMode.REJECT
        yield _grown(
            rejected, f"claims {'no longer count' if rejected else 'count where nothing is measured'}"
        )
    yield from _paths(old, new)


def _paths(old: Criterion, new: Criterion) -> Iterator[Told]:
    before, after = set(old.terms.paths), set(new.terms.paths)
    if before == after:
        return
    text = f"it is about {_listed(new.terms.paths)} instead of {_listed(old.terms.paths)}"
    # More files ask for more tests, but their lines can also lift a percentage.
    wider = not after or (bool(before) and before < after)
    yield _grown(wider and not isinstance(new, MinCoverage), text)


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(paths) or "all files"


def _sections(old: RequiredSections, new: RequiredSections) -> Iterator[Told]:
    for name in dict.fromkeys((*old.sections, *new.sections)):
        if name not in new.sections:
            yield Direction.WEAKER, f"the section “{name}” is no longer asked"
        elif name not in old.sections:
            yield Direction.STRONGER, f"the section “{name}” is asked"
        else:
            gained = sorted(new.accepted(name) - old.accepted(name))
            lost = sorted(old.accepted(name) - new.accepted(name))
            if gained:
                yield Direction.WEAKER, f"the section “{name}” may also be called {', '.join(gained)}"
            if lost:
                yield Direction.STRONGER, f"the section “{name}” may not be called {', '.join(lost)}"


def _judge(old: JudgePolicy, new: JudgePolicy) -> Iterator[Told]:
    if old.mode is not new.mode:
        yield _grown(
            _MODES.index(new.mode) > _MODES.index(old.mode), f"the judge is {new.mode} instead of {old.mode}"
        )
    before = {criterion.id: criterion.text for criterion in old.criteria}
    after = {criterion.id: criterion.text for criterion in new.criteria}
    yield from _judged(before, after)
    if old.judges != new.judges:
        yield _grown(new.judges > old.judges, f"{count(new.judges, 'judge')} instead of {old.judges}")
    if old.max_wrong_passes != new.max_wrong_passes:
        least, most = old.max_wrong_passes, new.max_wrong_passes
        stricter = most is not None and (least is None or most < least)
        yield _grown(stricter, f"wrong passes in trials: {_percent(most)} instead of {_percent(least)}")
    for name in ("model", "second_model", "limits"):
        if getattr(old, name) != getattr(new, name):
            yield Direction.DIFFERENT, f"the judge's {name} changed"


def _judged(before: dict[str, str], after: dict[str, str]) -> Iterator[Told]:
    for name in before | after:
        if name not in after:
            yield Direction.WEAKER, f"the judge is no longer asked {name}"
        elif name not in before:
            yield Direction.STRONGER, f"the judge is asked {name}"
        elif before[name] != after[name]:
            yield Direction.WEAKER, f"the judge is asked {name} in other words, which a person must compare"


def _percent(value: float | None) -> str:
    return "any number" if value is None else f"{value:g} %"


def _afterwards(old: PhasePolicy, new: PhasePolicy) -> Iterator[Told]:
    if old.advance is not new.advance:
        by_hand = new.advance is Advance.MANUAL
        yield _grown(by_hand, "a person moves tickets on" if by_hand else "tickets move on without a person")
    if old.waiver_max_days != new.waiver_max_days:
        shorter = new.waiver_max_days < old.waiver_max_days
        text = f"waivers of at most {count(new.waiver_max_days, 'day')} instead of {old.waiver_max_days}"
        yield _grown(shorter, text)
    if old.max_iterations != new.max_iterations:
        text = f"{count(new.max_iterations, 'failed review')} instead of {old.max_iterations} before a person"
        yield Direction.DIFFERENT, text
    if old.max_attempts != new.max_attempts:
        text = f"{count(new.max_attempts, 'attempt')} at a review instead of {old.max_attempts}"
        yield Direction.DIFFERENT, text
    if old.context != new.context:
        yield Direction.DIFFERENT, "the next phase is told in another way"


def _number(old: float, new: float, unit: str) -> Iterator[Told]:
    if old != new:
        yield _grown(new > old, f"at least {new:,g} {unit} instead of {old:,g}")


def _grown(more: bool, text: str) -> Told:  # noqa: FBT001 - the answer to a question that stands beside it
    return (Direction.STRONGER if more else Direction.WEAKER), text
