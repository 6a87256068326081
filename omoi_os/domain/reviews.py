"""Reviews that run by themselves: what happens after each way in which one can end. All pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from omoi_os.domain.phases import PHASE_SEQUENCE, Phase
from omoi_os.domain.policy import Advance, PhasePolicy
from omoi_os.domain.verdict import Finding, GateStatus, Outcome

OUTAGES: Final = frozenset({"unavailable", "rate_limited", "budget_spent"})
"""Codes of a model that cannot be asked now. Waiting for it is nobody's attempt, and ends in no verdict."""

MOST_RUNS: Final = 5
"""Processes that may be lost over one attempt; a review that kills whoever takes it must end, too."""

SUSPECT: Final = 2
"""Processes lost over it after which a review waits for its turn: of those, one at a time is taken.

A review that kills whoever takes it takes its neighbours with it. Alone, it is the only one that is counted.
"""

_TRY_AGAIN: Final = frozenset({"evidence_changed", "workspace_changed", "review_failed"})
_LONGEST_WAIT: Final = 20.0
"""Doublings end here, in multiples of the first pause: 5 minutes for one of 15 seconds."""

_MOST_REASONS: Final = 50
_LONGEST_FEEDBACK: Final = 4_000
_LONGEST_ERROR: Final = 300


class Cause(StrEnum):
    """Why a review was asked for.

    Attributes:
        WORK_FAILED: Nothing is left in the phase but tasks that failed for good.
    """

    PHASE_COMPLETED = "phase_completed"
    WORK_FAILED = "work_failed"
    EVIDENCE_CHANGED = "evidence_changed"
    REQUEST = "request"


class Stage(StrEnum):
    """What a review is doing."""

    QUEUED = "queued"
    MEASURING = "measuring"
    JUDGING = "judging"
    WAITING = "waiting"


class Next(StrEnum):
    """What follows a verdict, where the policy's next thing is to follow."""

    ADVANCE = "advance"
    FIX = "fix"
    BLOCK = "block"
    REVIEW_AGAIN = "review_again"
    WAIT_FOR_WORK = "wait_for_work"
    WAIT_FOR_PERSON = "wait_for_person"


@dataclass(frozen=True, slots=True)
class Again:
    """When an inconclusive review goes on.

    Attributes:
        seconds: The longest pause; half of it is certain and the other half is drawn.
        counts: Whether this was one of the policy's attempts.
    """

    seconds: float
    counts: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """How a review went until now.

    Attributes:
        attempts: That came to nothing, and `waits` how often in a row nobody could be asked.
    """

    attempts: int
    waits: int


def again(
    code: str | None, tried: Tried, policy: PhasePolicy, first: float, *, can_retry: bool
) -> Again | None:
    """Whether another attempt may help where nobody changes anything; None where it may not.

    Args:
        code: Of the inconclusive verdict.
        first: Seconds of the first pause.
        can_retry: What the judge's run says of its end.
    """
    if code in OUTAGES and can_retry:
        return Again(first * min(2.0 ** min(tried.waits, 30), _LONGEST_WAIT), counts=False)
    if not can_retry and code not in _TRY_AGAIN:
        return None
    if tried.attempts + 1 >= policy.max_attempts:
        return None
    return Again(first * min(2.0 ** min(tried.attempts, 30), _LONGEST_WAIT), counts=True)


def once_more(times: int, policy: PhasePolicy, first: float) -> Again | None:
    """When what changed since its verdict is looked at again; None where it never holds still.

    Args:
        times: That this was done already, without a pause at first.
        first: Seconds of the first pause.
    """
    if times == 0:
        return Again(0.0, counts=False)
    return again("evidence_changed", Tried(times, 0), policy, first / 2, can_retry=False)


class WorkLeft(StrEnum):
    """What is left to do in a phase.

    Attributes:
        SOME: Its end asks for a review anyway.
        FAILED: Only tasks that failed for good: nobody will go on with them.
    """

    NONE = "none"
    SOME = "some"
    FAILED = "failed"


