"""An operator's decision to let one criterion of one gate pass, for what is there now and for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from omoi_os.domain.inputs import Inputs
from omoi_os.domain.verdict import Finding

MAX_DAYS: Final = 30
"""Days for which a waiver may be given, unless the policy says otherwise."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """A waiver that has not run out.

    Attributes:
        criterion: The finding's criterion, such as "test_coverage.min_percentage".
        inputs: What was there when it was given; on anything else it waives nothing.
    """

    id: str
    criterion: str
    reason: str
    waived_by: str
    expires_at: datetime
    inputs: Inputs

    def covers(self, now: Inputs) -> bool:
        """Whether what is there now is what it was given for; other waivers do not matter."""
        return now.are_known and replace(self.inputs, waivers=()) == replace(now, waivers=())

    def as_dict(self) -> dict[str, str]:
        return {
            "id": self.id,
            "criterion": self.criterion,
            "reason": self.reason,
            "waived_by": self.waived_by,
            "expires_at": self.expires_at.isoformat(),
        }


def waive(findings: Sequence[Finding], waivers: Sequence[Waiver]) -> tuple[Finding, ...]:
    """The findings, with those marked that a waiver lets pass."""
    by_criterion: Mapping[str, str] = {waiver.criterion: waiver.id for waiver in waivers}
    return tuple(
        replace(finding, waiver=by_criterion[finding.criterion])
        if finding.holds_gate and finding.criterion in by_criterion
        else finding
        for finding in findings
    )
