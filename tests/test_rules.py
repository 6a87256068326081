"""The rules as tables: facts in, findings out; and the verdict that they carry."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omoi_os.domain.claims import Claims, read_claims
from omoi_os.domain.evidence import (
    ChangeFacts,
    CoverageFacts,
    DocumentFacts,
    FileCoverage,
    Heading,
    Placeholder,
    SuiteFacts,
    Unreadable,
    UnreadableCode,
    Weakening,
)
from omoi_os.domain.phases import PHASE_SEQUENCE, PHASE_TRANSITIONS, Phase, is_forward, parse_phase
from omoi_os.domain.policy import (
    PHASE_GATE_REQUIREMENTS,
    AllPassed,
    ClaimsMode,
    Criterion,
    EvidenceKind,
    MinCoverage,
    MinLength,
    MustHaveTests,
    PhasePolicy,
    RequiredArtifact,
    RequiredSections,
    Terms,
    built_in_policy,
    policy_from_requirements,
)
from omoi_os.domain.rules import Artifact, Facts, Measured, TaskFacts, gate_findings
from omoi_os.domain.rules.changes import change_claims, code_comes_with_tests, no_weakened_tests
from omoi_os.domain.rules.coverage import coverage_at_least, coverage_claims, coverage_header_agrees
from omoi_os.domain.rules.documents import at_least_characters, document_claims, has_sections, no_placeholders
from omoi_os.domain.rules.suites import no_failed_tests, suite_claims
from omoi_os.domain.verdict import Finding, GateStatus, Outcome, Severity, decide
from omoi_os.errors import InvalidInput, PhaseHasNoGate, UnknownPhase


def measured(facts: Facts | Unreadable, **claims: Any) -> Measured:
    return Measured(Artifact("id", "artifact"), facts, Claims(**claims), "report.xml")


def coverage(covered: int, total: int, **more: Any) -> CoverageFacts:
    return CoverageFacts("lcov", (FileCoverage("a.py", covered, total),), **more)


UNREADABLE = Unreadable(UnreadableCode.MALFORMED, "the file ends too early", "Write it again.")


@pytest.mark.parametrize(
    ("covered", "total", "minimum", "outcome"),
    [
        (80, 100, 80.0, Outcome.PASS),
        (799_999, 1_000_000, 80.0, Outcome.FAIL),
        (2, 3, 66.7, Outcome.FAIL),
        (2, 3, 66.6, Outcome.PASS),
        (0, 10, 0.0, Outcome.PASS),
        (10, 10, 100.0, Outcome.PASS),
        (0, 0, 0.0, Outcome.UNKNOWN),
        (0, 0, 80.0, Outcome.UNKNOWN),
    ],
)
def test_coverage_is_compared_without_rounding(
    covered: int, total: int, minimum: float, outcome: Outcome
) -> None:
    assert coverage_at_least(MinCoverage(minimum), measured(coverage(covered, total))).outcome is outcome


def test_79_999_percent_does_not_read_as_80() -> None:
    found = coverage_at_least(MinCoverage(80), measured(coverage(799_999, 1_000_000))).found
    assert "79.99 %" in found


@given(st.integers(0, 500), st.integers(1, 500), st.integers(0, 100))
def test_the_missing_lines_are_exactly_enough(covered: int, total: int, minimum: int) -> None:
    covered = min(covered, total)
    finding = coverage_at_least(MinCoverage(minimum), measured(coverage(covered, total)))
    if finding.outcome is Outcome.FAIL:
        missing = int(finding.fix.split("Test ")[1].split(" ")[0].replace(",", ""))
        assert (covered + missing) * 100 >= minimum * total
        assert (covered + missing - 1) * 100 < minimum * total


def test_a_header_on_the_other_side_of_the_bar_is_not_a_pass() -> None:
    contradictory = coverage(96, 100, declared_percent=76.0, declared_as="LH of LF", declared=("differs",))
    finding = coverage_at_least(MinCoverage(80), measured(contradictory))
    assert (finding.outcome, finding.code) == (Outcome.UNKNOWN, "coverage_contradictory")
    assert [item.severity for item in coverage_header_agrees(measured(contradictory))] == [Severity.WARN]


@pytest.mark.parametrize(
    ("facts", "outcome", "code"),
    [
        (SuiteFacts(passed=1), Outcome.PASS, "tests_passed"),
        (SuiteFacts(passed=1, skipped=9), Outcome.PASS, "tests_passed"),
        (SuiteFacts(), Outcome.FAIL, "no_test_executed"),
        (SuiteFacts(skipped=5), Outcome.FAIL, "no_test_executed"),
        (SuiteFacts(passed=9, failed=1), Outcome.FAIL, "tests_failed"),
        (SuiteFacts(passed=9, errored=1), Outcome.FAIL, "tests_failed"),
        (SuiteFacts(passed=9, suite_errors=1), Outcome.FAIL, "tests_failed"),
        (SuiteFacts(suite_errors=1), Outcome.FAIL, "tests_failed"),
        (DocumentFacts(600), Outcome.UNKNOWN, "evidence_of_another_kind"),
        (UNREADABLE, Outcome.UNKNOWN, "evidence_malformed"),
    ],
)
def test_a_suite_passes_only_where_something_ran_and_nothing_broke(
    facts: Facts, outcome: Outcome, code: str
) -> None:
    finding = no_failed_tests(measured(facts))
    assert (finding.outcome, finding.code) == (outcome, code)


@pytest.mark.parametrize(
    ("facts", "outcome", "code"),
    [
        (ChangeFacts(code_files=("a.py",), asserting_tests=("t.py",)), Outcome.PASS, "code_with_tests"),
        (ChangeFacts(code_files=("a.py",), test_files=("t.py",)), Outcome.FAIL, "code_without_tests"),
        (ChangeFacts(document_files=("a.md",)), Outcome.PASS, "no_code_changed"),
        (ChangeFacts(), Outcome.UNKNOWN, "nothing_changed"),
        (UNREADABLE, Outcome.UNKNOWN, "evidence_malformed"),
    ],
)
def test_code_needs_an_asserting_test(facts: Facts, outcome: Outcome, code: str) -> None:
    finding = code_comes_with_tests(measured(facts))
    assert (finding.outcome, finding.code) == (outcome, code)


def test_weakened_tests_are_told_with_their_places() -> None:
    facts = ChangeFacts(
        test_files=("t.py",), weakenings=tuple(Weakening("added_skip", f"t.py:{n}", "skip") for n in range(5))
    )
    [finding] = no_weakened_tests(measured(facts))
    assert finding.severity is Severity.WARN
    assert "t.py:0" in finding.found
    assert "2 more" in finding.found


HEADINGS = (
    Heading("scope", "Scope", 2, 3),
    Heading("details", "Details", 3, 5),
    Heading("risks", "Risks", 2, 9),
)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (DocumentFacts(600, HEADINGS), "section_found"),
        (DocumentFacts(600, HEADINGS[1:]), "section_missing"),
        (DocumentFacts(600, HEADINGS, empty_sections=frozenset({"scope"})), "section_unfilled"),
        (DocumentFacts(600, HEADINGS, (Placeholder("TBD", 6),)), "section_unfilled"),
        (DocumentFacts(600, HEADINGS, (Placeholder("TBD", 10),)), "section_found"),
        (DocumentFacts(600, HEADINGS, (Placeholder("TBD", 2),)), "section_found"),
        (DocumentFacts(600, (Heading("non_goals", "Non-goals", 2, 3),)), "section_missing"),
        (DocumentFacts(600, (Heading("goals", "Goals", 2, 3),)), "section_found"),
    ],
)
def test_a_required_section_is_there_and_says_something(facts: DocumentFacts, code: str) -> None:
    [finding] = has_sections(RequiredSections(("scope",)), measured(facts))
    assert finding.code == code


@pytest.mark.parametrize(("length", "outcome"), [(499, Outcome.FAIL), (500, Outcome.PASS)])
def test_a_document_is_long_enough_or_not(length: int, outcome: Outcome) -> None:
    assert at_least_characters(MinLength(500), measured(DocumentFacts(length))).outcome is outcome


def test_placeholders_anywhere_are_told() -> None:
    [finding] = no_placeholders(measured(DocumentFacts(600, placeholders=(Placeholder("TBD", 4),))))
    assert (finding.severity, finding.found) == (Severity.WARN, "“TBD” in line 4")


@pytest.mark.parametrize(
    ("tell", "facts", "claims", "told"),
    [
        (coverage_claims, coverage(85, 100), {"percentage": 85.4}, False),
        (coverage_claims, coverage(85, 100), {"percentage": 87.0}, True),
        (coverage_claims, coverage(85, 100), {}, False),
        (suite_claims, SuiteFacts(passed=1), {"all_passed": True}, False),
        (suite_claims, SuiteFacts(passed=1, failed=1), {"all_passed": True}, True),
        (suite_claims, SuiteFacts(), {"all_passed": True}, True),
        (suite_claims, SuiteFacts(passed=1), {"all_passed": False}, True),
        (suite_claims, SuiteFacts(passed=1, failed=2), {"failed": 2}, False),
        (suite_claims, SuiteFacts(passed=1, failed=2), {"failed": 0}, True),
        (document_claims, DocumentFacts(600), {"length": 640}, False),
        (document_claims, DocumentFacts(600), {"length": 700}, True),
        (document_claims, DocumentFacts(600, HEADINGS), {"sections": ("Scope",)}, False),
        (document_claims, DocumentFacts(600, HEADINGS), {"sections": ("Budget",)}, True),
        (change_claims, ChangeFacts(asserting_tests=("t.py",)), {"has_tests": True}, False),
        (change_claims, ChangeFacts(test_files=("t.py",)), {"has_tests": True}, True),
        (change_claims, ChangeFacts(asserting_tests=("t.py",)), {"has_tests": False}, True),
    ],
)
def test_a_claim_that_differs_is_told_and_never_decides(
    tell: Any, facts: Facts, claims: dict[str, Any], told: bool
) -> None:
    found = list(tell(measured(facts, **claims)))
    assert bool(found) is told
    assert not any(finding.holds_gate for finding in found)


@pytest.mark.parametrize(
    ("content", "claims"),
    [
        (None, Claims()),
        ({"percentage": None}, Claims()),
        ({"percentage": 85}, Claims(percentage=85.0)),
        ({"failed": 1, "errors": 2}, Claims(failed=3)),
        ({"all_passed": True, "failed": 0}, Claims(all_passed=True, failed=0)),
    ],
)
def test_claims_are_read(content: dict[str, Any] | None, claims: Claims) -> None:
    assert read_claims(content) == claims


NO_PERCENTAGES: list[Any] = [999, -1, float("nan"), float("inf"), 10**400, "85", True, [1], {}]


@pytest.mark.parametrize(
    "content",
    [
        *({"percentage": value} for value in NO_PERCENTAGES),
        *({"length": value} for value in (-1, 1.5, "600", True)),
        *({"has_tests": value} for value in ("false", 1, 0, "yes")),
        {"sections": "scope"},
        {"sections": [1]},
        {"all_passed": True, "failed": 7},
        {"all_passed": True, "errors": 1},
    ],
)
def test_claims_of_a_wrong_type_are_problems_and_claim_nothing(content: dict[str, Any]) -> None:
    claims = read_claims(content)
    assert claims.problems
    assert replace(claims, problems=(), failed=None) == Claims()


OUTCOMES = list(itertools.product(Outcome, Severity))


@given(st.lists(st.sampled_from(OUTCOMES), max_size=8))
def test_a_verdict_passes_only_with_a_pass_and_nothing_that_holds(
    kinds: list[tuple[Outcome, Severity]],
) -> None:
    findings = [
        Finding(f"c{n}", outcome, f"x{n}", "", "", severity=severity)
        for n, (outcome, severity) in enumerate(kinds)
    ]
    verdict = decide(findings)
    holding = {outcome for outcome, severity in kinds if severity is Severity.BLOCK} - {Outcome.PASS}
    if Outcome.FAIL in holding:
        assert verdict.status is GateStatus.FAILED
    elif holding or Outcome.PASS not in {outcome for outcome, _ in kinds}:
        assert verdict.status is GateStatus.INCONCLUSIVE
    else:
        assert verdict.status is GateStatus.PASSED
    assert (verdict.code is None) is (verdict.status is GateStatus.PASSED)


@pytest.mark.parametrize("phase", PHASE_GATE_REQUIREMENTS)
def test_without_any_evidence_no_gate_passes(phase: Phase) -> None:
    policy = built_in_policy(phase)
    assert decide(gate_findings(policy, TaskFacts(True), {})).status is GateStatus.FAILED
    assert decide(gate_findings(policy.without_tasks(), TaskFacts(False), {})).status is GateStatus.FAILED


def test_evidence_of_the_wrong_kind_never_passes_any_gate() -> None:
    kinds: list[Facts] = [
        DocumentFacts(9999),
        coverage(1, 1),
        SuiteFacts(passed=1),
        ChangeFacts(document_files=("a",)),
    ]
    right = {
        EvidenceKind.DOCUMENT: DocumentFacts,
        EvidenceKind.COVERAGE: CoverageFacts,
        EvidenceKind.SUITE: SuiteFacts,
        EvidenceKind.CHANGES: ChangeFacts,
    }
    for phase, facts in itertools.product(PHASE_GATE_REQUIREMENTS, kinds):
        policy = built_in_policy(phase)
        evidence = {
            item.type: replace(measured(facts), artifact=Artifact("id", item.type))
            for item in policy.artifacts
            if not isinstance(facts, right.get(item.kind, ()))
        }
        findings = gate_findings(policy, TaskFacts(True), evidence)
        for type_ in evidence:
            assert not any(f.outcome is Outcome.PASS for f in findings if f.criterion.startswith(type_))


@pytest.mark.parametrize(
    "requirements",
    [
        {},
        {"required_artifacts": []},
        {"required_artifacts": "code_changes"},
        {"required_artifacts": [1]},
        {"required_artifacts": ["a"], "unknown": 1},
        {"required_artifacts": ["a"], "required_tasks_completed": "yes"},
        {"required_artifacts": ["a"], "validation_criteria": {"b": {"min_length": 1}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": {"min_lenght": 1}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": {"min_length": 0}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": {"min_length": True}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": {"min_length": None}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": {"min_percentage": 101}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": {"min_percentage": float("nan")}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": {"min_percentage": True}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": {"required_sections": []}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": {"required_sections": ["!"]}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": {"all_passed": "no"}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": {"min_length": 1, "all_passed": True}}},
        {"required_artifacts": ["a"], "validation_criteria": {"a": 5}},
        {"required_artifacts": ["a"], "validation_criteria": 5},
    ],
)
def test_a_policy_that_would_check_less_than_it_says_is_refused(requirements: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="DESIGN: "):
        policy_from_requirements(Phase.DESIGN, requirements)


@pytest.mark.parametrize("phase", [Phase.BACKLOG, Phase.DONE, Phase.BLOCKED])
def test_phases_without_a_gate_say_so(phase: Phase) -> None:
    with pytest.raises(PhaseHasNoGate):
        built_in_policy(phase)


def test_policies_of_all_work_phases_are_there() -> None:
    policies: list[PhasePolicy] = [built_in_policy(phase) for phase in PHASE_SEQUENCE[1:-1]]
    assert all(policy.tasks_must_be_completed and policy.artifacts for policy in policies)


@pytest.mark.parametrize("name", ["PHASE_TESTING", "testing", "Testing", " TESTING "])
def test_a_phase_is_found_by_its_names(name: str) -> None:
    assert parse_phase(name) is Phase.TESTING


@pytest.mark.parametrize("name", ["", "test", "PHASE_", "PHASE_TESTING2", "\x00"])
def test_other_names_are_no_phase(name: str) -> None:
    with pytest.raises(UnknownPhase):
        parse_phase(name)


def test_only_moves_towards_done_are_forward() -> None:
    forward = {(a, b) for a, targets in PHASE_TRANSITIONS.items() for b in targets if is_forward(a, b)}
    assert forward == set(itertools.pairwise(PHASE_SEQUENCE))


# What a policy says beside the criterion: warn, claims, paths


SOURCES = (
    FileCoverage("src/a.py", 5, 10),
    FileCoverage("src/sub/b.py", 10, 10),
    FileCoverage("gen/c.py", 99, 100),
)


@pytest.mark.parametrize(
    ("paths", "outcome", "found"),
    [
        ((), Outcome.PASS, "114 of 120"),
        (("src/**",), Outcome.FAIL, "15 of 20"),
        (("src/*.py",), Outcome.FAIL, "5 of 10"),
        (("gen", "src/sub"), Outcome.PASS, "109 of 110"),
        (("scr/**",), Outcome.UNKNOWN, "the report lists no such file"),
    ],
)
def test_coverage_of_paths_counts_only_their_lines(
    paths: tuple[str, ...], outcome: Outcome, found: str
) -> None:
    finding = coverage_at_least(MinCoverage(80, Terms(paths=paths)), measured(CoverageFacts("lcov", SOURCES)))
    assert finding.outcome is outcome
    assert found in finding.found
    assert all(path in finding.needed for path in paths)


def test_a_minimum_of_0_is_no_pass_where_no_file_is_in_scope() -> None:
    demand = MinCoverage(0, Terms(paths=("lib",)))
    assert coverage_at_least(demand, measured(CoverageFacts("lcov", SOURCES))).code == "no_file_in_scope"


@pytest.mark.parametrize(
    ("code_files", "asserting", "code"),
    [
        (("src/a.py",), (), "code_without_tests"),
        (("src/a.py", "tools/b.py"), (), "code_without_tests"),
        (("src/a.py",), ("tests/t.py",), "code_with_tests"),
        (("tools/b.py",), (), "no_code_in_scope"),
        ((), (), "no_code_changed"),
    ],
)
def test_tests_are_asked_only_of_code_in_scope(
    code_files: tuple[str, ...], asserting: tuple[str, ...], code: str
) -> None:
    facts = ChangeFacts(code_files=code_files, asserting_tests=asserting, document_files=("a.md",))
    assert code_comes_with_tests(measured(facts), ["src/**"]).code == code


def test_code_outside_of_the_scope_need_not_be_reported() -> None:
    changes = ChangeFacts(code_files=("tools/x.py",), asserting_tests=("t.py",))
    evidence = {"changes": measured(changes), "coverage": measured(CoverageFacts("lcov", SOURCES))}
    for paths, told in (((), True), (("src/**",), False), (("tools/**",), True)):
        demand = RequiredArtifact("coverage", EvidenceKind.COVERAGE, (MinCoverage(0, Terms(paths=paths)),))
        findings = gate_findings(
            PhasePolicy(Phase.IMPLEMENTATION, (demand,), False), TaskFacts(True), evidence
        )
        assert any(finding.code == "changed_code_not_reported" for finding in findings) is told


def answered(
    criterion: Criterion, facts: Facts | Unreadable, kind: EvidenceKind, **claims: Any
) -> list[Finding]:
    required = RequiredArtifact("artifact", kind, (criterion,))
    policy = PhasePolicy(Phase.TESTING, (required,), tasks_must_be_completed=False)
    return list(gate_findings(policy, TaskFacts(False), {"artifact": measured(facts, **claims)}))


WARN = Terms(severity=Severity.WARN)


def test_a_criterion_that_is_only_told_does_not_decide() -> None:
    findings = answered(MinCoverage(80, WARN), coverage(1, 100), EvidenceKind.COVERAGE)
    assert [(finding.code, finding.severity) for finding in findings] == [
        ("artifact_present", Severity.BLOCK),
        ("coverage_below_minimum", Severity.WARN),
    ]
    assert decide(findings).status is GateStatus.PASSED


@pytest.mark.parametrize(
    ("criterion", "kind", "facts"),
    [
        (MinCoverage(80, WARN), EvidenceKind.COVERAGE, UNREADABLE),
        (MinCoverage(80, WARN), EvidenceKind.COVERAGE, coverage(0, 0)),
        (MinCoverage(80, WARN), EvidenceKind.COVERAGE, SuiteFacts(passed=1)),
        (AllPassed(WARN), EvidenceKind.SUITE, SuiteFacts(skipped=3)),
        (MustHaveTests(WARN), EvidenceKind.CHANGES, ChangeFacts()),
        (MinLength(5, WARN), EvidenceKind.DOCUMENT, DocumentFacts(0)),
        (RequiredSections(("a",), WARN), EvidenceKind.DOCUMENT, UNREADABLE),
    ],
)
def test_evidence_that_says_nothing_is_no_pass_even_where_all_is_only_told(
    criterion: Criterion, kind: EvidenceKind, facts: Facts | Unreadable
) -> None:
    assert decide(answered(criterion, facts, kind)).status is GateStatus.INCONCLUSIVE


def test_an_artifact_that_is_missing_blocks_whatever_is_asked_of_it() -> None:
    required = RequiredArtifact("artifact", EvidenceKind.COVERAGE, (MinCoverage(80, WARN),))
    policy = PhasePolicy(Phase.TESTING, (required,), tasks_must_be_completed=False)
    assert decide(gate_findings(policy, TaskFacts(False), {})).status is GateStatus.FAILED


ACCEPT = Terms(claims=ClaimsMode.ACCEPT)
ONLY_CLAIMS = Unreadable(UnreadableCode.NOT_GIVEN, "there are only claims", "Attach it.")
CLAIMED: list[tuple[Criterion, EvidenceKind, dict[str, Any], dict[str, Any]]] = [
    (MinLength(500, ACCEPT), EvidenceKind.DOCUMENT, {"length": 500}, {"length": 499}),
    (RequiredSections(("scope",), ACCEPT), EvidenceKind.DOCUMENT, {"sections": ("Goals",)}, {"sections": ()}),
    (MinCoverage(80, ACCEPT), EvidenceKind.COVERAGE, {"percentage": 80.0}, {"percentage": 79.9}),
    (MustHaveTests(ACCEPT), EvidenceKind.CHANGES, {"has_tests": True}, {"has_tests": False}),
    (AllPassed(ACCEPT), EvidenceKind.SUITE, {"all_passed": True}, {"failed": 0}),
]


@pytest.mark.parametrize(("criterion", "kind", "enough", "too_little"), CLAIMED)
def test_a_claim_counts_only_where_the_policy_accepts_it_and_says_so(
    criterion: Criterion, kind: EvidenceKind, enough: dict[str, Any], too_little: dict[str, Any]
) -> None:
    [finding] = answered(criterion, ONLY_CLAIMS, kind, **enough)
    assert (finding.outcome, finding.code) == (Outcome.PASS, "claim_accepted")
    assert "claimed" in finding.found
    strict = replace(criterion, terms=Terms())
    for asked, claims in ((criterion, too_little), (criterion, {}), (strict, enough)):
        [finding] = answered(asked, ONLY_CLAIMS, kind, **claims)
        assert (finding.outcome, finding.code) == (Outcome.UNKNOWN, "evidence_not_given")


@pytest.mark.parametrize("code", set(UnreadableCode) - {UnreadableCode.NOT_GIVEN})
def test_a_claim_never_stands_for_evidence_that_is_named_and_cannot_be_read(code: UnreadableCode) -> None:
    unreadable = Unreadable(code, "it cannot be read", "Write it again.")
    for criterion, kind, enough, _ in CLAIMED:
        assert not any(f.outcome is Outcome.PASS for f in answered(criterion, unreadable, kind, **enough))


def test_a_claim_never_wins_against_a_measurement() -> None:
    findings = answered(MinCoverage(80, ACCEPT), coverage(10, 100), EvidenceKind.COVERAGE, percentage=95.0)
    assert [f.code for f in findings] == ["coverage_below_minimum", "claim_differs_from_measurement"]
    assert decide(findings).status is GateStatus.FAILED


def test_a_claim_beside_one_that_contradicts_it_does_not_count() -> None:
    problems = ("all_passed is claimed beside 7 failed tests",)
    findings = answered(
        AllPassed(ACCEPT), ONLY_CLAIMS, EvidenceKind.SUITE, all_passed=True, problems=problems
    )
    assert decide(findings).status is GateStatus.INCONCLUSIVE


@pytest.mark.parametrize(
    ("kind", "facts", "outcome"),
    [
        (EvidenceKind.DOCUMENT, DocumentFacts(1), Outcome.PASS),
        (EvidenceKind.COVERAGE, coverage(0, 1), Outcome.PASS),
        (EvidenceKind.SUITE, SuiteFacts(failed=1), Outcome.PASS),
        (EvidenceKind.CHANGES, ChangeFacts(other_files=("a",)), Outcome.PASS),
        (EvidenceKind.SUITE, SuiteFacts(), Outcome.UNKNOWN),
        (EvidenceKind.SUITE, DocumentFacts(1), Outcome.UNKNOWN),
        (EvidenceKind.PRESENCE, SuiteFacts(passed=1), Outcome.UNKNOWN),
    ],
)
def test_an_artifact_without_criteria_is_there_as_what_it_is_said_to_be(
    kind: EvidenceKind, facts: Facts, outcome: Outcome
) -> None:
    required = RequiredArtifact("artifact", kind)
    policy = PhasePolicy(Phase.TESTING, (required,), tasks_must_be_completed=False)
    first = gate_findings(policy, TaskFacts(False), {"artifact": measured(facts)})[0]
    assert (first.criterion, first.outcome) == ("artifact", outcome)