def what_follows(status: str, policy: PhasePolicy, *, fixes: int, work: WorkLeft = WorkLeft.NONE) -> Next:
    """What is done after a verdict.

    Args:
        fixes: Tasks that were made to mend what reviews of this visit found.
    """
    match status:
        case GateStatus.PASSED:
            return Next.ADVANCE if policy.advance is Advance.AUTO else Next.WAIT_FOR_PERSON
        case GateStatus.FAILED if work is WorkLeft.SOME:
            return Next.WAIT_FOR_WORK
        case GateStatus.FAILED if work is WorkLeft.FAILED:
            return Next.BLOCK
        case GateStatus.FAILED:
            return Next.BLOCK if fixes + 1 >= policy.max_iterations else Next.FIX
        case _:
            return Next.WAIT_FOR_PERSON


def phase_after(phase: Phase) -> Phase:
    """Where a ticket goes that passed the gate of `phase`."""
    return PHASE_SEQUENCE[PHASE_SEQUENCE.index(phase) + 1]


def fix_description(
    phase: Phase, findings: Sequence[Mapping[str, Any]], feedback: str | None, *, iteration: int, of: int
) -> str:
    """What a worker is asked to mend: the findings that hold the gate, by their stable ids."""
    holding = [item for item in map(Finding.from_dict, findings) if item.holds_gate]
    failed = [item for item in holding if item.outcome is Outcome.FAIL]
    named = [f"- [{item.id}] {item.sentence()}" for item in (failed or holding)[:_MOST_REASONS]]
    more = len(failed or holding) - len(named)
    lines = [
        f"Mend what the review of {phase.name.lower()} found (review {iteration} of {of}):",
        *named,
        *([f"- and {more} more; `omoi gate status` lists them"] if more > 0 else []),
    ]
    if feedback:
        lines += ["", "The judge's feedback:", feedback[:_LONGEST_FEEDBACK]]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task that failed for good, and what its agent said of it."""

    id: str
    type: str
    error: str | None

    def __str__(self) -> str:
        why = " ".join((self.error or "no reason was given").split())
        return f"{self.type} ({self.id}): {why if len(why) <= _LONGEST_ERROR else f'{why[:_LONGEST_ERROR]}…'}"


def dead_end_reason(phase: Phase, failed: Sequence[FailedTask]) -> str:
    """Why a ticket waits for a person whose work failed for good, and how it goes on.

    Args:
        failed: At least one.
    """
    told = "; ".join(map(str, failed[:3]))
    more = f" (and {len(failed) - 3} more)" if len(failed) > 3 else ""
    return (
        f"What is left to do in {phase.name.lower()} failed for good, so a person is needed. {told}{more}. "
        f"`omoi task retry TASK` begins one anew; then move the ticket back to {phase.name.lower()}."
    )


def restless_reason(phase: Phase, times: int) -> str:
    """Why a ticket waits for a person whose evidence changed after each of its last reviews."""
    name = phase.name.lower()
    return (
        f"The evidence of {name} changed after each of its last {times} reviews, so no verdict holds and a "
        "person is needed. Find what goes on writing to the workspace or handing in artifacts, let it end, "
        f"then move the ticket back to {name}."
    )


def blocked_reason(phase: Phase, reasons: Sequence[str], *, iterations: int) -> str:
    """Why a ticket waits for a person, in a few lines, and how it goes on."""
    what, which = ("review", "It") if iterations == 1 else ("reviews", "The last one")
    head = f"{iterations} {what} of {phase.name.lower()} failed, so a person is needed. {which} found:"
    more = [f"(and {len(reasons) - 3} more)"] if len(reasons) > 3 else []
    then = f"Mend it, then move the ticket back to {phase.name.lower()}: that asks for a review."
    return " ".join([head, *reasons[:3], *more, then])
