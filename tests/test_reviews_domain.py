"""When a review is tried again, and what follows a verdict: tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omoi_os.domain.policy import built_in_policy
from omoi_os.domain.policy.phase import Advance
from omoi_os.domain.reviews import (
    OUTAGES,
    Again,
    Next,
    Tried,
    WorkLeft,
    again,
    blocked_reason,
    fix_description,
    phase_after,
    what_follows,
)
from omoi_os.domain.verdict import Finding, Outcome, Severity
from omoi_os.models.phases import PHASE_SEQUENCE, Phase

POLICY = built_in_policy(Phase.TESTING)
NOTHING = Tried(0, 0)
NONE, SOME, DEAD = WorkLeft.NONE, WorkLeft.SOME, WorkLeft.FAILED


@pytest.mark.parametrize("code", sorted(OUTAGES))
def test_an_outage_is_waited_for_without_end_and_is_no_attempt(code: str) -> None:
    pauses = [again(code, Tried(2, waits), POLICY, 15.0, can_retry=True) for waits in range(2000)]
    assert all(pause is not None and not pause.counts for pause in pauses)
    assert [pause.seconds for pause in pauses[:6] if pause] == [15, 30, 60, 120, 240, 300]
    assert max(pause.seconds for pause in pauses if pause) == 300


@pytest.mark.parametrize("code", ["evidence_changed", "workspace_changed", "review_failed"])
def test_what_may_end_differently_by_itself_is_tried_as_often_as_the_policy_says(code: str) -> None:
    policy = replace(POLICY, max_attempts=3)
    tried = [again(code, Tried(done, 0), policy, 15.0, can_retry=False) for done in range(4)]
    assert tried == [Again(15.0, counts=True), Again(30.0, counts=True), None, None]


def test_an_outage_that_cannot_end_by_itself_is_not_waited_for() -> None:
    assert again("budget_spent", NOTHING, POLICY, 1.0, can_retry=False) is None


def test_a_judge_that_may_do_better_is_tried_again() -> None:
    assert again("stuck", NOTHING, POLICY, 1.0, can_retry=True) == Again(1.0, counts=True)


@pytest.mark.parametrize(
    "code",
    ["judge_missing", "misconfigured", "quota", "refused", "nothing_to_check", "review_cancelled", "?", None],
)
def test_what_only_a_person_can_mend_is_not_tried_again(code: str | None) -> None:
    assert again(code, NOTHING, POLICY, 1.0, can_retry=False) is None


def test_a_policy_of_one_attempt_tries_once() -> None:
    assert again("stuck", NOTHING, replace(POLICY, max_attempts=1), 1.0, can_retry=True) is None


@pytest.mark.parametrize(
    ("status", "fixes", "work", "follows"),
    [
        ("passed", 0, NONE, Next.ADVANCE),
        ("passed", 9, NONE, Next.ADVANCE),
        ("failed", 0, NONE, Next.FIX),
        ("failed", 1, NONE, Next.FIX),
        ("failed", 2, NONE, Next.BLOCK),
        ("failed", 3, NONE, Next.BLOCK),
        ("failed", 0, SOME, Next.WAIT_FOR_WORK),
        ("failed", 9, SOME, Next.WAIT_FOR_WORK),
        ("failed", 0, DEAD, Next.BLOCK),
        ("passed", 0, DEAD, Next.ADVANCE),
        ("inconclusive", 0, DEAD, Next.WAIT_FOR_PERSON),
        ("inconclusive", 0, NONE, Next.WAIT_FOR_PERSON),
        ("inconclusive", 0, SOME, Next.WAIT_FOR_PERSON),
        ("pending", 0, NONE, Next.WAIT_FOR_PERSON),
        ("anything else", 0, NONE, Next.WAIT_FOR_PERSON),
    ],
)
def test_what_follows_a_verdict(status: str, fixes: int, work: WorkLeft, follows: Next) -> None:
    assert what_follows(status, POLICY, fixes=fixes, work=work) is follows


def test_only_a_pass_moves_a_ticket_and_only_where_the_policy_lets_it() -> None:
    by_hand = replace(POLICY, advance=Advance.MANUAL)
    assert what_follows("passed", by_hand, fixes=0) is Next.WAIT_FOR_PERSON
    every = [
        what_follows(status, POLICY, fixes=0, work=work)
        for status in ("failed", "inconclusive", "")
        for work in WorkLeft
    ]
    assert Next.ADVANCE not in every


def test_each_phase_leads_to_the_next() -> None:
    ways = {phase: phase_after(phase) for phase in PHASE_SEQUENCE[:-1]}
    assert ways[Phase.DEPLOYMENT] is Phase.DONE
    assert list(ways.values()) == PHASE_SEQUENCE[1:]


def finding(code: str, outcome: Outcome = Outcome.FAIL, severity: Severity = Severity.BLOCK) -> Finding:
    return Finding(
        f"a.{code}", outcome, code, f"found {code}", "needed", fix=f"Mend {code}.", severity=severity
    )


def test_a_fix_names_what_failed_by_its_id_and_nothing_that_is_only_told() -> None:
    bad, told, good = finding("bad"), finding("told", severity=Severity.WARN), finding("good", Outcome.PASS)
    unsure = finding("unsure", Outcome.UNKNOWN)
    stored = [item.as_dict() for item in (told, good, bad, unsure)]
    text = fix_description(Phase.TESTING, stored, "The judge says so.", iteration=2, of=3)
    assert f"[{bad.id}] a.bad: found bad; needed: needed. Mend bad." in text
    assert "testing" in text
    assert "review 2 of 3" in text
    assert "The judge says so." in text
    assert not any(word in text for word in ("told", "good", "unsure"))


def test_a_fix_is_bounded_and_says_what_it_left_out() -> None:
    many = [finding(f"c{number}").as_dict() for number in range(80)]
    text = fix_description(Phase.TESTING, many, "x" * 100_000, iteration=1, of=3)
    assert "and 30 more" in text
    assert len(text) < 20_000


def test_a_finding_survives_being_stored() -> None:
    for item in (
        finding("a"),
        finding("b", Outcome.UNKNOWN, Severity.WARN),
        replace(finding("c"), waiver="w1"),
    ):
        assert Finding.from_dict(item.as_dict()) == item


def test_why_a_person_is_needed_is_short() -> None:
    reasons = [f"reason {number}" for number in range(9)]
    text = blocked_reason(Phase.DESIGN, reasons, iterations=3)
    assert text.startswith("3 reviews of design failed, so a person is needed.")
    assert "reason 2" in text
    assert "reason 3" not in text
    assert text.endswith("(and 6 more) Mend it, then move the ticket back to design: that asks for a review.")
