"""omoi.yaml: what it means, and what it says to a mistake."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omoi_os.domain.phases import Phase
from omoi_os.domain.policy import (
    SECTION_ALIASES,
    Advance,
    AllPassed,
    ClaimsMode,
    EvidenceKind,
    JudgeMode,
    MinCoverage,
    MinLength,
    Policy,
    RequiredSections,
    built_in,
    built_in_policy,
    demand_digest,
    matches,
)
from omoi_os.domain.policy.document import json_schema
from omoi_os.domain.verdict import Severity
from omoi_os.errors import InvalidInput, PhaseHasNoGate, PolicyInvalid
from omoi_os.services import policies
from omoi_os.services.policies import PolicyService, load_policy, parse_policy, read_policy_file
from omoi_os.settings import Settings

SCHEMAS = Path(policies.__file__).resolve().parent.parent / "schemas"

SIX_LINES = """version: 1
phases:
  implementation:
    criteria:
      test_coverage:
        min_percentage: 90
"""


def policy(text: str) -> Policy:
    return parse_policy(text.encode(), "omoi.yaml")


def phase(name: str, body: str) -> str:
    """A file with `body` in one phase, which begins in line 4."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"version: 1\nphases:\n  {name}:\n{lines}"


def criteria(body: str) -> str:
    """A file with `body` as criteria of implementation, which begin in line 5."""
    return phase("implementation", "criteria:\n" + "".join(f"  {line}\n" for line in body.splitlines()))


def problems(raw: str | bytes) -> list[str]:
    with pytest.raises(PolicyInvalid) as refused:
        parse_policy(raw.encode() if isinstance(raw, str) else raw, "f.yaml")
    return refused.value.message.splitlines()


# What it means


def test_what_is_not_named_keeps_its_built_in_value() -> None:
    read = policy(SIX_LINES)
    assert read.of(Phase.TESTING) == built_in_policy(Phase.TESTING)
    changed = read.of(Phase.IMPLEMENTATION)
    tests, coverage = changed.artifacts
    assert tests == built_in_policy(Phase.IMPLEMENTATION).artifacts[0]
    assert coverage.criteria == (MinCoverage(90.0),)
    assert changed.tasks_must_be_completed


def test_version_alone_is_the_built_in_policy() -> None:
    assert policy("version: 1") == built_in()
    assert policy("\ufeffversion: 1\r\n").digest == built_in().digest


def test_the_file_that_init_writes_says_what_is_built_in() -> None:
    assert read_policy_file(SCHEMAS / "omoi.yaml") == built_in()


def test_the_published_schema_is_that_of_the_model() -> None:
    assert json.loads((SCHEMAS / "omoi.schema.json").read_text()) == json_schema()


def test_the_long_form_says_how_strictly() -> None:
    text = criteria(
        "test_coverage:\n  min_percentage: {value: 70.5, severity: warn, paths: [src/**]}\n"
        "code_changes: {must_have_tests: {claims: accept}}"
    )
    tests, coverage = policy(text).of(Phase.IMPLEMENTATION).artifacts
    [asked] = coverage.criteria
    assert isinstance(asked, MinCoverage)
    assert (asked.percent, asked.terms.severity, asked.terms.paths) == (70.5, Severity.WARN, ("src/**",))
    assert tests.criteria[0].terms.claims is ClaimsMode.ACCEPT
    assert tests.criteria[0].terms.severity is Severity.BLOCK


@pytest.mark.parametrize("off", ["false", '"off"', "{value: false}"])
def test_a_criterion_that_is_off_leaves_the_artifact_of_its_kind(off: str) -> None:
    first = (
        policy(criteria(f"code_changes: {{must_have_tests: {off}}}")).of(Phase.IMPLEMENTATION).artifacts[0]
    )
    assert (first.kind, first.criteria) == (EvidenceKind.CHANGES, ())


