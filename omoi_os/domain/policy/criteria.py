"""What an artifact can be asked to show, and how strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from omoi_os.domain.policy.aliases import SECTION_ALIASES
from omoi_os.domain.verdict import Severity


class EvidenceKind(StrEnum):
    """Which reader measures an artifact."""

    DOCUMENT = "document"
    COVERAGE = "coverage"
    CHANGES = "changes"
    SUITE = "suite"
    PRESENCE = "presence"


class ClaimsMode(StrEnum):
    """Whether a worker's claim counts where there is nothing to measure."""

    REJECT = "reject"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a criterion is asked.

    Attributes:
        severity: Whether missing it keeps the gate closed or is only told.
        paths: Patterns of the files that it is about; empty for all.
    """

    severity: Severity = Severity.BLOCK
    claims: ClaimsMode = ClaimsMode.REJECT
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MinLength:
    characters: int
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class RequiredSections:
    """Sections that a document must have, each by its name or an alias."""

    sections: tuple[str, ...]
    terms: Terms = Terms()
    aliases: Mapping[str, frozenset[str]] = field(default_factory=lambda: SECTION_ALIASES, hash=False)

    def accepted(self, section: str) -> frozenset[str]:
        return self.aliases.get(section, frozenset()) | {section}


@dataclass(frozen=True, slots=True)
class MinCoverage:
    """Line coverage in percent."""

    percent: float
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class MustHaveTests:
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class AllPassed:
    terms: Terms = Terms()


type Criterion = MinLength | RequiredSections | MinCoverage | MustHaveTests | AllPassed


def criterion_name(criterion: Criterion) -> str:
    """What a policy calls it."""
    match criterion:
        case MinLength():
            return "min_length"
        case RequiredSections():
            return "required_sections"
        case MinCoverage():
            return "min_percentage"
        case MustHaveTests():
            return "must_have_tests"
        case AllPassed():
            return "all_passed"


def evidence_kind(criterion: Criterion) -> EvidenceKind:
    """The reader whose facts answer `criterion`."""
    return KINDS[criterion_name(criterion)]


KINDS: Mapping[str, EvidenceKind] = {
    "min_length": EvidenceKind.DOCUMENT,
    "required_sections": EvidenceKind.DOCUMENT,
    "min_percentage": EvidenceKind.COVERAGE,
    "must_have_tests": EvidenceKind.CHANGES,
    "all_passed": EvidenceKind.SUITE,
}
