"""From findings to a verdict. Nothing here reads a clock, a file or a database.

A verdict has no default: whatever was not shown is unknown, and unknown holds the gate closed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self


class Outcome(StrEnum):
    """What one rule found."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """Whether a finding keeps the gate closed or is only told."""

    BLOCK = "block"
    WARN = "warn"


class GateStatus(StrEnum):
    """What a review decided; `PENDING` while it runs."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


MAX_CLAUSE: Final = 600
"""Characters of one part of a finding."""

# Control characters, bidirectional overrides, invisible joiners, line separators and halves of surrogates:
# names of tests and files come from the workspace, and must not be able to forge a line of ours.
_NOT_SHOWN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]"
)


def shown(text: str) -> str:
    """`text` in one line that can be stored and printed, shortened in its middle."""
    clean = _NOT_SHOWN.sub("\ufffd", text)
    half = MAX_CLAUSE // 2
    return clean if len(clean) <= MAX_CLAUSE else f"{clean[:half]} … {clean[-half:]}"


NO_VERDICT: Final = "none"
"""What `validation_status` says of a gate that was never reviewed."""


def finding_id(criterion: str, code: str) -> str:
    """The id of what was found about a criterion: the same in every review that finds it."""
    return hashlib.sha256(f"{criterion}:{code}".encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule found about one criterion.

    Attributes:
        criterion: Stable name, "<artifact type>.<criterion>" ("test_coverage.min_percentage").
        code: Stable name of the state that was found ("coverage_below_minimum").
        found: What was measured, as a clause ("line coverage is 61.2 % (120 of 196 lines)").
        needed: What the policy asks for, as a clause ("at least 80 %").
        artifact: Where it was found: a path, "inline", or "" where nothing was there to look at.
        fix: What to do next, one imperative sentence; empty for a pass.
        waiver: Id of the operator's waiver that lets it pass, or "".
    """

    criterion: str
    outcome: Outcome
    code: str
    found: str
    needed: str
    artifact: str = ""
    fix: str = ""
    severity: Severity = Severity.BLOCK
    waiver: str = ""

    def __post_init__(self) -> None:
        for name in ("found", "needed", "artifact", "fix"):
            text = getattr(self, name)
            if len(text) > MAX_CLAUSE or _NOT_SHOWN.search(text):
                object.__setattr__(self, name, shown(text))

    @property
    def holds_gate(self) -> bool:
        return self.severity is Severity.BLOCK and self.outcome is not Outcome.PASS and not self.waiver

    @property
    def id(self) -> str:
        """The same in every review of a gate, as long as the criterion is in the same state."""
        return finding_id(self.criterion, self.code)

    def sentence(self) -> str:
        """The finding in one line of text, for people."""
        where = f" ({self.artifact})" if self.artifact and self.artifact != "inline" else ""
        return f"{self.criterion}: {self.found}{where}; needed: {self.needed}. {self.fix}".strip()

    def as_dict(self) -> dict[str, str]:
        return {
            "id": self.id,
            "criterion": self.criterion,
            "outcome": self.outcome.value,
            "severity": self.severity.value,
            "code": self.code,
            "found": self.found,
            "needed": self.needed,
            "artifact": self.artifact,
            "fix": self.fix,
            "waiver": self.waiver,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, str]) -> Self:
        """What `as_dict` wrote."""
        values = {name: value for name, value in stored.items() if name != "id"}
        outcome, severity = Outcome(values.pop("outcome")), Severity(values.pop("severity"))
        return cls(outcome=outcome, severity=severity, **values)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the findings amount to.

    Attributes:
        code: For anything but a pass, the code of the first finding that decided it.
    """

    status: GateStatus
    findings: tuple[Finding, ...]
    code: str | None = None

    @property
    def blocking(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.holds_gate)


def decide(findings: Sequence[Finding]) -> Verdict:
    """The verdict that `findings` carry: a failure fails, an unknown or nothing at all is inconclusive."""
    everything = tuple(findings)
    holding = [finding for finding in everything if finding.holds_gate]
    for finding in holding:
        if finding.outcome is Outcome.FAIL:
            return Verdict(GateStatus.FAILED, everything, finding.code)
    if holding:
        return Verdict(GateStatus.INCONCLUSIVE, everything, holding[0].code)
    if not any(finding.outcome is Outcome.PASS or finding.waiver for finding in everything):
        return Verdict(GateStatus.INCONCLUSIVE, everything, "nothing_to_check")
    return Verdict(GateStatus.PASSED, everything)
