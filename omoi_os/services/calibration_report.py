"""What came of a calibration, and the file in which it stands while it goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from omoi_os.domain.calibration import Agreement, Given, Judged, agreement, by_criterion, whole_case
from omoi_os.domain.inputs import digest_of
from omoi_os.domain.judging import JudgeUsage
from omoi_os.domain.strict_json import read_json
from omoi_os.errors import InvalidInput
from omoi_os.services.calibration_cases import Case

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Answered:
    """What the judge said of one case.

    Attributes:
        digest: Of the case, as it was then.
        given: By criterion.
        outcome: How the conversation ended.
    """

    case: str
    digest: str
    given: dict[str, Given]
    outcome: str
    can_retry: bool
    usage: JudgeUsage


@dataclass(slots=True)
class Report:
    """The answers so far, and what they amount to.

    Attributes:
        stopped: Why the cases that are left were not judged; "" where none is left.
    """

    model: str
    prompts_digest: str
    answers: dict[str, Answered] = field(default_factory=dict)
    stopped: str = ""

    def judged(self, cases: Sequence[Case]) -> dict[str, list[Judged]]:
        """The labelled criteria of each answered case."""
        return {
            case.id: [
                Judged(criterion, label, self.answers[case.id].given.get(criterion, Given.INCONCLUSIVE))
                for criterion, label in case.labels.items()
            ]
            for case in cases
            if case.id in self.answers
        }

    def summary(self, cases: Sequence[Case]) -> Summary:
        """What the answers amount to."""
        judged = self.judged(cases)
        every = [one for group in judged.values() for one in group]
        usage = JudgeUsage(cost_usd=0.0)
        for name in judged:
            usage = usage.plus(self.answers[name].usage)
        return Summary(
            agreement(every),
            agreement([whole_case(group) for group in judged.values()]),
            by_criterion(every),
            usage,
            len(judged),
        )

    def as_dict(self, cases: Sequence[Case]) -> dict[str, Any]:
        return {
            "version": VERSION,
            "model": self.model,
            "prompts_digest": self.prompts_digest,
            "cases_digest": cases_digest(cases),
            "complete": all(case.id in self.answers for case in cases),
            "summary": self.summary(cases).as_dict(),
            "answers": [asdict(answered) for answered in self.answers.values()],
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """Agreement over all criteria, over whole cases, and by criterion.

    Attributes:
        whole: A case is met if all its criteria are, as a gate would open.
        cases: How many were judged.
    """

    every: Agreement
    whole: Agreement
    criteria: dict[str, Agreement]
    usage: JudgeUsage
    cases: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def cases_digest(cases: Sequence[Case]) -> str:
    """SHA-256 over all cases, in their order."""
    return digest_of([case.digest for case in cases])


def read_answers(path: Path, report: Report) -> list[Answered]:
    """What an earlier run on the same judge wrote; nothing where there is no file.

    Raises:
        InvalidInput: The file is something else, or of another judge.
    """
    try:
        stored = read_json(path.read_bytes())
        answers = [_stored_answer(item) for item in stored["answers"]]
        before = (stored["version"], stored["model"], stored["prompts_digest"])
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidInput(f"{path}: the report cannot be read ({error.strerror})") from None
    except (InvalidInput, LookupError, TypeError, ValueError):
        raise InvalidInput(f"{path}: this is no report of a calibration; name another file") from None
    if before != (VERSION, report.model, report.prompts_digest):
        raise InvalidInput(
            f"{path}: this is a report on another model or other prompts ({before[1]}); name another file"
        )
    return answers


def _stored_answer(item: dict[str, Any]) -> Answered:
    given = {criterion: Given(answer) for criterion, answer in item["given"].items()}
    return Answered(**{**item, "given": given, "usage": JudgeUsage(**item["usage"])})


def write_report(path: Path, content: dict[str, Any]) -> None:
    """Put a report in the place of the one before, whole or not at all."""
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise InvalidInput(f"{path}: the report cannot be written ({error.strerror})") from None