def test_an_artifact_that_is_not_listed_is_not_asked_and_a_new_one_is() -> None:
    text = phase("testing", "required_artifacts: [test_results, {type: load, kind: suite}, notes]")
    read = policy(text).of(Phase.TESTING)
    assert [(item.type, item.kind) for item in read.artifacts] == [
        ("test_results", EvidenceKind.SUITE),
        ("load", EvidenceKind.SUITE),
        ("notes", EvidenceKind.PRESENCE),
    ]
    assert read.artifacts[0].criteria == (AllPassed(),)


def test_everything_else_of_a_phase_is_read() -> None:
    text = phase(
        "design",
        "judge: {mode: required, model: a, criteria: {safe: 'Is it safe?'}, limits: {max_tokens: 5000},"
        " judges: 2, second_model: b, max_wrong_passes: 10}\n"
        "context: {condense: true}\nadvance: manual\nmax_iterations: 5\nwaiver_max_days: 7\n"
        "required_tasks_completed: false",
    )
    read = policy(text).of(Phase.DESIGN)
    judge = read.judge
    assert (judge.mode, judge.model, judge.judges, judge.second_model) == (JudgeMode.REQUIRED, "a", 2, "b")
    assert (judge.limits.max_tokens, judge.limits.max_iterations, judge.max_wrong_passes) == (5000, 30, 10)
    assert [(item.id, item.text) for item in judge.criteria] == [("safe", "Is it safe?")]
    assert (read.context.condense, read.context.max_tokens) == (True, 2000)
    assert (read.advance, read.max_iterations, read.waiver_max_days) == (Advance.MANUAL, 5, 7)
    assert not read.tasks_must_be_completed


@pytest.mark.parametrize(("word", "mode"), [('"off"', "off"), ("'off'", "off"), ("auto", "auto")])
def test_a_judge_can_be_one_word(word: str, mode: str) -> None:
    assert policy(phase("design", f"judge: {word}")).of(Phase.DESIGN).judge.mode == mode


def test_aliases_are_added_to_the_built_in_ones_in_every_phase() -> None:
    read = policy("version: 1\nsection_aliases:\n  Scope: [Our Mission]\n  goals: [ziele]\n")
    [length, sections] = read.of(Phase.REQUIREMENTS).artifacts[0].criteria
    assert isinstance(sections, RequiredSections)
    assert sections.accepted("scope") == SECTION_ALIASES["scope"] | {"our_mission", "ziele"}
    assert length == MinLength(500)


def test_phases_without_a_gate_have_no_policy() -> None:
    with pytest.raises(PhaseHasNoGate):
        built_in().of(Phase.BACKLOG)


# Digests, and the stored form


def test_order_and_comments_do_not_change_the_digest_and_values_do() -> None:
    one = policy(phase("testing", "required_artifacts: [a, b]\nadvance: manual"))
    two = policy("# why\n" + phase("testing", "advance: manual # so\nrequired_artifacts: [b, a]"))
    assert one.digest == two.digest
    assert len({one.digest, built_in().digest, policy(SIX_LINES).digest}) == 3


@pytest.mark.parametrize("term", ["severity: warn", "claims: accept", "paths: [src]", "value: 79"])
def test_how_a_criterion_is_asked_is_part_of_what_is_demanded(term: str) -> None:
    read = policy(criteria(f"test_coverage: {{min_percentage: {{{term}}}}}"))
    assert demand_digest(read.of(Phase.IMPLEMENTATION)) != demand_digest(
        built_in_policy(Phase.IMPLEMENTATION)
    )


def test_what_comes_after_a_verdict_or_in_other_phases_does_not_change_what_it_demands() -> None:
    usual = demand_digest(built_in_policy(Phase.TESTING))
    assert demand_digest(policy(SIX_LINES).of(Phase.TESTING)) == usual
    assert demand_digest(policy(phase("testing", "advance: manual")).of(Phase.TESTING)) == usual
    assert demand_digest(policy(phase("testing", 'judge: "off"')).of(Phase.TESTING)) != usual
    read = policy("version: 1\nsection_aliases: {scope: [mission]}")
    assert demand_digest(read.of(Phase.TESTING)) == usual
    assert demand_digest(read.of(Phase.REQUIREMENTS)) != demand_digest(built_in_policy(Phase.REQUIREMENTS))


