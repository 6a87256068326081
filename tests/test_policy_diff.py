"""What a change of policy means, in words: weaker, stronger, or different."""

from __future__ import annotations

import pytest

from omoi_os.domain.policy.difference import Direction, differences
from omoi_os.services.policies import parse_policy

WEAKER, STRONGER, DIFFERENT = Direction.WEAKER, Direction.STRONGER, Direction.DIFFERENT


def changes(old: str, new: str) -> list[tuple[Direction, str]]:
    before, after = (parse_policy(text.encode(), "f.yaml") for text in (old, new))
    return [
        (change.direction, f"{change.phase.name.lower()}: {change.text}")
        for change in differences(before, after)
    ]


def phase(body: str, name: str = "testing") -> str:
    return f"version: 1\nphases: {{{name}: {{{body}}}}}"


def coverage(long_form: str) -> str:
    return phase(f"criteria: {{test_coverage: {{min_percentage: {long_form}}}}}", "implementation")


def document(criteria: str) -> str:
    return phase(f"criteria: {{requirements_document: {{{criteria}}}}}", "requirements")


def judge(body: str) -> str:
    return phase(f"judge: {{{body}}}")


BUILT_IN = "version: 1"

# Each pair is read both ways: what is weaker in one direction is stronger in the other.
OPPOSITES = [
    (coverage("80"), coverage("79.5"), "test_coverage.min_percentage: at least 79.5 % instead of 80"),
    (coverage("80"), coverage('"off"'), "test_coverage.min_percentage is no longer asked"),
    (coverage("80"), coverage("{severity: warn}"), "it is only told, and no longer blocks"),
    (coverage("80"), coverage("{claims: accept}"), "claims count where nothing is measured"),
    (document("min_length: 2000"), BUILT_IN, "at least 500 characters instead of 2,000"),
    (
        document("required_sections: [scope, acceptance_criteria, risks]"),
        BUILT_IN,
        "the section “risks” is no longer asked",
    ),
    (BUILT_IN, phase("required_artifacts: [test_results]"), "test_evidence is no longer required"),
    (BUILT_IN, phase("required_tasks_completed: false"), "tasks need not be completed"),
    (
        phase("required_artifacts: [{type: load, kind: suite}]"),
        phase("required_artifacts: [{type: load, kind: presence}]"),
        "load is presence instead of suite",
    ),
    (
        BUILT_IN,
        "version: 1\nsection_aliases: {scope: [mission]}",
        "the section “scope” may also be called mission",
    ),
    (
        BUILT_IN,
        phase("criteria: {code_changes: {must_have_tests: {paths: [src]}}}", "implementation"),
        "it is about src instead of all files",
    ),
    (BUILT_IN, phase('judge: "off"'), "the judge is off instead of auto"),
    (phase("judge: required"), BUILT_IN, "the judge is auto instead of required"),
    (judge("criteria: {a: b}"), BUILT_IN, "the judge is no longer asked a"),
    (judge("judges: 2, second_model: b"), judge("judges: 1"), "1 judge instead of 2"),
    (judge("max_wrong_passes: 5"), judge("max_wrong_passes: 6"), "6 % instead of 5 %"),
    (judge("max_wrong_passes: 5"), BUILT_IN, "any number instead of 5 %"),
    (phase("advance: manual"), BUILT_IN, "tickets move on without a person"),
    (BUILT_IN, phase("waiver_max_days: 31"), "waivers of at most 31 days instead of 30"),
]


@pytest.mark.parametrize(("old", "new", "said"), OPPOSITES, ids=range(len(OPPOSITES)))
def test_what_is_weaker_one_way_is_stronger_the_other_way(old: str, new: str, said: str) -> None:
    [*there] = changes(old, new)
    assert (WEAKER, True) in [(direction, said in text) for direction, text in there], there
    assert not [text for direction, text in there if direction is STRONGER]
    back = changes(new, old)
    assert back
    assert not [text for direction, text in back if direction is WEAKER]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (coverage("{paths: [src]}"), coverage("80")),
        (coverage("{paths: [src]}"), coverage("{paths: [src, tests]}")),
        (coverage("80"), coverage("{paths: [src]}")),
        (judge("criteria: {a: Is every failure handled}"), judge("criteria: {a: Is some failure handled}")),
        (
            phase("required_artifacts: [{type: load, kind: suite}]"),
            phase("required_artifacts: [{type: load, kind: document}]"),
        ),
    ],
)
def test_what_cannot_be_compared_counts_as_weaker_both_ways(old: str, new: str) -> None:
    for one, other in ((old, new), (new, old)):
        assert [direction for direction, _ in changes(one, other)] == [WEAKER]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (BUILT_IN, judge("model: a"), "the judge's model changed"),
        (BUILT_IN, judge("limits: {max_tokens: 5000}"), "the judge's limits changed"),
        (BUILT_IN, phase("max_iterations: 5"), "5 failed reviews instead of 3 before a person"),
        (BUILT_IN, phase("context: {condense: true}"), "the next phase is told in another way"),
    ],
)
def test_some_changes_are_only_different(old: str, new: str, said: str) -> None:
    assert changes(old, new) == [(DIFFERENT, f"testing: {said}")]


@pytest.mark.parametrize("text", [BUILT_IN, coverage("90"), judge("criteria: {a: b, c: d}")])
def test_the_same_policy_has_no_differences(text: str) -> None:
    assert changes(text, f"# {text.count('a')}\n{text}") == []


def test_order_is_no_difference() -> None:
    assert changes(phase("required_artifacts: [a, b]"), phase("required_artifacts: [b, a]")) == []
    assert changes(judge("criteria: {a: b, c: d}"), judge("criteria: {c: d, a: b}")) == []


def test_a_criterion_that_takes_the_place_of_another_is_told_twice() -> None:
    old = phase("required_artifacts: [a], criteria: {a: {min_length: 5}}")
    new = phase("required_artifacts: [a], criteria: {a: {all_passed: true}}")
    assert [direction for direction, _ in changes(old, new)] == [WEAKER, WEAKER, STRONGER]
