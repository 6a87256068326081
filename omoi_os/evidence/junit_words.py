"""The words of JUnit dialects for how a case ended."""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """How a case went, the worse the higher."""

    PASSED = 0
    FLAKY = 1
    SKIPPED = 2
    UNKNOWN = 3
    ERRORED = 4
    FAILED = 5


# PHPUnit up to 9 writes <warning> for a test that did not succeed, other tools for a remark: not ours to say.
MARKS = {
    "failure": Outcome.FAILED,
    "failed": Outcome.FAILED,
    "rerunFailure": Outcome.FAILED,
    "error": Outcome.ERRORED,
    "rerunError": Outcome.ERRORED,
    "warning": Outcome.UNKNOWN,
    "skipped": Outcome.SKIPPED,
    "ignored": Outcome.SKIPPED,
    "disabled": Outcome.SKIPPED,
    "flakyFailure": Outcome.FLAKY,
    "flakyError": Outcome.FLAKY,
}
REPEATS = frozenset({"rerunFailure", "rerunError", "flakyFailure", "flakyError"})

# Values of `status` and `result`, in lower case and without separators.
_STATUSES = {
    word: outcome
    for outcome, words in (
        (Outcome.PASSED, "run ran pass passed success successful succeeded ok complete completed executed"),
        (Outcome.PASSED, "finished fixed"),
        (Outcome.FLAKY, "flaky"),
        (
            Outcome.SKIPPED,
            "skip skipped notrun norun notexecuted disabled ignore ignored pending suppressed",
        ),
        (Outcome.SKIPPED, "inconclusive incomplete untested undefined todo excluded filtered deselected"),
        (Outcome.ERRORED, "error errored abort aborted timeout timedout crash crashed panicked interrupted"),
        (Outcome.ERRORED, "cancelled canceled killed exception"),
        (Outcome.FAILED, "fail failed failure failing broken regression notok ko"),
    )
    for word in words.split()
} | {"": Outcome.PASSED}


def outcome_of(text: str) -> Outcome:
    """What a `status` or `result` attribute says."""
    known = _STATUSES.get(text)
    if known is not None:
        return known
    # An attribute can be ten megabytes long.
    if len(text) > 40:
        return Outcome.UNKNOWN
    word = "".join(char for char in text.lower() if char not in " _-")
    # A lone "-" must not become the empty status, which says nothing against a case.
    return _STATUSES.get(word or text.strip(), Outcome.UNKNOWN)
