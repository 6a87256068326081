"""How the findings of one gate develop from review to review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omoi_os.domain.verdict import Finding, finding_id


@dataclass(frozen=True, slots=True)
class Convergence:
    """What became of the findings that held the gate closed.

    Attributes:
        resolved: Held it before, and do not any more.
        still_open: Hold it as before, though the numbers may have changed.
        new: Did not hold it before.
    """

    resolved: tuple[Mapping[str, str], ...] = ()
    still_open: tuple[Mapping[str, str], ...] = ()
    new: tuple[Mapping[str, str], ...] = ()

    def as_dict(self) -> dict[str, list[dict[str, str]]]:
        return {
            "resolved": [dict(item) for item in self.resolved],
            "still_open": [dict(item) for item in self.still_open],
            "new": [dict(item) for item in self.new],
        }


def converge(before: Sequence[Mapping[str, Any]], now: Sequence[Finding]) -> Convergence:
    """Compare the findings of the review before, as stored, with those of this one.

    A finding is known again by its id: the same criterion in the same state.
    """
    held = {_id(item): item for item in before if _held(item)}
    holds = {finding.id: finding for finding in now if finding.holds_gate}
    return Convergence(
        tuple(
            _short(id_, str(item.get("criterion", "")), str(item.get("found", "")))
            for id_, item in held.items()
            if id_ not in holds
        ),
        tuple(_short(id_, item.criterion, item.found) for id_, item in holds.items() if id_ in held),
        tuple(_short(id_, item.criterion, item.found) for id_, item in holds.items() if id_ not in held),
    )


def _held(item: Mapping[str, Any]) -> bool:
    return item.get("severity") == "block" and item.get("outcome") != "pass" and not item.get("waiver")


def _id(item: Mapping[str, Any]) -> str:
    # Computed and not read: findings of older versions were stored without it.
    return finding_id(str(item.get("criterion")), str(item.get("code")))


def _short(id_: str, criterion: str, found: str) -> dict[str, str]:
    return {"id": id_, "criterion": criterion, "found": found}
