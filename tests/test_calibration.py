"""Agreement with labels: the numbers, the file of cases, a run that is broken off, and the command."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from omoi_os.domain.calibration import (
    Given,
    Judged,
    Label,
    Share,
    agreement,
    by_criterion,
    may_block,
    whole_case,
)
from omoi_os.domain.judging import JudgeQuestion, JudgeUsage, Opinion, no_opinion
from omoi_os.domain.policy import JudgePolicy, built_in
from omoi_os.domain.verdict import Finding, Outcome
from omoi_os.errors import InvalidInput
from omoi_os.judge.run import Model
from omoi_os.judge.scripted import Answer, Request, ScriptedModel, fails, finish, says
from omoi_os.services.budgeted_judge import BudgetedJudge
from omoi_os.services.budgets import BudgetLimits, BudgetService
from omoi_os.services.calibration import CalibrationService
from omoi_os.services.calibration_cases import Case, CasesInvalid, read_cases
from omoi_os.services.calibration_report import Report
from omoi_os.services.database import DatabaseService
from omoi_os.services.judging import AgentJudge
from tests.command import omoi

MET, NOT_MET, NONE = Given.MET, Given.NOT_MET, Given.INCONCLUSIVE


def judged(label: Label, given: Given, count: int = 1, criterion: str = "a") -> list[Judged]:
    return [Judged(criterion, label, given)] * count


def table(met_met: int, met_not: int, not_met: int, not_not: int) -> list[Judged]:
    """Labels in rows and answers in columns."""
    return (
        judged(Label.MET, MET, met_met)
        + judged(Label.MET, NOT_MET, met_not)
        + judged(Label.NOT_MET, MET, not_met)
        + judged(Label.NOT_MET, NOT_MET, not_not)
    )


# Numbers


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [
        # Worked by hand: (observed - expected) / (1 - expected).
        ((20, 5, 10, 15), 0.4),  # 0.70 and 0.50
        ((45, 15, 25, 15), 12 / 92),  # 0.60 and 0.54
        ((25, 35, 5, 35), 28 / 108),  # 0.60 and 0.46: the same agreement, other margins
        ((10, 0, 0, 10), 1.0),
        ((0, 10, 10, 0), -1.0),
        ((5, 5, 5, 5), 0.0),
        ((9, 0, 1, 0), 0.0),  # who always says the same knows nothing
    ],
)
def test_kappa_is_what_it_is_by_hand(counts: tuple[int, int, int, int], kappa: float) -> None:
    assert agreement(table(*counts)).kappa == pytest.approx(kappa)


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (7, 0, 0, 0), (0, 0, 0, 7)])
def test_kappa_is_not_known_where_chance_alone_agrees(counts: tuple[int, int, int, int]) -> None:
    assert agreement(table(*counts)).kappa is None


@pytest.mark.parametrize(
    ("count", "trials", "low", "high"),
    [
        # Wilson's score interval without a correction, to four places.
        (0, 10, 0.0, 0.2775),
        (1, 10, 0.0179, 0.4042),
        (5, 10, 0.2366, 0.7634),
        (8, 10, 0.4902, 0.9433),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (50, 100, 0.4038, 0.5962),
        (15, 148, 0.0624, 0.1605),
        (0, 73, 0.0, 0.0500),
    ],
)
def test_the_interval_is_the_one_of_the_tables(count: int, trials: int, low: float, high: float) -> None:
    share = Share.of(count, trials)
    assert share.low == pytest.approx(low, abs=5e-5)
    assert share.high == pytest.approx(high, abs=5e-5)


def test_the_interval_holds_its_share_and_narrows_with_trials() -> None:
    for trials in range(1, 60):
        for count in range(trials + 1):
            share = Share.of(count, trials)
            assert 0.0 <= share.low <= count / trials <= share.high <= 1.0
            assert Share.of(count * 4, trials * 4).high <= share.high


def test_without_any_trial_nothing_is_known() -> None:
    none = Share.of(0, 0)
    assert (none.share, none.low, none.high) == (None, 0.0, 1.0)
    found = agreement([])
    assert (found.agreed.share, found.kappa) == (None, None)


def test_what_is_inconclusive_agrees_with_nobody() -> None:
    found = agreement([*judged(Label.MET, NONE, 3), *judged(Label.NOT_MET, NONE, 2), *table(1, 0, 0, 1)])
    assert (found.agreed.count, found.agreed.trials) == (2, 7)
    assert found.inconclusive.count == 5
    assert found.kappa == pytest.approx((2 / 7 - 7 / 49) / (1 - 7 / 49))


def test_a_judge_does_not_look_safer_by_saying_less() -> None:
    honest = agreement(table(0, 0, 2, 8)).wrong_passes
    evasive = agreement([*table(0, 0, 2, 8), *judged(Label.NOT_MET, NONE, 90)]).wrong_passes
    assert evasive == honest == Share.of(2, 10)


def test_wrong_answers_are_counted_of_the_work_that_they_are_wrong_about() -> None:
    found = agreement(table(met_met=6, met_not=2, not_met=1, not_not=3))
    assert found.wrong_passes == Share.of(1, 4)
    assert found.wrong_fails == Share.of(2, 8)


def test_each_criterion_is_counted_alone() -> None:
    found = by_criterion([*judged(Label.MET, MET, 2, "b"), *judged(Label.MET, NOT_MET, 1, "a")])
    assert list(found) == ["b", "a"]
    assert (found["b"].agreed.count, found["a"].agreed.count) == (2, 0)


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ([MET, MET], MET),
        ([MET, NOT_MET], NOT_MET),
        ([MET, NONE], NONE),
        ([NONE, NOT_MET], NOT_MET),
        ([NONE, NONE], NONE),
        ([], NONE),
    ],
)
def test_a_whole_case_is_what_a_gate_would_be(given: list[Given], whole: Given) -> None:
    found = whole_case([Judged("a", Label.MET, one) for one in given])
    assert (found.given, found.label) == (whole, Label.MET)


@pytest.mark.parametrize(
    ("most", "wrong_passes", "may"),
    [
        (None, None, True),
        (None, Share.of(9, 10), True),
        (5.0, None, False),  # it was never tried
        (5.0, Share.of(0, 0), False),
        (5.0, Share.of(0, 72), False),  # none seen, but 5.07 % are possible
        (5.0, Share.of(0, 73), True),
        (10.0, Share.of(0, 34), False),
        (10.0, Share.of(0, 35), True),
        (10.0, Share.of(5, 100), False),  # 5 % seen, 11.2 % possible
        (100.0, Share.of(10, 10), True),
    ],
)
def test_the_upper_end_of_the_interval_decides(
    most: float | None, wrong_passes: Share | None, may: bool
) -> None:
    assert may_block(most, wrong_passes) is may


# Cases

CRITERIA = [{"id": "bounded", "text": "Retries end."}, {"id": "undone", "text": "It can be taken back."}]


def case(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "phase": "design",
        "criteria": CRITERIA,
        "artifacts": [
            {"type": "design_document", "content": f"Case {name}: retries end after the third time."}
        ],
        "labels": {"bounded": "met", "undone": "not_met"},
        **changes,
    }


def written(folder: Path, *cases: dict[str, Any] | str) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in cases) + "\n")
    return path


def test_a_case_asks_what_is_labelled_and_nothing_else(tmp_path: Path) -> None:
    whole = case("1", claims=["It was tried out."], labels={"undone": "not_met"})
    record = {"type": "design_document", "content": {"content": "text", "length": 600}}
    built = case("2", criteria=[], artifacts=[record], labels={"decided": "met"})
    first, second = read_cases(written(tmp_path, whole, "", built), built_in())
    assert [criterion.id for criterion in first.question.criteria] == ["undone"]
    assert [claim.text for claim in first.question.claims] == ["It was tried out."]
    assert [criterion.id for criterion in second.question.criteria] == ["decided"]
    assert [claim.id for claim in second.question.claims] == ["design_document.length"]
    assert second.question.artifacts[0].text == "text"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[]", "the line"),
        ('{"id": "x", "id": "y"}', "twice"),
        (json.dumps(case("x", phase="coffee")), "coffee"),
        (json.dumps(case("x", phase="backlog")), "has no gate"),
        (json.dumps(case("x", labels={"bounded": "yes"})), "labels.bounded"),
        (json.dumps(case("x", labels={})), "labels"),
        (json.dumps(case("x", labels={"other": "met"})), "'other'"),
        (json.dumps(case("x", artifacts=[])), "artifacts"),
        (json.dumps(case("x", artifacts=[{"type": "a", "content": 3}])), "artifacts.0.content"),
        (json.dumps(case("x", criteria=[CRITERIA[0], CRITERIA[0]], labels={"bounded": "met"})), "same name"),
        (json.dumps(case("x", verdict="passed")), "verdict"),
        (json.dumps(case("x") | {"id": 3}), "id"),
        (json.dumps(case("ok")), "above already"),
        ("\xff".encode("latin-1").decode("latin-1"), "JSON"),
    ],
)
def test_each_mistake_is_told_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = written(tmp_path, case("ok"), line)
    with pytest.raises(CasesInvalid) as raised:
        read_cases(path, built_in())
    first = raised.value.message.splitlines()[0]
    assert first.startswith(f"{path}:2: ")
    assert said in raised.value.message


def test_every_mistake_is_told_at_once_up_to_a_number(tmp_path: Path) -> None:
    with pytest.raises(CasesInvalid) as raised:
        read_cases(written(tmp_path, *["{"] * 50), built_in())
    assert len(raised.value.message.splitlines()) == 21


def test_a_file_without_cases_or_without_being_there_is_told(tmp_path: Path) -> None:
    for path in (written(tmp_path, ""), tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(CasesInvalid):
            read_cases(path, built_in())


# Runs


@dataclass
class Judge:
    """A judge whose answers are given; what is not given it cannot tell."""

    answers: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    name: str = "model-a"
    prompts_digest: str = "0" * 64
    asked: list[str] = field(default_factory=list)

    @property
    def configured(self) -> bool:
        return bool(self.name)

    def models(self, policy: JudgePolicy) -> str:
        return policy.model or self.name

    def opinion(
        self,
        question: JudgeQuestion,
        root: Path | None,
        policy: JudgePolicy,
        *,
        conversation_id: UUID | None = None,
    ) -> Opinion:
        assert root is None
        assert conversation_id is None
        assert policy.criteria == question.criteria
        name = question.title.removeprefix("Case ")
        self.asked.append(name)
        if outcome := self.ends.get(name):
            return no_opinion(outcome, "it did not work", can_retry=outcome == "rate_limited")
        given = self.answers.get(name, {})
        findings = [
            Finding(f"judge.{one.id}", given.get(one.id, Outcome.UNKNOWN), "x", "x", "x")
            for one in question.criteria
        ]
        return Opinion(tuple(findings), usage=JudgeUsage(100, 10, 0.5, 1))

    def stop(self, _conversation_id: UUID) -> None:
        raise AssertionError("nobody cancels a calibration")


GOOD = {"bounded": Outcome.PASS, "undone": Outcome.FAIL}
WRONG = {"bounded": Outcome.PASS, "undone": Outcome.PASS}


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    return read_cases(written(tmp_path, case("1"), case("2"), case("3")), built_in())


def run(db: DatabaseService, judge: Judge, cases: Sequence[Case], path: Path) -> Report:
    return CalibrationService(db, judge).calibrate(cases, path)


def test_a_report_is_stored_and_the_newest_one_counts(
    db_service: DatabaseService, cases: list[Case], tmp_path: Path
) -> None:
    judge = Judge({"1": GOOD, "2": GOOD, "3": WRONG})
    summary = run(db_service, judge, cases, tmp_path / "r.json").summary(cases)
    assert summary.every.agreed == Share.of(5, 6)
    assert summary.whole.wrong_passes == Share.of(1, 3)
    assert (summary.usage.cost_usd, summary.usage.prompt_tokens) == (1.5, 300)
    service = CalibrationService(db_service, judge)
    assert service.wrong_passes("model-a", "0" * 64) == Share.of(1, 3)
    judge.answers["3"] = GOOD
    run(db_service, judge, cases, tmp_path / "again.json")
    assert service.wrong_passes("model-a", "0" * 64) == Share.of(0, 3)
    assert service.wrong_passes("model-b", "0" * 64) is None
    assert service.wrong_passes("model-a", "1" * 64) is None


def test_a_run_goes_on_where_it_was_broken_off(
    db_service: DatabaseService, cases: list[Case], tmp_path: Path
) -> None:
    judge, path = Judge(dict.fromkeys("123", GOOD), {"3": "quota"}), tmp_path / "r.json"
    stopped = run(db_service, judge, cases, path)
    assert "it did not work" in stopped.stopped
    assert json.loads(path.read_text())["complete"] is False
    assert CalibrationService(db_service, judge).wrong_passes("model-a", "0" * 64) is None
    judge.ends.clear()
    report = run(db_service, judge, cases, path)
    assert judge.asked == ["1", "2", "3", "3"]
    assert report.summary(cases).every.agreed == Share.of(6, 6)
    assert json.loads(path.read_text())["complete"] is True


def test_what_may_end_otherwise_is_asked_again_and_what_changed_too(
    db_service: DatabaseService, cases: list[Case], tmp_path: Path
) -> None:
    judge, path = Judge(dict.fromkeys("123", GOOD), {"2": "rate_limited"}), tmp_path / "r.json"
    first = run(db_service, judge, cases, path).summary(cases)
    assert (first.every.agreed, first.every.inconclusive) == (Share.of(4, 6), Share.of(2, 6))
    assert first.usage.cost_usd is None  # of one call it is not known
    judge.ends.clear()
    changed = [replace(cases[0], digest="other"), *cases[1:]]
    run(db_service, judge, changed, path)
    assert judge.asked == ["1", "2", "3", "1", "2"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": 1}', '{"answers": [{}]}', '{"answers": 3, "version": 1}']
)
def test_a_file_that_is_no_report_is_not_written_over(
    db_service: DatabaseService, cases: list[Case], tmp_path: Path, content: str
) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    judge = Judge()
    with pytest.raises(InvalidInput):
        run(db_service, judge, cases, path)
    assert path.read_text() == content
    assert not judge.asked


@pytest.mark.parametrize("change", [{"name": "model-b"}, {"prompts_digest": "1" * 64}])
def test_a_report_on_another_judge_is_not_gone_on_with(
    db_service: DatabaseService, cases: list[Case], tmp_path: Path, change: dict[str, Any]
) -> None:
    run(db_service, Judge(), cases, tmp_path / "r.json")
    with pytest.raises(InvalidInput, match="another model or other prompts"):
        run(db_service, replace(Judge(), **change), cases, tmp_path / "r.json")


def test_a_judge_that_is_not_there_or_not_one_is_refused(
    db_service: DatabaseService, cases: list[Case], tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="OMOI_JUDGE_MODEL"):
        run(db_service, Judge(name=""), cases, tmp_path / "r.json")
    other = replace(cases[1].policy, judge=JudgePolicy(model="model-b"))
    mixed = [cases[0], replace(cases[1], policy=other)]
    with pytest.raises(InvalidInput, match="model-a, model-b"):
        run(db_service, Judge(), mixed, tmp_path / "r.json")


# The command

KEY = "sk-live-0123456789abcdef"


def answers(request: Request) -> Answer:
    """Takes every document that speaks of a third time to be bounded; of one it says what is wrong."""
    code = re.findall(r"in `review`: (\w+)", request.text())[0]
    quote = {"quote": "retries end after the third time", "where": "design_document", "reasoning": "So."}
    none = {"no_quote_because": "looked for a way to take it back", "reasoning": "Nothing."}
    undone = quote | {"answer": "met"} if "Case 2:" in request.text() else none | {"answer": "not_met"}
    given = [{"criterion": "bounded", "answer": "met", **quote}, {"criterion": "undone", **undone}]
    return says(None, finish(review=code, answers=given))


def settings(url: str) -> dict[str, str]:
    return {"OMOI_JUDGE_MODEL": "openai/scripted", "OMOI_JUDGE_API_KEY": KEY, "OMOI_JUDGE_BASE_URL": url}


def test_a_calibration_stops_when_the_money_for_today_is_spent(
    db_service: DatabaseService, cases: list[Case], tmp_path: Path
) -> None:
    budgets = BudgetService(db_service, BudgetLimits(usd_per_day=0.0))
    judge = BudgetedJudge(AgentJudge(Model("openai/scripted", SecretStr(KEY))), budgets)
    report = CalibrationService(db_service, judge).calibrate(cases, tmp_path / "report.json")
    assert (report.answers, "may cost $1.00" in report.stopped) == ({}, True)


def test_the_command_judges_cases_and_goes_on_after_an_outage(
    db_service: DatabaseService, tmp_path: Path
) -> None:
    database = db_service.engine.url.render_as_string(hide_password=False)
    database = database.replace("postgresql+psycopg", "postgresql")
    path = written(tmp_path, case("1"), case("2"))
    with ScriptedModel(lambda _: fails(401, f"no such key: {KEY}")) as model:
        stopped = omoi(
            "judge", "calibrate", path, cwd=tmp_path, OMOI_DATABASE_URL=database, **settings(model.url)
        )
    assert (stopped.returncode, "run it again" in stopped.stderr) == (3, True), stopped.stderr
    assert KEY not in stopped.stdout + stopped.stderr
    with ScriptedModel(answers) as model:
        done = omoi(
            "judge", "calibrate", path, cwd=tmp_path, OMOI_DATABASE_URL=database, **settings(model.url)
        )
        assert len(model.requests) == 2
    assert done.returncode == 0, done.stderr
    assert "75.0 %" in done.stdout
    assert "50.0 % (9-91; 1/2)" in done.stdout
    report = json.loads((tmp_path / "cases.jsonl.report.json").read_text())
    assert report["complete"] is True
    assert KEY not in json.dumps(report)


def test_the_command_names_the_lines_of_mistakes(tmp_path: Path) -> None:
    done = omoi("judge", "calibrate", written(tmp_path, case("1"), "{"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cases.jsonl:2: " in done.stderr
