"""How far a judge agrees with people who labelled the same work. Pure.

Everything is counted so that a judge cannot look better by saying less: an inconclusive answer agrees with
nobody, and the shares of wrong answers are taken of the answers that were given.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

_Z: Final = 1.959963984540054
"""The 97.5th percentile of the normal distribution: 95 % lie between it and its negative."""


class Label(StrEnum):
    """What people say of a criterion."""

    MET = "met"
    NOT_MET = "not_met"


class Given(StrEnum):
    """What a judge says of it; `INCONCLUSIVE` is also a judge that came to no answer."""

    MET = "met"
    NOT_MET = "not_met"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Judged:
    """One criterion of one case."""

    criterion: str
    label: Label
    given: Given

    @property
    def agrees(self) -> bool:
        return self.given.value == self.label.value


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a number of trials, and the interval in which the true share lies in 95 % (Wilson's score).

    Attributes:
        low, high: From 0 to 1. Without any trial nothing is known: from 0 to 1.
    """

    count: int
    trials: int
    low: float
    high: float

    @classmethod
    def of(cls, count: int, trials: int) -> Share:
        """The share with its interval; Wilson's is of use for few trials and for none or all of them too."""
        if trials == 0:
            return cls(0, 0, 0.0, 1.0)
        share, spread = count / trials, _Z**2 / trials
        middle = (share + spread / 2) / (1 + spread)
        half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
        # At the ends the formula gives exactly 0 and 1, but for rounding.
        low = 0.0 if count == 0 else max(0.0, middle - half)
        return cls(count, trials, low, 1.0 if count == trials else min(1.0, middle + half))

    @property
    def share(self) -> float | None:
        """None without any trial."""
        return self.count / self.trials if self.trials else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """A judge beside the labels.

    Attributes:
        agreed: Of all labelled criteria.
        kappa: Cohen's, with inconclusive as an answer that no label has; None where chance alone would
            agree always, or there is nothing to compare.
        wrong_passes: Of the criteria that people say are not met, and that the judge answered.
        wrong_fails: Of those that people say are met, and that the judge answered.
        inconclusive: Of all labelled criteria.
    """

    agreed: Share
    kappa: float | None
    wrong_passes: Share
    wrong_fails: Share
    inconclusive: Share

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def agreement(judged: Sequence[Judged]) -> Agreement:
    """Compare answers with labels."""
    count = len(judged)
    agreed = sum(one.agrees for one in judged)
    return Agreement(
        Share.of(agreed, count),
        _kappa(judged, agreed),
        _wrong(judged, Label.NOT_MET, Given.MET),
        _wrong(judged, Label.MET, Given.NOT_MET),
        Share.of(sum(one.given is Given.INCONCLUSIVE for one in judged), count),
    )


def by_criterion(judged: Iterable[Judged]) -> dict[str, Agreement]:
    """The same for each criterion alone, in the order in which they come."""
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        groups.setdefault(one.criterion, []).append(one)
    return {criterion: agreement(group) for criterion, group in groups.items()}


def whole_case(judged: Sequence[Judged], case: str = "") -> Judged:
    """The answer of a gate that has these criteria: met if all are, not met if one is not."""
    label = Label.MET if all(one.label is Label.MET for one in judged) else Label.NOT_MET
    if any(one.given is Given.NOT_MET for one in judged):
        return Judged(case, label, Given.NOT_MET)
    met = bool(judged) and all(one.given is Given.MET for one in judged)
    return Judged(case, label, Given.MET if met else Given.INCONCLUSIVE)


def may_block(max_wrong_passes: float | None, wrong_passes: Share | None) -> bool:
    """Whether a judge may decide gates under a policy.

    Read strictly: the upper end of the interval must not exceed what is allowed, so that few cases prove
    little. Without a wrong pass, 73 cases that are not met show less than 5 %, and 35 show less than 10 %.

    Args:
        max_wrong_passes: In percent; None asks for nothing.
        wrong_passes: Of the newest report on this model with these prompts; None where there is none.
    """
    if max_wrong_passes is None:
        return True
    return wrong_passes is not None and wrong_passes.high * 100 <= max_wrong_passes


def _wrong(judged: Iterable[Judged], label: Label, wrong: Given) -> Share:
    answered = [one for one in judged if one.label is label and one.given is not Given.INCONCLUSIVE]
    return Share.of(sum(one.given is wrong for one in answered), len(answered))


def _kappa(judged: Sequence[Judged], agreed: int) -> float | None:
    """(observed - expected) / (1 - expected), in whole numbers until the division."""
    count = len(judged)
    labels = Counter(one.label.value for one in judged)
    answers = Counter(one.given.value for one in judged)
    expected = sum(labels[answer] * answers[answer] for answer in labels)
    if expected == count * count:
        return None
    return (agreed * count - expected) / (count * count - expected)
