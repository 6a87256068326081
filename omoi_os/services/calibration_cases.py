"""Labelled cases: one JSON object on each line of a file, and every mistake told with its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omoi_os.domain.calibration import Label
from omoi_os.domain.inputs import digest_of
from omoi_os.domain.judging import (
    ArtifactText,
    Claim,
    JudgeQuestion,
    artifact_text,
    claims_in,
    criteria_for,
    presentable,
)
from omoi_os.domain.phases import parse_phase
from omoi_os.domain.policy import JudgeCriterion, PhasePolicy, Policy
from omoi_os.domain.strict_json import read_json
from omoi_os.errors import InvalidInput

_BIGGEST: Final = 200_000_000
_MOST_PROBLEMS: Final = 20
type _Name = Annotated[str, Field(min_length=1, max_length=200)]


class CasesInvalid(InvalidInput):
    """The file of cases cannot be used; each line of the message says where, and why."""

    code = "cases_invalid"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Criterion(_Strict):
    id: _Name
    text: str = Field(min_length=1, max_length=2_000)


class _Artifact(_Strict):
    type: _Name
    content: str | dict[str, Any]


class _Case(_Strict):
    id: _Name
    phase: str
    title: str = ""
    description: str = ""
    criteria: list[_Criterion] = []
    artifacts: list[_Artifact] = Field(min_length=1)
    claims: list[str] = []
    labels: dict[str, Annotated[Label, Field(strict=False)]] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Case:
    """Work that people have judged.

    Attributes:
        policy: Of its phase, with the case's own criteria where it has any.
        labels: What people say, by criterion; each one is asked.
        digest: Over the line as it is understood.
    """

    id: str
    policy: PhasePolicy
    question: JudgeQuestion
    labels: dict[str, Label]
    digest: str


def read_cases(path: Path, policy: Policy) -> list[Case]:
    """The cases of a file.

    Raises:
        CasesInvalid: One line for each thing that is wrong, as `file:line: what`.
    """
    cases: dict[str, Case] = {}
    problems: list[str] = []
    for number, line in _lines(path):
        try:
            case = _case(line, policy)
        except ValidationError as error:
            problems += [f"{path}:{number}: {text}" for text in _sentences(error)]
        except InvalidInput as error:
            problems.append(f"{path}:{number}: {error.message.replace('the body', 'the line')}")
        else:
            if case.id in cases:
                problems.append(f"{path}:{number}: there is a case {case.id!r} above already")
            cases[case.id] = case
    if not cases and not problems:
        problems.append(f"{path}: there is no case in it; write one JSON object per line")
    if len(problems) > _MOST_PROBLEMS:
        problems[_MOST_PROBLEMS:] = [f"{path}: and {len(problems) - _MOST_PROBLEMS:,} more"]
    if problems:
        raise CasesInvalid("\n".join(problems))
    return list(cases.values())


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            content = file.read(_BIGGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        raise CasesInvalid(f"{path}: the cases cannot be read ({reason})") from None
    if len(content) > _BIGGEST:
        raise CasesInvalid(f"{path}: the file is larger than {_BIGGEST:,} bytes; split it")
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            yield number, line


def _case(line: bytes, policies: Policy) -> Case:
    content = read_json(line)
    given = _Case.model_validate(content)
    policy = policies.of(parse_phase(given.phase))
    own = tuple(JudgeCriterion(criterion.id, criterion.text) for criterion in given.criteria)
    criteria = own or criteria_for(policy.phase, policy.judge)
    if strange := given.labels.keys() - {criterion.id for criterion in criteria}:
        known = ", ".join(criterion.id for criterion in criteria)
        raise InvalidInput(f"labels: there is no criterion {min(strange)!r}; there are {known}")
    # An answer that nobody labelled shows nothing, and would be paid for.
    asked = tuple(criterion for criterion in criteria if criterion.id in given.labels)
    question = _question(given, policy, asked)
    return Case(
        given.id, policy, question, given.labels, digest_of([content, [[c.id, c.text] for c in asked]])
    )


def _question(given: _Case, policy: PhasePolicy, criteria: tuple[JudgeCriterion, ...]) -> JudgeQuestion:
    kinds = {artifact.type: artifact.kind for artifact in policy.artifacts}
    shown: list[ArtifactText] = []
    claims: list[Claim] = []
    for artifact in given.artifacts:
        kind = kinds.get(artifact.type)
        content = {"content": artifact.content} if isinstance(artifact.content, str) else artifact.content
        shown.append(ArtifactText(artifact.type, artifact_text(content, kind)))
        claims += claims_in(artifact.type, content, kind)
    claims += [
        Claim(f"claim_{number}", presentable(text)) for number, text in enumerate(given.claims, start=1)
    ]
    return JudgeQuestion(
        policy.phase,
        given.title or f"Case {given.id}",
        given.description,
        criteria,
        tuple(shown),
        claims=tuple(claims),
    )


def _sentences(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        f"{'.'.join(map(str, one['loc'])) or 'the line'}: {one['msg'][:1].lower()}{one['msg'][1:]}"
        for one in found
    ]
