"""The rule about artifacts of which no more is asked than that they are there."""

from __future__ import annotations

from omoi_os.domain.evidence import ChangeFacts, CoverageFacts, DocumentFacts, PresenceFacts, SuiteFacts
from omoi_os.domain.policy import EvidenceKind, RequiredArtifact
from omoi_os.domain.rules.measured import Measured, wrong_kind
from omoi_os.domain.verdict import Finding, Outcome


def is_there(required: RequiredArtifact, measured: Measured) -> Finding:
    """The artifact can be read as what it is said to be, and holds something."""
    needed = f"an artifact {required.type} that can be read"
    found = _content(required.kind, measured)
    if found is None:
        return wrong_kind(required.type, needed, measured)
    if not found:
        return Finding(
            required.type,
            Outcome.UNKNOWN,
            "evidence_says_nothing",
            "there is nothing in it",
            needed,
            measured.where,
            "Attach evidence that holds something.",
        )
    return Finding(required.type, Outcome.PASS, "artifact_present", found, needed, measured.where)


def _content(kind: EvidenceKind, measured: Measured) -> str | None:
    """How much is in it: empty where it is nothing, None where it is not of that kind."""
    match kind, measured.facts:
        case EvidenceKind.PRESENCE, PresenceFacts(size=size):
            return f"{size:,} bytes"
        case EvidenceKind.DOCUMENT, DocumentFacts(length=length):
            return f"{length:,} characters" if length else ""
        case EvidenceKind.COVERAGE, CoverageFacts() as facts:
            return f"{facts.total:,} lines" if facts.total else ""
        case EvidenceKind.SUITE, SuiteFacts() as facts:
            return f"{facts.executed:,} executed tests" if facts.executed else ""
        case EvidenceKind.CHANGES, ChangeFacts() as facts:
            return "" if facts.is_empty else "a change"
        case _:
            return None
