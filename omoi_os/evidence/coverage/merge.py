"""Several reports on one project as one."""

from __future__ import annotations

from collections.abc import Iterable

from omoi_os.domain.evidence import CoverageFacts, FileCoverage
from omoi_os.evidence.coverage.lines import as_file


def merge_coverage(parts: Iterable[CoverageFacts]) -> CoverageFacts:
    """The union of reports, by path and line: a line is covered when any report saw it run.

    One part comes back as it is. Of several, the lowest number of a header that disagreed with its lines is
    kept, so that a doubtful report does not become a clean one beside others; a header that agreed says
    nothing about the union. No parts make facts without lines.
    """
    reports = list(parts)
    if len(reports) == 1:
        return reports[0]
    files: dict[str, FileCoverage] = {}
    for report in reports:
        for file in report.files:
            known = files.get(file.path)
            files[file.path] = file if known is None else _union(known, file)
    doubtful = min(
        (report for report in reports if report.declared and report.declared_percent is not None),
        key=lambda report: report.declared_percent or 0.0,
        default=None,
    )
    return CoverageFacts(
        declared_percent=doubtful.declared_percent if doubtful else None,
        declared_as=doubtful.declared_as if doubtful else "",
        format=" + ".join(sorted({report.format for report in reports})),
        files=tuple(files.values()),
        declared=tuple(sentence for report in reports for sentence in report.declared),
    )


def _union(one: FileCoverage, two: FileCoverage) -> FileCoverage:
    if _has_lines(one) and _has_lines(two):
        size = max(len(one.lines), len(two.lines))
        return as_file(one.path, (_number(one.lines) | _number(two.lines)).to_bytes(size, "little"))
    # From counts alone only a floor is certain: they ran the same lines, and missed different ones.
    covered = max(one.covered, two.covered)
    missed = (one.total - one.covered) + (two.total - two.covered)
    return FileCoverage(one.path, covered, covered + missed)


def _has_lines(file: FileCoverage) -> bool:
    return bool(file.lines) or file.total == 0


def _number(lines: bytes) -> int:
    """The lines as one number: "or" on it takes the better verdict of each line, all at once."""
    return int.from_bytes(lines, "little")