@pytest.mark.parametrize(
    "text",
    [
        "version: 1",
        SIX_LINES,
        "version: 1\nsection_aliases: {goals: [scope], budget: [costs]}",
        criteria("code_changes: {must_have_tests: false}\ntest_coverage: {min_percentage: {paths: [a/**]}}"),
        phase("design", "judge: {mode: required, criteria: {a: B}, judges: 2, second_model: c}"),
        phase("testing", "required_artifacts: [{type: load, kind: coverage}]"),
        criteria("test_coverage: {min_percentage: {severity: warn}}"),
        criteria("code_changes: {must_have_tests: {claims: accept}}"),
        phase("testing", "advance: manual\nmax_iterations: 9\nwaiver_max_days: 0\ncontext: {condense: true}"),
    ],
)
def test_a_stored_policy_is_read_as_it_was(text: str) -> None:
    stored = json.loads(json.dumps(policy(text).as_dict()))
    assert Policy.from_dict(stored) == policy(text)
    assert Policy.from_dict(stored).digest == policy(text).digest


def test_a_stored_policy_owes_nothing_to_what_is_built_in() -> None:
    stored = policy(SIX_LINES).as_dict()
    del stored["phases"]["testing"]["required_artifacts"]
    with pytest.raises(InvalidInput, match="stored policy is broken"):
        Policy.from_dict(stored)
    with pytest.raises(InvalidInput, match="stored policy is broken"):
        Policy.from_dict({"version": 1, "surprise": 2})


# Mistakes


