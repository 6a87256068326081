"""Reviews that need a judge: a model that is away leads to no pass and to no verdict, until it is back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from omoi_os.faults import POINTS, Kind
from omoi_os.judge.scripted import Answer, Request, ScriptedModel, fails, finish, hangs_up, says
from tests.evidence_texts import REQUIREMENTS
from tests.faults.fleet import Fleet, Member
from tests.faults.load import START, new_ticket, simple_templates, work_off

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

CRITERIA = ("covers_ticket", "bounded", "checkable")
QUOTE = next(line for line in REQUIREMENTS.splitlines() if len(line) > 40)
ON_THE_WAY = ("hand_on", "step_hand_on", "stage")
SLOW = 240.0
"""Seconds for a worker on a busy machine to load the agent's library."""


class Model:
    """A model that is away until it is told to be back."""

    def __init__(self) -> None:
        self.away: str | None = "503"
        self.asked = 0

    def __call__(self, request: Request) -> Answer:
        self.asked += 1
        if self.away == "503":
            return fails(503)
        if self.away == "hangs up":
            return hangs_up()
        # The last one counts: a conversation goes on where the outage ended it.
        codes = re.findall(r"in `review`: ([0-9a-f]{8})\.", request.text())
        answers = [
            {
                "criterion": criterion,
                "answer": "met",
                "quote": QUOTE,
                "where": "requirements_document",
                "reasoning": "It stands there.",
            }
            for criterion in CRITERIA
        ]
        return says(None, finish(review=codes[-1], answers=answers))


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def server(model: Model) -> Iterator[ScriptedModel]:
    with ScriptedModel(model) as server:
        yield server


def judging(fleet: Fleet, server: ScriptedModel, fault: str = "") -> Member:
    return fleet.worker(
        fault,
        OMOI_JUDGE_MODEL="openai/scripted",
        OMOI_JUDGE_BASE_URL=server.url,
        OMOI_JUDGE_API_KEY="sk-scripted-0123456789",
    )


def test_an_outage_of_the_model_costs_no_attempt_and_ends_in_verdicts_by_itself(
    fleet: Fleet, model: Model, server: ScriptedModel
) -> None:
    simple_templates(fleet)
    tickets = [new_ticket(fleet) for _ in range(3)]
    judging(fleet, server)
    fleet.ready()
    for ticket in tickets:
        work_off(fleet, ticket, plain=True)
    for away in ("503", "hangs up"):
        model.away = away
        seen = _waits(fleet)
        fleet.until("all were tried again", lambda seen=seen: _all_above(_waits(fleet), seen), SLOW)  # type: ignore[misc]
        assert {row[:2] for row in _reviews(fleet)} == {("pending", 0)}
        assert {row[2] for row in _reviews(fleet)} == {"unavailable"}
    model.away = None
    fleet.until("all are decided", lambda: "pending" not in {row[0] for row in _reviews(fleet)}, SLOW)
    codes = "SELECT gate_status, validation_result ->> 'code' FROM phase_gate_results"
    assert set(fleet.rows(codes)) == {("passed", None)}
    fleet.until("the tickets moved", lambda: not fleet.rows(_STAYED), SLOW)


@pytest.mark.parametrize("kind", list(Kind))
def test_workers_that_fail_on_the_way_to_the_judge_leave_the_review_to_others(
    fleet: Fleet, server: ScriptedModel, kind: Kind
) -> None:
    simple_templates(fleet)
    for point in (point for point in POINTS if point.partition(".")[0] in ON_THE_WAY):
        work_off(fleet, ticket := new_ticket(fleet))
        # Only this review: one that met an error of each worker would use up its attempts.
        asked = "SELECT id FROM phase_gate_results WHERE ticket_id = %(id)s"
        ((review,),) = fleet.rows(asked, {"id": ticket})
        faulty = judging(fleet, server, f"{point}@{review}={kind}:1")
        fleet.until(f"{point} is met", lambda: f'"point": "{point}"' in faulty.said)  # noqa: B023
        if kind is not Kind.HANG:
            faulty.kill()
    # One without a model, which decides by the rules: it need not load the agent's library.
    fleet.worker()
    fleet.until("all moved on", lambda: not fleet.rows(_STAYED))
    decided = fleet.rows("SELECT payload ->> 'result_id' FROM events WHERE event_type = 'gate.decided'")
    assert len(decided) == len(set(decided)) == len(fleet.rows("SELECT id FROM tickets"))


_STAYED = f"SELECT id FROM tickets WHERE phase_id = '{START.value}'"


def _waits(fleet: Fleet) -> list[int]:
    return [row[3] for row in _reviews(fleet)]


def _all_above(now: list[int], before: list[int]) -> bool:
    return all(one > other for one, other in zip(now, before, strict=True))


def _reviews(fleet: Fleet) -> list[tuple[str, int, str, int]]:
    rows = fleet.rows("SELECT gate_status, attempt, waits_for, waits FROM phase_gate_results ORDER BY seq")
    return [(row[0], row[1], row[2], row[3]) for row in rows]
