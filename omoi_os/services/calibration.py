"""How far the configured judge can be relied on: it judges work that people have judged before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from omoi_os.domain.calibration import Given, Share
from omoi_os.domain.judging import Opinion
from omoi_os.domain.verdict import Outcome
from omoi_os.errors import InvalidInput
from omoi_os.models.judge_calibration import JudgeCalibration
from omoi_os.services.calibration_cases import Case
from omoi_os.services.calibration_report import Answered, Report, read_answers, write_report
from omoi_os.services.database import DatabaseService
from omoi_os.services.judging import Judge
from omoi_os.store import calibrations

_FOR_GOOD: Final = frozenset({"misconfigured", "quota", "internal", "budget_spent"})
"""Outcomes that the next case would have as well."""

_GIVEN: Final = {Outcome.PASS: Given.MET, Outcome.FAIL: Given.NOT_MET, Outcome.UNKNOWN: Given.INCONCLUSIVE}

type Told = Callable[[int, int], None]


class CalibrationService:
    """Judges labelled cases, goes on where it was broken off, and keeps the newest report of each judge."""

    def __init__(self, db: DatabaseService, judge: Judge) -> None:
        self.db = db
        self.judge = judge

    def calibrate(self, cases: Sequence[Case], path: Path, told: Told = lambda *_: None) -> Report:
        """Judge each case that `path` has no answer for; answers are written there as they come.

        A report that is complete is stored. An answer that failed for a passing reason is asked again.

        Args:
            path: The report as JSON. It is always whole: a run can be broken off at any moment.
            told: Called with the number of judged cases and of all.

        Raises:
            InvalidInput: No judge is configured, the phases have different judges, or `path` holds
                something else.
        """
        report = self._begun(cases, path)
        for case in [case for case in cases if case.id not in report.answers]:
            told(len(report.answers), len(cases))
            policy = replace(case.policy.judge, criteria=case.question.criteria)
            opinion = self.judge.opinion(case.question, None, policy)
            if opinion.outcome in _FOR_GOOD:
                report.stopped = opinion.findings[0].sentence()
                return report
            report.answers[case.id] = _answered(case, opinion)
            write_report(path, report.as_dict(cases))
        write_report(path, report.as_dict(cases))
        self._store(report, cases)
        return report

    def wrong_passes(self, model: str, prompts_digest: str) -> Share | None:
        """The wrong passes in the newest report on a judge, for `may_block`; None without."""
        with self.db.get_session() as session:
            row = calibrations.latest(session, model, prompts_digest)
        return Share(**row.report["summary"]["every"]["wrong_passes"]) if row else None

    def _begun(self, cases: Sequence[Case], path: Path) -> Report:
        names = {self.judge.models(case.policy.judge) for case in cases}
        if not self.judge.configured or names == {""}:
            raise InvalidInput("no judge is configured; set OMOI_JUDGE_MODEL and OMOI_JUDGE_API_KEY")
        if len(names) > 1:
            raise InvalidInput(
                f"the policy asks different judges here ({', '.join(sorted(names))}); calibrate one"
                " phase after the other"
            )
        report = Report(names.pop(), self.judge.prompts_digest)
        known = {case.id: case.digest for case in cases}
        for answered in read_answers(path, report):
            if known.get(answered.case) == answered.digest and not answered.can_retry:
                report.answers[answered.case] = answered
        return report

    def _store(self, report: Report, cases: Sequence[Case]) -> None:
        stored = report.as_dict(cases)
        del stored["answers"]
        row = JudgeCalibration(
            model=report.model,
            prompts_digest=report.prompts_digest,
            cases_digest=stored["cases_digest"],
            report=stored,
        )
        with self.db.get_session() as session:
            calibrations.add(session, row)


def _answered(case: Case, opinion: Opinion) -> Answered:
    found = {finding.criterion: finding.outcome for finding in opinion.findings}
    given = {criterion: _GIVEN[found.get(f"judge.{criterion}", Outcome.UNKNOWN)] for criterion in case.labels}
    return Answered(case.id, case.digest, given, opinion.outcome, opinion.can_retry, opinion.usage)
