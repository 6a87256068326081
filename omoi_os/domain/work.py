"""What a worker agent says about its own work, and the task's result that is made of it: claims, all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

MOST_POINTS: Final = 50
MOST_ARTIFACTS: Final = 50

type Point = Annotated[str, Field(min_length=1, max_length=2_000)]
type Points = Annotated[list[Point], Field(max_length=MOST_POINTS)]
type Problem = Callable[[str], str | None]
"""Why a path cannot be an artifact; None where it can."""


class TaskReport(BaseModel):
    """What a worker agent says about its own work: a claim, never evidence."""

    model_config = ConfigDict(extra="forbid")

    done: bool = Field(description="Whether the task is finished.")
    report: str = Field(min_length=1, max_length=20_000, description="What was done and what is left.")


class Claims(BaseModel):
    """What is said of an artifact. The gate compares it with what it measures, and believes none of it."""

    model_config = ConfigDict(extra="forbid")

    percentage: float | None = Field(default=None, ge=0, le=100, description="Of lines that tests cover.")
    has_tests: bool | None = Field(default=None, description="Whether the change comes with tests.")
    all_passed: bool | None = Field(default=None, description="Whether all tests that ran passed.")


class Artifact(BaseModel):
    """One thing that the task was to bring."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(
        min_length=1, max_length=100, description="As the phase's requirements name it, such as code_changes."
    )
    path: str | None = Field(
        default=None, max_length=4_096, description="Where it stands in the workspace; a file that exists."
    )
    content: str | None = Field(
        default=None, max_length=200_000, description="The thing itself, where there is no workspace."
    )
    claims: Claims | None = Field(
        default=None, description="What you know of it; leave out what you do not. It is measured anyway."
    )


class WorkReport(TaskReport):
    """What is handed in when a task ends. What later phases must know stands in its lists."""

    decisions: Points = Field(default=[], description="What was decided, each with its reason.")
    risks: Points = Field(default=[], description="What may go wrong later.")
    notes: Points = Field(default=[], description="What else whoever goes on must know.")
    artifacts: list[Artifact] = Field(default=[], max_length=MOST_ARTIFACTS)


def problems_of(report: WorkReport, problem: Problem | None) -> list[str]:
    """What is wrong with a report, as sentences for the agent.

    Args:
        problem: Asked of each path; None where there is no workspace.
    """
    return [found for artifact in report.artifacts for found in _problems(artifact, problem)]


def result_of(report: WorkReport) -> dict[str, Any]:
    """The report as a task's result: the gate collects its artifacts, and later phases are told the rest."""
    lists = {"decisions": report.decisions, "risks": report.risks, "notes": report.notes}
    return {
        "summary": report.report,
        "context": {name: points for name, points in lists.items() if points},
        "artifacts": [_entry(artifact) for artifact in report.artifacts],
    }


def _entry(artifact: Artifact) -> dict[str, Any]:
    """As the gate collects it: claims stand in the content, beside the text where there is one."""
    entry = artifact.model_dump(exclude_none=True)
    if claims := entry.pop("claims", None):
        text = {"content": artifact.content} if artifact.content is not None else {}
        entry["content"] = text | claims
    return entry


def _problems(artifact: Artifact, problem: Problem | None) -> Iterator[str]:
    name = f"artifact {artifact.type[:100]!r}"
    if not artifact.type.strip():
        yield f"{name}: name its type"
    if (artifact.path is None) == (artifact.content is None):
        yield f"{name}: give its path or its content, one of them"
    elif artifact.path is not None:
        found = "there is no workspace; give its content" if problem is None else problem(artifact.path)
        if found is not None:
            yield f"{name} at {artifact.path[:200]!r}: {found}"
