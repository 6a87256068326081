"""What each phase must show before a ticket may leave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, Final

from omoi_os.domain.phases import Phase
from omoi_os.domain.slugs import slugify
from omoi_os.errors import InvalidInput, PhaseHasNoGate

PHASE_GATE_REQUIREMENTS: Final[dict[Phase, dict[str, Any]]] = {
    Phase.REQUIREMENTS: {
        "required_artifacts": ["requirements_document"],
        "required_tasks_completed": True,
        "validation_criteria": {
            "requirements_document": {
                "min_length": 500,
                "required_sections": ["scope", "acceptance_criteria"],
            }
        },
    },
    Phase.DESIGN: {
        "required_artifacts": ["design_document"],
        "required_tasks_completed": True,
        "validation_criteria": {
            "design_document": {
                "min_length": 500,
                "required_sections": ["architecture", "decisions"],
            }
        },
    },
    Phase.IMPLEMENTATION: {
        "required_artifacts": ["code_changes", "test_coverage"],
        "required_tasks_completed": True,
        "validation_criteria": {
            "test_coverage": {"min_percentage": 80},
            "code_changes": {"must_have_tests": True},
        },
    },
    Phase.TESTING: {
        "required_artifacts": ["test_results", "test_evidence"],
        "required_tasks_completed": True,
        "validation_criteria": {
            "test_results": {"all_passed": True},
        },
    },
    Phase.DEPLOYMENT: {
        "required_artifacts": ["deployment_record", "smoke_test_results"],
        "required_tasks_completed": True,
        "validation_criteria": {
            "smoke_test_results": {"all_passed": True},
        },
    },
}
"""The built-in policy, in the specification's form."""

SECTION_ALIASES: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset({name, *aliases.split()})
    for name, aliases in {
        "scope": (
            "in_scope scope_of_work scope_and_goals goals goals_and_non_goals objectives summary_and_scope"
        ),
        "acceptance_criteria": (
            "acceptance_tests success_criteria success_metrics definition_of_done graduation_criteria "
            "exit_criteria"
        ),
        "architecture": (
            "design design_details detailed_design high_level_design system_design technical_design "
            "building_block_view solution_strategy specification reference_level_explanation"
        ),
        "decisions": (
            "decision decision_log decision_record decision_outcome design_decisions key_decisions "
            "architecture_decisions considered_options rationale rationale_and_alternatives "
            "alternatives alternatives_considered"
        ),
    }.items()
}
"""Headings under which real documents hold what a section name asks for.

Of 2,690 public specifications five have headings that literally read "Scope" and "Acceptance criteria".
"""


class EvidenceKind(StrEnum):
    """Which reader measures an artifact."""

    DOCUMENT = "document"
    COVERAGE = "coverage"
    CHANGES = "changes"
    SUITE = "suite"
    PRESENCE = "presence"


@dataclass(frozen=True, slots=True)
class MinLength:
    characters: int


@dataclass(frozen=True, slots=True)
class RequiredSections:
    """Sections that a document must have, each by its name or an alias."""

    sections: tuple[str, ...]

    def accepted(self, section: str) -> frozenset[str]:
        return SECTION_ALIASES.get(section, frozenset()) | {section}


@dataclass(frozen=True, slots=True)
class MinCoverage:
    """Line coverage in percent."""

    percent: float


@dataclass(frozen=True, slots=True)
class MustHaveTests:
    pass


@dataclass(frozen=True, slots=True)
class AllPassed:
    pass


type Criterion = MinLength | RequiredSections | MinCoverage | MustHaveTests | AllPassed


def evidence_kind(criterion: Criterion) -> EvidenceKind:
    """The reader whose facts answer `criterion`."""
    match criterion:
        case MinLength() | RequiredSections():
            return EvidenceKind.DOCUMENT
        case MinCoverage():
            return EvidenceKind.COVERAGE
        case MustHaveTests():
            return EvidenceKind.CHANGES
        case AllPassed():
            return EvidenceKind.SUITE


@dataclass(frozen=True, slots=True)
class RequiredArtifact:
    """An artifact that a gate asks for, and what it must show.

    Attributes:
        criteria: Empty where its being there and readable is all that is asked.
    """

    type: str
    kind: EvidenceKind
    criteria: tuple[Criterion, ...] = ()