BROKEN: list[tuple[str | bytes, int, str]] = [
    # as a file
    ("", 1, "the file is empty; write version: 1"),
    ("# only a comment\n", 1, "the file is empty"),
    ("~", 1, "the file is empty"),
    (b"version: 1\n# \xff", 2, "is not UTF-8; save the file as UTF-8"),
    (b"version: 1\n" + "phases: {}".encode("utf-16"), 2, "is not UTF-8"),
    (b"#" * (1024 * 1024 + 1), 1, "more than 1,048,576 bytes"),
    ("version: 1\nphases: \x00", 2, "U+0000 cannot stand in YAML"),
    ("version: 1\n\tphases: {}", 2, "this is no YAML"),
    ("version: 1\nphases: {", 2, "this is no YAML"),
    ("version: 1\nphases: 'a", 2, "this is no YAML"),
    ("version: 1\n---\nversion: 1", 2, "a second document begins here"),
    ("version: 1\nphases: &a {}", 2, "anchors (&) and aliases (*) are not read"),
    ("version: 1\nphases: *a", 2, "anchors (&) and aliases (*) are not read"),
    ("version: 1\n<<: *a", 2, "anchors (&) and aliases (*) are not read"),
    ("version: !!int 1", 1, "tags (!) are not read"),
    ("version: 1\nphases: !!python/object/apply:os.system [id]", 2, "tags (!) are not read"),
    ("version: 1\n!x phases: {}", 2, "tags (!) are not read"),
    ("version: 1\n? {a: b}\n: c", 2, "a key must be one word"),
    ("version: 1\nphases: " + "[" * 30, 2, "nested deeper than 20 levels"),
    ("version: 1\nphases: [" + "a," * 20_001 + "]", 2, "more than 20,000 values"),
    ('version: 1\nsection_aliases: {scope: ["\\0"]}', 2, "a NUL character"),
    ('version: 1\nsection_aliases: {scope: ["\\ud800"]}', 2, "half of a surrogate pair"),
    ("- version: 1", 1, "is not usable; write a mapping"),
    ("version", 1, "is not usable; write a mapping"),
    # keys
    ("phases: {}", 1, "version is missing; write version: 1"),
    ("version: 2", 1, "version: 2 is not usable; write version: 1"),
    ("version: true", 1, "version: True is not usable"),
    ('version: "1"', 1, "version: '1' is not usable"),
    ("version: 1.0", 1, "version: 1.0 is not usable"),
    ("version: 1\nversion: 1", 2, "version stands in line 1 already; delete one of the two"),
    ("version: 1\nphase: {}", 2, "there is no key 'phase' here; write phases"),
    ("version: 1\nXYZ: {}", 2, "known are version, section_aliases, phases"),
    ("version: 1\naliases: {}", 2, "write section_aliases"),
    ("version: 1\nphases:\n", 2, "phases is empty; write a value, or delete the line"),
    ("version: 1\nphases: []", 2, "phases: [] is not usable"),
    ("version: 1\nphases:\n  testign: {}", 3, "there is no phase 'testign' here; write testing"),
    ("version: 1\nphases:\n  PHASE_TESTING: {}", 3, "there is no phase 'PHASE_TESTING' here; write testing"),
    ("version: 1\nphases:\n  backlog: {}", 3, "there is no phase 'backlog' here"),
    ("version: 1\nphases:\n  design: {}\n  design: {}", 4, "design stands in line 3 already"),
    (phase("design", "validation_criteria: {}"), 4, "write criteria"),
    (phase("design", "Judge: auto"), 4, "there is no key 'Judge' here; write judge"),
    (phase("design", "no: 1"), 4, 'YAML reads a bare no as true or false; write "no" in quotes'),
    # words that YAML takes for something else
    (phase("design", "judge: off"), 4, 'YAML reads a bare off as true or false; write "off" in quotes'),
    (phase("design", "judge: Off"), 4, 'write "Off" in quotes'),
    (phase("design", "required_tasks_completed: yes"), 4, 'write "yes" in quotes, or true or false'),
    (phase("design", "advance: on"), 4, 'write "on" in quotes'),
    (phase("design", "judge: {mode: no}"), 4, 'write "no" in quotes'),
    (phase("design", "max_iterations: 010"), 4, "max_iterations: '010' is not usable"),
    (phase("design", "max_iterations: 1:30"), 4, "max_iterations: '1:30' is not usable"),
    (phase("design", "max_iterations: 1_0"), 4, "max_iterations: '1_0' is not usable"),
    (phase("design", "max_iterations: 0x1F"), 4, "max_iterations: '0x1F' is not usable"),
    (phase("design", "max_iterations: " + "9" * 5000), 4, "is not usable; write a whole number"),
    # values
    (phase("design", "judge: maybe"), 4, "judge: 'maybe' is not usable; write \"off\" in quotes, auto"),
    (phase("design", "judge: false"), 4, "judge: False is not usable"),
    (phase("design", "judge: {modle: a}"), 4, "there is no key 'modle' here; write"),
    (phase("design", "judge: {model: ''}"), 4, "model: '' is not usable; write the name of a model"),
    (phase("design", "judge: {judges: 3}"), 4, "judges: 3 is not usable; write 1 or 2"),
    (phase("design", "judge: {judges: 2}"), 4, "a second judge needs another model"),
    (phase("design", "judge: {second_model: a}"), 4, "write judges: 2 beside it"),
    (phase("design", "judge: {judges: 2, model: a, second_model: a}"), 4, "the first one again"),
    (phase("design", 'judge: {mode: "off", criteria: {a: b}}'), 4, "would never read these criteria"),
    (phase("design", "judge: {criteria: {a b: c}}"), 4, "'a b' is no name"),
    (phase("design", "judge:\n  criteria:\n    a: [b]"), 6, "a: ['b'] is not usable"),
    (phase("design", "judge: {criteria: [a]}"), 4, "criteria: ['a'] is not usable"),
    (phase("design", "judge:\n  limits:\n    max_cost_usd: 0"), 6, "max_cost_usd: 0 is not usable"),
    (phase("design", "judge: {limits: {max_cost: 1}}"), 4, "write max_cost_usd"),
    (phase("design", "judge: {max_wrong_passes: 101}"), 4, "max_wrong_passes: 101 is not usable"),
    (phase("design", "context: 2000"), 4, "context: 2000 is not usable"),
    (phase("design", "context: {condense: 1}"), 4, "condense: 1 is not usable; write true or false"),
    (phase("design", "context: {max_tokens: -1}"), 4, "max_tokens: -1 is not usable"),
    (phase("design", "advance: later"), 4, "advance: 'later' is not usable; write auto or manual"),
    (phase("design", "max_iterations: 0"), 4, "write a whole number from 1 to 100"),
    (phase("design", "max_iterations: 2.5"), 4, "write a whole number from 1 to 100"),
    (phase("design", "waiver_max_days: 366"), 4, "write a whole number from 0 to 365"),
    (phase("design", 'required_tasks_completed: "yes"'), 4, "write true or false"),
    # artifacts
    (phase("design", "required_artifacts: []"), 4, "write a list of artifact types, at least one"),
    (phase("design", "required_artifacts: design_document"), 4, "write a list of artifact types"),
    (phase("design", "required_artifacts:\n  - a\n  - 'b c'"), 6, "'b c' is not usable; write the type"),
    (phase("design", "required_artifacts:\n  - a\n  - a"), 6, "a is named twice"),
    (phase("design", "required_artifacts: [{kind: suite}]"), 4, "type is missing"),
    (
        phase("design", "required_artifacts: [{type: a, kind: video}]"),
        4,
        "document, coverage, changes, suite",
    ),
    (
        phase("design", "required_artifacts:\n  - type: design_document\n    kind: suite"),
        6,
        "design_document is said to be suite, and its criteria need document; delete kind",
    ),
    (
        phase("testing", "required_artifacts: [test_evidence]\ncriteria: {test_results: {all_passed: true}}"),
        5,
        "there is no required artifact 'test_results' here",
    ),
    # criteria
    (criteria("coverage_report: {min_percentage: 80}"), 5, "there is no required artifact 'coverage_report'"),
    (
        criteria("test_coverage: {min_percent: 80}"),
        5,
        "no criterion 'min_percent' here; write min_percentage",
    ),
    (criteria("test_coverage: {nonsense: 80}"), 5, "known are min_length, required_sections"),
    (criteria("test_coverage: 80"), 5, "test_coverage: 80 is not usable"),
    (
        criteria("test_coverage:\n  min_percentage: 100.1"),
        6,
        "min_percentage: 100.1 is not usable; write a number",
    ),
    (criteria("test_coverage:\n  min_percentage: -1"), 6, "from 0 to 100"),
    (criteria("test_coverage:\n  min_percentage: 80%"), 6, "'80%' is not usable"),
    (criteria("test_coverage:\n  min_percentage: .nan"), 6, "'.nan' is not usable"),
    (criteria("test_coverage:\n  min_percentage: .inf"), 6, "'.inf' is not usable"),
    (criteria("test_coverage:\n  min_percentage: true"), 6, "True is not usable"),
    (criteria("test_coverage:\n  min_percentage:"), 6, "min_percentage is empty"),
    (criteria("test_coverage:\n  min_percentage:\n    severity: error"), 7, "write block, or warn"),
    (criteria("test_coverage:\n  min_percentage:\n    claims: maybe"), 7, "write reject, or accept"),
    (criteria("test_coverage:\n  min_percentage:\n    path: [src/**]"), 7, "no key 'path' here; write paths"),
    (criteria("test_coverage:\n  min_percentage:\n    paths: src/**"), 7, "write a list of patterns"),
    (criteria("test_coverage:\n  min_percentage:\n    paths: []"), 7, "write a list of patterns"),
    (criteria("test_coverage:\n  min_percentage:\n    paths: [/src]"), 7, "no pattern from the root"),
    (criteria("test_coverage:\n  min_percentage:\n    paths: ['!src']"), 7, "no pattern from the root"),
    (criteria("test_coverage:\n  min_percentage:\n    paths: [../a]"), 7, "no pattern from the root"),
    (criteria("test_coverage:\n  min_percentage:\n    paths: [src/]"), 7, "write src/**"),
    (criteria("test_coverage:\n  min_percentage: {paths: [a], claims: accept}"), 6, "delete claims or paths"),
    (criteria("test_coverage: {min_percentage: 80, all_passed: true}"), 5, "different kinds of evidence"),
    (criteria("code_changes: {min_percentage: 80}"), 5, "different kinds of evidence"),
    (
        criteria("code_changes: {must_have_tests: 1}"),
        5,
        "must_have_tests: 1 is not usable; write true, false",
    ),
    (phase("testing", "criteria: {test_results: {all_passed: {paths: [a]}}}"), 4, "no key 'paths' here"),
    (phase("design", "criteria: {design_document: {min_length: 0}}"), 4, "from 1 to 1000000"),
    (phase("design", "criteria: {design_document: {min_length: 5.5}}"), 4, "a whole number of characters"),
    (phase("design", "criteria: {design_document: {required_sections: []}}"), 4, "a list of section names"),
    (
        phase("design", "criteria: {design_document: {required_sections: risks}}"),
        4,
        "a list of section names",
    ),
    (phase("design", "criteria: {design_document: {required_sections: ['!']}}"), 4, "'!' is no section name"),
    (
        phase("design", "required_artifacts: [a]\ncriteria: {a: {min_length: {severity: warn}}}"),
        5,
        "has no value",
    ),
    # aliases
    ("version: 1\nsection_aliases: [scope]", 2, "section_aliases: ['scope'] is not usable"),
    ("version: 1\nsection_aliases: {scope: goals}", 2, "scope: 'goals' is not usable; write headings"),
    ("version: 1\nsection_aliases:\n  scope: ['---']", 3, "'---' is no section name"),
    ("version: 1\nsection_aliases:\n  '?': [a]", 3, "'?' is no section name"),
    ("version: 1\nsection_aliases:\n  a: [b]\n  b: [c]\n  c: [a]", 3, "an alias of itself in a circle"),
    ("version: 1\nsection_aliases:\n  Scope: [scope]", 3, "an alias of itself in a circle"),
]


