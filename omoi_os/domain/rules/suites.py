"""Rules about test reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from omoi_os.domain.evidence import SuiteFacts
from omoi_os.domain.rules.measured import Measured, Note, false_claim, wrong_kind
from omoi_os.domain.verdict import Finding, Outcome

NEEDED: Final = "at least one executed test, and none that failed"


def no_failed_tests(measured: Measured) -> Finding:
    """At least one test ran and nothing failed; a skipped test did not run."""
    criterion = f"{measured.artifact.type}.all_passed"
    facts = measured.facts
    if not isinstance(facts, SuiteFacts):
        return wrong_kind(criterion, NEEDED, measured)
    found = summary(facts)
    if facts.broken:
        names = ", ".join(facts.failures[:3])
        found += f": {names}" if names else ""
        fix = "Make the failed tests pass and write the report again."
        return Finding(criterion, Outcome.FAIL, "tests_failed", found, NEEDED, measured.where, fix)
    if not facts.executed:
        fix = "Run the tests and write the report again; a skipped test counts as not run."
        return Finding(criterion, Outcome.FAIL, "no_test_executed", found, NEEDED, measured.where, fix)
    return Finding(criterion, Outcome.PASS, "tests_passed", found, NEEDED, measured.where)


def summary(facts: SuiteFacts) -> str:
    """The counts in one clause ("12 passed, 1 failed, 2 skipped")."""
    counts = (
        (facts.passed, "passed"),
        (facts.failed, "failed"),
        (facts.errored, "with errors"),
        (facts.suite_errors, "failed outside of a test"),
        (facts.skipped, "skipped"),
    )
    said = [f"{count:,} {name}" for count, name in counts if count]
    if facts.flaky:
        said.append(f"{facts.flaky:,} of the passed only after a rerun")
    return ", ".join(said) or "no test at all"


def headers_agree(measured: Measured) -> Iterator[Finding]:
    """Tell where a report's own totals differ from its cases; the cases were counted."""
    facts = measured.facts
    if isinstance(facts, SuiteFacts) and facts.declared:
        yield Note(
            "declared_totals",
            "totals_differ_from_cases",
            "; ".join(facts.declared[:3]),
            "totals that agree with the listed cases",
            "Nothing has to be done; the cases were counted.",
        ).about(measured)


def suite_claims(measured: Measured) -> Iterator[Finding]:
    """Compare a claimed result with the counted one."""
    facts, claims = measured.facts, measured.claims
    if not isinstance(facts, SuiteFacts):
        return
    needed = "claims that agree with the report"
    passed = facts.executed > 0 and not facts.broken
    if claims.all_passed is not None and claims.all_passed is not passed:
        said = "all tests are claimed to pass" if claims.all_passed else "failed tests are claimed"
        yield false_claim(measured, f"{said}, and the report says {summary(facts)}", needed)
    elif claims.failed is not None and claims.failed != facts.broken:
        yield false_claim(
            measured, f"failed tests: {claims.failed:,} are claimed and {facts.broken:,} were counted", needed
        )
