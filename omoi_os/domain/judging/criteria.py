"""What a judge is asked in each phase where the policy names nothing: few, each one a question of fact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from omoi_os.domain.phases import Phase
from omoi_os.domain.policy import JudgeCriterion, JudgePolicy

BUILT_IN_CRITERIA: Final[Mapping[Phase, tuple[JudgeCriterion, ...]]] = {
    Phase.REQUIREMENTS: (
        JudgeCriterion("covers_ticket", "The requirements cover everything that the ticket asks for."),
        JudgeCriterion("bounded", "What is not to be done is said, or follows clearly from what is."),
        JudgeCriterion(
            "checkable",
            "Somebody else could decide of each acceptance criterion, by looking or by running something,"
            " whether it holds.",
        ),
    ),
    Phase.DESIGN: (
        JudgeCriterion(
            "answers_requirements", "Each requirement of the phase before has a place in the design."
        ),
        JudgeCriterion("decided", "Each decision names what was chosen, why, and what was given up."),
        JudgeCriterion(
            "buildable",
            "The parts, the data that passes between them and what happens when one fails are described so"
            " that somebody else could build them.",
        ),
    ),
    Phase.IMPLEMENTATION: (
        JudgeCriterion("does_it", "The changed code does what the ticket asks for."),
        JudgeCriterion(
            "finished",
            "The change leaves no stub, no fixed answer in the place of a computation and no piece of the"
            " ticket for later.",
        ),
        JudgeCriterion(
            "tests_bite", "The tests of the change would fail if what they test were taken out or broken."
        ),
    ),
    Phase.TESTING: (
        JudgeCriterion("criteria_tested", "Each acceptance criterion is exercised by a test that ran."),
        JudgeCriterion(
            "failures_tested", "Wrong input and failing parts are tested, not only the good case."
        ),
        JudgeCriterion(
            "report_of_this", "The report comes from a run of this work's tests, not of another project's."
        ),
    ),
    Phase.DEPLOYMENT: (
        JudgeCriterion("what_and_where", "It is recorded which version was deployed, where and when."),
        JudgeCriterion("way_back", "It is recorded how the deployment is undone."),
        JudgeCriterion("smoke_real", "The smoke tests exercised what was deployed, where it was deployed."),
    ),
}


def criteria_for(phase: Phase, policy: JudgePolicy) -> tuple[JudgeCriterion, ...]:
    """The policy's own criteria, or the built-in ones where it names none."""
    return policy.criteria or BUILT_IN_CRITERIA.get(phase, ())