@pytest.mark.parametrize(("text", "line", "said"), BROKEN, ids=range(len(BROKEN)))
def test_a_mistake_is_told_with_its_line_and_what_to_write(text: str | bytes, line: int, said: str) -> None:
    told = problems(text)
    assert any(item.startswith(f"f.yaml:{line}: ") and said in item for item in told), told
    assert all("; " in item for item in told), told


def test_all_mistakes_are_told_at_once_in_the_order_of_lines() -> None:
    text = "version: 3\nfases: {}\nsection_aliases: {a: [a]}\nphases:\n  design: {advance: x}\n"
    told = problems(text + "  testing: {criteria: {nothing: {all_passed: true}}}\n")
    assert [item.split(":")[1] for item in told] == ["1", "2", "3", "5", "6"]


def test_the_answer_to_a_file_full_of_mistakes_is_bounded() -> None:
    told = problems("version: 1\n" + "".join(f"key{number}: 1\n" for number in range(300)))
    assert len(told) == 51
    assert told[-1] == "f.yaml: and 250 more"
    assert len("\n".join(problems("version: 1\n" + "a: off\n" * 5000))) < 10_000


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 1_000_000,
        b"- " * 500_000,
        b"? " * 500_000,
        b"{" * 1_000_000,
        b"\n" * 1_000_000,
        b"a: " * 300_000,
    ],
)
def test_a_hostile_file_is_refused_in_a_few_seconds(raw: bytes) -> None:
    started = time.monotonic()
    problems(raw)
    assert time.monotonic() - started < 20


