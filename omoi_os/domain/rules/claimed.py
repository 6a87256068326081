"""Claims where a policy accepts them: only in the place of a measurement, and never against one."""

from __future__ import annotations

from omoi_os.domain.claims import Claims
from omoi_os.domain.evidence import Unreadable, UnreadableCode
from omoi_os.domain.policy import (
    AllPassed,
    ClaimsMode,
    Criterion,
    MinCoverage,
    MinLength,
    MustHaveTests,
    RequiredSections,
)
from omoi_os.domain.rules.measured import Measured
from omoi_os.domain.slugs import slugify
from omoi_os.domain.verdict import Finding, Outcome


def with_claims(criterion: Criterion, measured: Measured, finding: Finding) -> Finding:
    """`finding`, or a pass where a claim is accepted in its place.

    Evidence that is named and cannot be read is not nothing: there a claim does not count, and neither
    does one beside others that are unusable or contradict it.
    """
    facts, claims = measured.facts, measured.claims
    if criterion.terms.claims is not ClaimsMode.ACCEPT or claims.problems:
        return finding
    if not isinstance(facts, Unreadable) or facts.code is not UnreadableCode.NOT_GIVEN:
        return finding
    claim = _claim(criterion, claims, finding.criterion)
    if claim is None:
        return finding
    found = f"{claim}, and nothing was there to measure; the policy accepts the claim"
    return Finding(finding.criterion, Outcome.PASS, "claim_accepted", found, finding.needed, finding.artifact)


def _claim(criterion: Criterion, claims: Claims, name: str) -> str | None:
    """The claim that would meet the criterion, as a clause."""
    match criterion:
        case MinLength(characters=least) if claims.length is not None and claims.length >= least:
            return f"{claims.length:,} characters are claimed"
        case RequiredSections():
            section = name.rpartition(".")[2]
            claimed = {slugify(heading) for heading in claims.sections or ()}
            return f"the section “{section}” is claimed" if claimed & criterion.accepted(section) else None
        case MinCoverage(percent=least) if claims.percentage is not None and claims.percentage >= least:
            return f"{claims.percentage:g} % is claimed"
        case MustHaveTests() if claims.has_tests:
            return "tests are claimed"
        case AllPassed() if claims.all_passed:
            return "all tests are claimed to pass"
        case _:
            return None
