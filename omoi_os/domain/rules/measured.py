"""What the rules look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from omoi_os.domain.claims import Claims
from omoi_os.domain.evidence import (
    ChangeFacts,
    CoverageFacts,
    DocumentFacts,
    PresenceFacts,
    SuiteFacts,
    Unreadable,
    UnreadableCode,
)
from omoi_os.domain.verdict import Finding, Outcome, Severity

type Facts = DocumentFacts | CoverageFacts | ChangeFacts | SuiteFacts | PresenceFacts


@dataclass(frozen=True, slots=True)
class Artifact:
    """One artifact as it was handed in.

    Attributes:
        digest: SHA-256 of `content` as stored; None where there is no content.
        broken: The stored content cannot be read.
    """

    id: str
    type: str
    path: str | None = None
    content: Mapping[str, Any] | None = None
    digest: str | None = None
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """One artifact with what was measured and what was claimed.

    Attributes:
        where: The path that was read, or "inline".
    """

    artifact: Artifact
    facts: Facts | Unreadable
    claims: Claims
    where: str


def wrong_kind(criterion: str, needed: str, measured: Measured) -> Finding:
    """The finding for evidence that a criterion cannot be answered from."""
    facts = measured.facts
    if isinstance(facts, Unreadable):
        # A file that is named and not there is work that is not done; anything else may be our trouble.
        outcome = Outcome.FAIL if facts.code is UnreadableCode.MISSING else Outcome.UNKNOWN
        code = f"evidence_{facts.code}"
        return Finding(criterion, outcome, code, facts.detail, needed, measured.where, facts.fix)
    return Finding(
        criterion,
        Outcome.UNKNOWN,
        "evidence_of_another_kind",
        "the evidence is of another kind",
        needed,
        measured.where,
        "Attach evidence of the kind that the criterion asks for.",
    )


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell about an artifact beside its criteria; it does not decide the gate.

    Attributes:
        name: The second half of the finding's criterion; the others are as in `Finding`.
    """

    name: str
    code: str
    found: str
    needed: str
    fix: str

    def about(self, measured: Measured) -> Finding:
        criterion = f"{measured.artifact.type}.{self.name}"
        return Finding(
            criterion,
            Outcome.FAIL,
            self.code,
            self.found,
            self.needed,
            measured.where,
            self.fix,
            Severity.WARN,
        )


CORRECT_THE_CLAIM: Final = "Correct the claim; only what is measured counts."


def false_claim(measured: Measured, found: str, needed: str) -> Finding:
    """The finding for a claim that the measurement contradicts."""
    return Note("claims", "claim_differs_from_measurement", found, needed, CORRECT_THE_CLAIM).about(measured)


def scope(paths: Sequence[str]) -> str:
    """How a demand goes on that is about some paths only."""
    return f" in {', '.join(paths[:5])}{and_more(len(paths), 5)}" if paths else ""


def and_more(count: int, shown: int = 3) -> str:
    """How a list of `count` things goes on after the first few of them."""
    return f" and {count - shown:,} more" if count > shown else ""
