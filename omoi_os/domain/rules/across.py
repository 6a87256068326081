"""Rules that look at two artifacts together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from omoi_os.domain.evidence import ChangeFacts, CoverageFacts
from omoi_os.domain.policy import matches
from omoi_os.domain.rules.measured import Measured, and_more
from omoi_os.domain.verdict import Finding, Outcome, Severity


def changed_code_is_reported(evidence: Iterable[Measured], paths: Sequence[str] = ()) -> Iterator[Finding]:
    """The coverage report knows the code that was changed.

    If it mentions none of it, it is old or of other code, and its number says nothing. If it mentions some,
    the rest is told: code outside of what coverage was asked to measure is common and often right.

    Args:
        paths: Patterns of the code that coverage is asked of; empty for all.
    """
    given = list(evidence)
    changes = next((item.facts for item in given if isinstance(item.facts, ChangeFacts)), None)
    report = next((item for item in given if isinstance(item.facts, CoverageFacts)), None)
    if changes is None or report is None:
        return
    changed = [path for path in changes.code_files if not paths or matches(path, paths)]
    assert isinstance(report.facts, CoverageFacts)  # noqa: S101 - chosen for it
    reported = {_name(file.path.replace("\\", "/")) for file in report.facts.files}
    missing = [path for path in changed if _name(path) not in reported]
    if not missing:
        return
    none = len(missing) == len(changed)
    yield Finding(
        f"{report.artifact.type}.changed_code",
        Outcome.UNKNOWN if none else Outcome.FAIL,
        "changed_code_not_reported" if none else "changed_code_partly_reported",
        f"the report does not mention {', '.join(missing[:3])}{and_more(len(missing))}",
        "a report on the code that was changed",
        report.where,
        "Run the tests with coverage of the changed code and write the report again.",
        Severity.BLOCK if none else Severity.WARN,
    )


def _name(path: str) -> str:
    """The last part; folders differ between where tests run and where git stands."""
    return path.rpartition("/")[2]