@given(st.text(max_size=200))
def test_no_text_is_more_than_a_policy_or_its_mistakes(text: str) -> None:
    try:
        parse_policy(text.encode("utf-8", "replace"), "f.yaml")
    except PolicyInvalid as refused:
        assert refused.message.startswith("f.yaml:")  # noqa: PT017 - most texts are refused, not all


# Patterns


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("src/a.py", "src/**", True),
        ("src/a/b.py", "src/**", True),
        ("lib/src/a.py", "src/**", False),
        ("lib/src/a.py", "**/src/**", True),
        ("/build/src/a.py", "**/src/**", True),
        ("/src/a.py", "src/**", False),
        ("src/a.py", "src/*.py", True),
        ("src/a/b.py", "src/*.py", False),
        ("src/a/b.py", "src", True),
        ("src", "src", True),
        ("srcs/a.py", "src", False),
        ("a.py", "**/*.py", True),
        ("src\\a.py", "src/**", True),
        ("./src/a.py", "src/**", True),
        ("src/../etc/a.py", "src/**", False),
        ("src/a.PY", "src/*.py", False),
        ("src/a1.py", "src/a?.py", True),
        ("/".join(["a"] * 100), "**", False),
    ],
)
def test_a_pattern_fits_from_the_root(path: str, pattern: str, fits: bool) -> None:
    assert matches(path, [pattern]) is fits