@dataclass(frozen=True, slots=True)
class PhasePolicy:
    """What one phase must show."""

    phase: Phase
    artifacts: tuple[RequiredArtifact, ...]
    tasks_must_be_completed: bool = True

    @property
    def artifact_types(self) -> tuple[str, ...]:
        return tuple(artifact.type for artifact in self.artifacts)

    def without_tasks(self) -> PhasePolicy:
        """The same gate for a working tree that no task queue knows."""
        return replace(self, tasks_must_be_completed=False)


def policy_from_requirements(phase: Phase, requirements: Mapping[str, Any]) -> PhasePolicy:
    """Read one phase's requirements in the specification's form.

    Raises:
        InvalidInput: An unknown key, a wrong type, a number out of range, or a criterion for an artifact
            that is not required: such a gate would check less than its author believes.
    """
    _refuse_unknown(
        phase, requirements, {"required_artifacts", "required_tasks_completed", "validation_criteria"}
    )
    types = requirements.get("required_artifacts", [])
    if not isinstance(types, list) or not types or not all(isinstance(item, str) and item for item in types):
        raise InvalidInput(f"{phase.name}: required_artifacts must be a list of artifact types, at least one")
    tasks = requirements.get("required_tasks_completed", True)
    if not isinstance(tasks, bool):
        raise InvalidInput(f"{phase.name}: required_tasks_completed must be true or false")
    criteria = requirements.get("validation_criteria", {})
    if not isinstance(criteria, dict):
        raise InvalidInput(f"{phase.name}: validation_criteria must map artifact types to criteria")
    _refuse_unknown(phase, criteria, set(types))
    artifacts = (_artifact(phase, type_, criteria.get(type_, {})) for type_ in dict.fromkeys(types))
    return PhasePolicy(phase, tuple(artifacts), tasks)


def _refuse_unknown(phase: Phase, given: Mapping[str, Any], known: set[str]) -> None:
    for key in given:
        if key not in known:
            raise InvalidInput(
                f"{phase.name}: {key!r} is not known here; known are {', '.join(sorted(known))}"
            )


def _artifact(phase: Phase, type_: str, criteria: Mapping[str, Any]) -> RequiredArtifact:
    if not isinstance(criteria, dict):
        raise InvalidInput(f"{phase.name}: the criteria of {type_} must be a mapping")
    read = [
        criterion
        for name, value in criteria.items()
        if (criterion := _criterion(f"{phase.name}: {type_}.{name}", name, value)) is not None
    ]
    kinds = {evidence_kind(criterion) for criterion in read}
    if len(kinds) > 1:
        raise InvalidInput(f"{phase.name}: the criteria of {type_} need different kinds of evidence")
    return RequiredArtifact(type_, kinds.pop() if kinds else EvidenceKind.PRESENCE, tuple(read))


def _criterion(where: str, name: str, value: object) -> Criterion | None:
    match name, value:
        case "min_length", int() if not isinstance(value, bool) and value > 0:
            return MinLength(value)
        case "required_sections", [*names] if names and all(map(_is_section, names)):
            return RequiredSections(tuple(dict.fromkeys(slugify(str(item)) for item in names)))
        case "min_percentage", int() | float() if _is_percentage(value):
            return MinCoverage(float(value))
        case "must_have_tests", bool():
            return MustHaveTests() if value else None
        case "all_passed", bool():
            return AllPassed() if value else None
        case (("min_length" | "required_sections" | "min_percentage" | "must_have_tests" | "all_passed"), _):
            raise InvalidInput(f"{where}: {value!r} is not usable; {_EXPECTED[name]}")
        case _:
            raise InvalidInput(
                f"{where}: there is no such criterion; known are {', '.join(sorted(_EXPECTED))}"
            )


_EXPECTED: Final = {
    "min_length": "write a whole number of characters, 1 or more",
    "required_sections": "write a list of section names",
    "min_percentage": "write a number from 0 to 100",
    "must_have_tests": "write true or false",
    "all_passed": "write true or false",
}


def _is_section(value: object) -> bool:
    return isinstance(value, str) and bool(slugify(value))


def _is_percentage(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= 100  # NaN compares as false


@cache
def built_in_policy(phase: Phase) -> PhasePolicy:
    """The built-in policy of `phase`.

    Raises:
        PhaseHasNoGate: Nothing is reviewed when this phase ends.
    """
    if (requirements := PHASE_GATE_REQUIREMENTS.get(phase)) is None:
        gated = ", ".join(name.name.lower() for name in PHASE_GATE_REQUIREMENTS)
        raise PhaseHasNoGate(f"{phase.value} has no gate; gated phases are {gated}", phase=phase.value)
    return policy_from_requirements(phase, requirements)
