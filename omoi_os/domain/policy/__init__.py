"""What each phase must show before a ticket may leave it."""

from omoi_os.domain.policy.aliases import SECTION_ALIASES
from omoi_os.domain.policy.builtin import PHASE_GATE_REQUIREMENTS, built_in_policy, policy_from_requirements
from omoi_os.domain.policy.criteria import (
    AllPassed,
    ClaimsMode,
    Criterion,
    EvidenceKind,
    MinCoverage,
    MinLength,
    MustHaveTests,
    RequiredSections,
    Terms,
    criterion_name,
    evidence_kind,
)
from omoi_os.domain.policy.paths import matches
from omoi_os.domain.policy.phase import (
    Advance,
    JudgeCriterion,
    JudgeLimits,
    JudgeMode,
    JudgePolicy,
    PhasePolicy,
    RequiredArtifact,
    SummaryPolicy,
)
from omoi_os.domain.policy.whole import Policy, built_in, demand_digest, read_policy

__all__ = [
    "PHASE_GATE_REQUIREMENTS",
    "SECTION_ALIASES",
    "Advance",
    "AllPassed",
    "ClaimsMode",
    "Criterion",
    "EvidenceKind",
    "JudgeCriterion",
    "JudgeLimits",
    "JudgeMode",
    "JudgePolicy",
    "MinCoverage",
    "MinLength",
    "MustHaveTests",
    "PhasePolicy",
    "Policy",
    "RequiredArtifact",
    "RequiredSections",
    "SummaryPolicy",
    "Terms",
    "built_in",
    "built_in_policy",
    "criterion_name",
    "demand_digest",
    "evidence_kind",
    "matches",
    "policy_from_requirements",
    "read_policy",
]