def test_a_pattern_that_could_backtrack_does_not() -> None:
    started = time.monotonic()
    assert not matches("/".join(["a" * 200] * 60), ["**/" * 20 + "*a" * 40 + "b"])
    assert time.monotonic() - started < 2


# Where it is read from


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's folder, which is the current one."""
    folder = tmp_path / "operator"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("OMOI_POLICY", raising=False)
    return folder


def test_without_a_file_the_built_in_policy_holds(here: Path) -> None:
    assert load_policy(Settings()) is built_in()
    assert PolicyService.opened(Settings()).source is None


def test_the_operators_folder_and_then_the_setting_decide(here: Path, tmp_path: Path) -> None:
    (here / "omoi.yaml").write_text(SIX_LINES)
    assert load_policy(Settings(), tmp_path / "work") == policy(SIX_LINES)
    (tmp_path / "other.yaml").write_text("version: 1")
    assert load_policy(Settings(policy=tmp_path / "other.yaml")) == built_in()


@pytest.mark.parametrize("reviewed", [".", "..", "/"])
def test_a_policy_in_the_reviewed_folder_is_refused(here: Path, reviewed: str) -> None:
    (here / "omoi.yaml").write_text("version: 1")
    with pytest.raises(PolicyInvalid, match="lies in the folder that is reviewed"):
        load_policy(Settings(), Path(reviewed))
    with pytest.raises(PolicyInvalid, match="OMOI_POLICY"):
        load_policy(Settings(policy=here / "omoi.yaml"), Path(reviewed))
    with pytest.raises(PolicyInvalid, match="lies in"):
        PolicyService.opened(Settings()).of("testing", Path(reviewed))


def test_no_link_leads_around_that(here: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "real.yaml").write_text("version: 1")
    (tmp_path / "kept.yaml").write_text("version: 1")
    (work / "hop.yaml").symlink_to(tmp_path / "kept.yaml")
    for target in ("real.yaml", "hop.yaml"):
        (here / "omoi.yaml").unlink(missing_ok=True)
        (here / "omoi.yaml").symlink_to(work / target)
        with pytest.raises(PolicyInvalid, match="lies in"):
            load_policy(Settings(), work)
    (tmp_path / "alias").symlink_to(work)
    with pytest.raises(PolicyInvalid, match="lies in"):
        load_policy(Settings(policy=tmp_path / "alias" / "real.yaml"), work)


def test_a_policy_that_cannot_be_read_is_not_the_built_in_one(here: Path) -> None:
    with pytest.raises(PolicyInvalid, match="No such file"):
        load_policy(Settings(policy=here / "missing.yaml"))
    (here / "omoi.yaml").symlink_to(here / "nowhere")
    with pytest.raises(PolicyInvalid, match="cannot be read"):
        load_policy(Settings())
    (here / "omoi.yaml").unlink()
    os.mkfifo(here / "omoi.yaml")
    with pytest.raises(PolicyInvalid, match="this is no file"):
        load_policy(Settings())
    (here / "omoi.yaml").unlink()
    (here / "omoi.yaml").mkdir()
    with pytest.raises(PolicyInvalid, match="this is no file"):
        load_policy(Settings())
