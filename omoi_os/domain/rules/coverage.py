"""Rules about coverage reports. The gated number is always line coverage recomputed from the lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from omoi_os.domain.evidence import CoverageFacts
from omoi_os.domain.policy import MinCoverage, matches
from omoi_os.domain.rules.measured import Measured, Note, false_claim, scope, wrong_kind
from omoi_os.domain.verdict import Finding, Outcome

TOLERANCE_POINTS: Final = 1.0
"""Points by which a claim may differ: producers round, and some count branches in."""


def coverage_at_least(demand: MinCoverage, measured: Measured) -> Finding:
    """Enough of the executable lines were executed; where the criterion has paths, of those files only."""
    criterion = f"{measured.artifact.type}.min_percentage"
    paths = demand.terms.paths
    needed = f"line coverage of at least {demand.percent:g} %{scope(paths)}"
    facts = measured.facts
    if not isinstance(facts, CoverageFacts):
        return wrong_kind(criterion, needed, measured)
    if paths and not (facts := _within(facts, paths)).files:
        fix = "Report on these files, or write the policy's paths as the report names its files."
        found = "the report lists no such file"
        return Finding(criterion, Outcome.UNKNOWN, "no_file_in_scope", found, needed, measured.where, fix)
    if not facts.total:
        fix = "Run the tests with coverage of the project's own sources and write the report again."
        return Finding(
            criterion, Outcome.UNKNOWN, "no_lines", "the report lists no line", needed, measured.where, fix
        )
    found = (
        f"line coverage is {shown_percent(facts)} % ({facts.covered:,} of {facts.total:,} lines, recomputed)"
    )
    # Compared without division, so that no rounding lifts a report over the bar.
    if facts.covered * 100 < demand.percent * facts.total:
        missing = _missing(demand, facts)
        lines = "line" if missing == 1 else "lines"
        fix = f"Test {missing:,} more {lines}{_worst(facts)}."
        return Finding(criterion, Outcome.FAIL, "coverage_below_minimum", found, needed, measured.where, fix)
    if facts.declared and facts.declared_percent is not None and facts.declared_percent < demand.percent:
        # Which of the two is right cannot be told from the report, so the better one does not pass.
        found += f", but its header says {facts.declared_percent:.2f} % ({facts.declared_as})"
        fix = "Write the report again, with the producer's own counts and lines in agreement."
        return Finding(
            criterion, Outcome.UNKNOWN, "coverage_contradictory", found, needed, measured.where, fix
        )
    return Finding(criterion, Outcome.PASS, "coverage_reached", found, needed, measured.where)


def _within(facts: CoverageFacts, paths: Sequence[str]) -> CoverageFacts:
    """The report on the files that match; its header is about all files, and no longer says anything."""
    files = tuple(file for file in facts.files if matches(file.path, paths))
    return replace(facts, files=files, declared_percent=None, declared=())


def percent(facts: CoverageFacts) -> float:
    return 100 * facts.covered / facts.total if facts.total else 0.0


def shown_percent(facts: CoverageFacts) -> str:
    """The percentage to two decimals, cut and not rounded: 79.999 must not read as 80."""
    hundredths = 10_000 * facts.covered // facts.total
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")


def _missing(demand: MinCoverage, facts: CoverageFacts) -> int:
    return -int(-(demand.percent * facts.total / 100 - facts.covered) // 1)


def _worst(facts: CoverageFacts) -> str:
    worst = sorted(facts.files, key=lambda file: (file.covered - file.total, file.path))[:3]
    named = [
        f"{file.path} ({file.total - file.covered:,} uncovered)"
        for file in worst
        if file.covered < file.total
    ]
    return f", first in {', '.join(named)}" if named else ""


def coverage_header_agrees(measured: Measured) -> Iterator[Finding]:
    """Tell where a report's own percentage differs from its lines."""
    facts = measured.facts
    if isinstance(facts, CoverageFacts) and facts.declared:
        yield Note(
            "declared_percentage",
            "header_differs_from_lines",
            "; ".join(facts.declared[:3]),
            "a header that agrees with the listed lines",
            "Nothing has to be done; the lines were counted.",
        ).about(measured)


def coverage_claims(measured: Measured) -> Iterator[Finding]:
    """Compare a claimed percentage with the recomputed one."""
    facts, claimed = measured.facts, measured.claims.percentage
    if not isinstance(facts, CoverageFacts) or claimed is None or not facts.total:
        return
    if abs(claimed - percent(facts)) > TOLERANCE_POINTS:
        yield false_claim(
            measured,
            f"{claimed:g} % is claimed and {shown_percent(facts)} % was measured",
            "claims that agree with the report",
        )
