"""Facts that were measured, and the one value that stands for "could not be measured"."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class UnreadableCode(StrEnum):
    """Why a piece of evidence could not be measured. The values are stable: they appear in results."""

    MISSING = "missing"
    EMPTY = "empty"
    OUTSIDE_WORKSPACE = "outside_workspace"
    NOT_A_REGULAR_FILE = "not_a_regular_file"
    NO_WORKSPACE = "no_workspace"
    WORKSPACE_CHANGED = "workspace_changed"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    TOO_MANY = "too_many"
    TOO_SLOW = "too_slow"
    NOT_TEXT = "not_text"
    MALFORMED = "malformed"
    FORBIDDEN_MARKUP = "forbidden_markup"
    UNKNOWN_FORMAT = "unknown_format"
    CANNOT_BE_OPENED = "cannot_be_opened"
    NO_REPOSITORY = "no_repository"
    GIT_FAILED = "git_failed"
    NOT_GIVEN = "not_given"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Evidence that could not be measured; a criterion that needs it is unknown, never passed.

    Attributes:
        code: The stable reason.
        detail: What was found, as the end of a sentence ("the file ends in the middle of an element").
        fix: What to do about it, as an imperative sentence ("Write the report again.").
    """

    code: UnreadableCode
    detail: str
    fix: str


@dataclass(frozen=True, slots=True)
class PresenceFacts:
    """Something is there and can be read; nothing more was asked.

    Attributes:
        size: Bytes of the file, or of the content as JSON text.
    """

    size: int


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading of a document.

    Attributes:
        slug: Lower-case words joined by "_", numbering removed: "2.1 Acceptance criteria" is
            "acceptance_criteria".
        line: The 1-based line that it starts on.
    """

    slug: str
    text: str
    level: int
    line: int


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Text that a template's author meant to be replaced (`TBD`, `[insert name]`)."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What a Markdown or reStructuredText document contains.

    Attributes:
        length: Characters that a reader sees: without markup, link targets, comments, invisible
            characters and placeholders; a run of white space counts once, and so does a line that
            occurs again.
        empty_sections: Slugs of headings that no text follows before the next heading of the same
            or a higher level.
    """

    length: int
    headings: tuple[Heading, ...] = ()
    placeholders: tuple[Placeholder, ...] = ()
    empty_sections: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SuiteFacts:
    """What test reports say, counted from their cases; headers are only compared.

    Attributes:
        passed: Cases that ran and carry no failure and no error.
        failed: Cases with a failure.
        errored: Cases with an error, and no failure.
        skipped: Cases that did not run.
        suite_errors: Failures and errors that hang on a suite and not on a case.
        flaky: Passed cases that needed a rerun.
        declared: Differences between a header and the count, one sentence each.
        failures: Names of failed and errored cases, the first twenty.
    """

    passed: int = 0
    failed: int = 0
    errored: int = 0
    skipped: int = 0
    suite_errors: int = 0
    flaky: int = 0
    declared: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def executed(self) -> int:
        """Cases that ran, whatever came of it."""
        return self.passed + self.failed + self.errored

    @property
    def broken(self) -> int:
        """Everything that must be zero before a suite can pass."""
        return self.failed + self.errored + self.suite_errors


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """Executable and executed lines of one source file.

    Attributes:
        lines: One byte for each line of the source, from line 0 on: 0 not executable, 1 executable,
            3 executed. Reports on one file can be merged exactly by them. Empty where only the counts
            are known.
    """

    path: str
    covered: int
    total: int
    lines: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class CoverageFacts:
    """Line coverage, recomputed from the lines that the report lists.

    Attributes:
        format: "cobertura", "lcov", "jacoco", "clover", "coverage.py" or "gcovr".
        files: One entry per source file, a file that is listed twice merged.
        declared_percent: The number in the report's header, or None where it has none.
        declared_as: What the header's number means ("line-rate", "percent_covered with branches").
        declared: Headers that are more than a point off the lines, one sentence each.
    """

    format: str
    files: tuple[FileCoverage, ...]
    declared_percent: float | None = None
    declared_as: str = ""
    declared: tuple[str, ...] = ()

    @property
    def covered(self) -> int:
        return sum(file.covered for file in self.files)

    @property
    def total(self) -> int:
        return sum(file.total for file in self.files)


@dataclass(frozen=True, slots=True)
class Weakening:
    """One place where the change makes the tests say less.

    Attributes:
        kind: "deleted_test", "removed_assertions" or "added_skip".
        where: Path, with ":line" of the new file where there is one.
        what: The test's name, the skip's text, or counts ("5 assertions removed, 1 added").
    """

    kind: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """What a diff changes. Paths are relative to the repository and sorted.

    Attributes:
        code_files: Changed source files that are not tests.
        test_files: Changed, added or renamed test files that still exist.
        deleted_test_files: Test files that the change removes.
        new_tests: Names of test functions that the change adds.
        deleted_tests: Names of test functions that the change removes and does not add elsewhere.
        asserting_tests: Test files in which the change adds at least one assertion, net of those
            it removes there.
        added_assertions: Added lines that assert, in test code.
        removed_assertions: Removed lines that assert, in test code.
    """

    code_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    document_files: tuple[str, ...] = ()
    other_files: tuple[str, ...] = ()
    deleted_test_files: tuple[str, ...] = ()
    new_tests: tuple[str, ...] = ()
    deleted_tests: tuple[str, ...] = ()
    asserting_tests: tuple[str, ...] = ()
    added_assertions: int = 0
    removed_assertions: int = 0
    added_skips: int = 0
    weakenings: tuple[Weakening, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (
            self.code_files
            or self.test_files
            or self.document_files
            or self.other_files
            or self.deleted_test_files
        )
