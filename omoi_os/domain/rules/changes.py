"""Rules about diffs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from omoi_os.domain.evidence import ChangeFacts
from omoi_os.domain.policy import matches
from omoi_os.domain.rules.measured import Measured, Note, and_more, false_claim, scope, wrong_kind
from omoi_os.domain.verdict import Finding, Outcome

NEEDED: Final = "code comes with a new or extended test that asserts"


def code_comes_with_tests(measured: Measured, paths: Sequence[str] = ()) -> Finding:
    """Where code changed, a test asserts something that it did not assert before.

    Args:
        paths: Patterns of the code that needs tests; empty for all. Tests count wherever they are.
    """
    criterion = f"{measured.artifact.type}.must_have_tests"
    needed = f"{NEEDED}{scope(paths)}"
    facts = measured.facts
    if not isinstance(facts, ChangeFacts):
        return wrong_kind(criterion, needed, measured)
    if facts.is_empty:
        fix = "Name the base to compare with, or attach the diff of the work."
        return Finding(
            criterion, Outcome.UNKNOWN, "nothing_changed", "the diff is empty", needed, measured.where, fix
        )
    code = [path for path in facts.code_files if not paths or matches(path, paths)]
    if not code:
        return Finding(criterion, Outcome.PASS, *_no_code(facts), needed, measured.where)
    if not facts.asserting_tests:
        fix = f"Add a test with an assertion for {_names(code)}."
        return Finding(
            criterion, Outcome.FAIL, "code_without_tests", summary(facts), needed, measured.where, fix
        )
    return Finding(criterion, Outcome.PASS, "code_with_tests", summary(facts), needed, measured.where)


def _no_code(facts: ChangeFacts) -> tuple[str, str]:
    """Code, and what was found, where no code changed that needs tests."""
    if facts.code_files:
        return "no_code_in_scope", f"code changed only elsewhere: {_names(facts.code_files)}"
    return "no_code_changed", summary(facts)


def summary(facts: ChangeFacts) -> str:
    """The change in one clause ("3 code files, 1 test file, 4 assertions added")."""
    counts = (
        (len(facts.code_files), "code file"),
        (len(facts.test_files), "test file"),
        (len(facts.document_files), "document"),
        (len(facts.other_files), "other file"),
        (len(facts.deleted_test_files), "deleted test file"),
    )
    said = [f"{count:,} {name}{'' if count == 1 else 's'}" for count, name in counts if count]
    added = facts.added_assertions
    said.append(f"{added:,} assertion{'' if added == 1 else 's'} added")
    if facts.removed_assertions:
        said.append(f"{facts.removed_assertions:,} removed")
    return ", ".join(said)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


def _names(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + and_more(len(paths))


def no_weakened_tests(measured: Measured) -> Iterator[Finding]:
    """Tell where tests say less than before: deleted, skipped or emptied."""
    facts = measured.facts
    if not isinstance(facts, ChangeFacts) or not facts.weakenings:
        return
    first = "; ".join(f"{_short(item.what)} ({item.where})" for item in facts.weakenings[:3])
    yield Note(
        "weakened_tests",
        "tests_weakened",
        first + and_more(len(facts.weakenings)),
        "tests that say at least as much as before",
        "Restore these tests, or have a person confirm that they are no longer needed.",
    ).about(measured)


def change_claims(measured: Measured) -> Iterator[Finding]:
    """Compare a claimed "has tests" with the diff."""
    facts, claimed = measured.facts, measured.claims.has_tests
    if not isinstance(facts, ChangeFacts) or claimed is None:
        return
    if claimed is not bool(facts.asserting_tests):
        said = "tests are claimed" if claimed else "no tests are claimed"
        yield false_claim(
            measured, f"{said}, and the diff has {summary(facts)}", "claims that agree with the diff"
        )
