"""The built-in policy: what each phase must show where no team says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from pydantic import ValidationError

from omoi_os.domain.phases import Phase
from omoi_os.domain.policy.aliases import SECTION_ALIASES
from omoi_os.domain.policy.document import PhaseFile
from omoi_os.domain.policy.phase import PhasePolicy
from omoi_os.domain.policy.problems import Problem, problems_of
from omoi_os.domain.policy.resolve import PhaseReader
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


def policy_from_requirements(phase: Phase, requirements: Mapping[str, Any]) -> PhasePolicy:
    """Read one phase's requirements in the specification's form.

    Raises:
        InvalidInput: An unknown key, a wrong type, a number out of range, or a criterion for an artifact
            that is not required: such a gate would check less than its author believes.
    """
    written = {"criteria" if key == "validation_criteria" else key: requirements[key] for key in requirements}
    reader = PhaseReader(phase, SECTION_ALIASES)
    try:
        policy = reader.read(PhaseFile.model_validate(written), PhasePolicy(phase, ()))
    except ValidationError as error:
        raise _refused(phase, next(problems_of(error, ("phases", phase.name.lower())))) from None
    if reader.problems:
        raise _refused(phase, reader.problems[0])
    if not policy.artifacts:
        raise InvalidInput(f"{phase.name}: required_artifacts must be a list of artifact types, at least one")
    return policy


def _refused(phase: Phase, problem: Problem) -> InvalidInput:
    where = ".".join(map(str, problem.path[2:-1]))
    return InvalidInput(f"{phase.name}: {where}{': ' if where else ''}{problem.text}")


@cache
def built_in_policy(phase: Phase) -> PhasePolicy:
    """The built-in policy of `phase`.

    Raises:
        PhaseHasNoGate: Nothing is reviewed when this phase ends.
    """
    if (requirements := PHASE_GATE_REQUIREMENTS.get(phase)) is None:
        raise no_gate(phase)
    return policy_from_requirements(phase, requirements)


def no_gate(phase: Phase) -> PhaseHasNoGate:
    gated = ", ".join(name.name.lower() for name in PHASE_GATE_REQUIREMENTS)
    return PhaseHasNoGate(f"{phase.value} has no gate; gated phases are {gated}", phase=phase.value)
