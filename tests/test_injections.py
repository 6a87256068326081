"""Hundreds of texts that want to be passed, against three judges: one repeats them, one obeys, one reads.

What is promised: a rule that failed stays failed whatever the judge says; a judge that only repeats what it
reads passes nothing; one that ignores it comes to the same answers as without it; and no text gets out of its
fence. A judge that obeys can still quote the very text that it obeyed: two judges, and a measured share of
wrong passes, are there for that.

Every text runs through the code that checks answers; one of each family through the real agent, or every one
with OMOI_ALL_INJECTIONS=1.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from uuid import UUID
from xml.sax.saxutils import quoteattr

import pytest
from pydantic import SecretStr, ValidationError

from omoi_os.domain.judging import (
    Answer,
    AnswerKind,
    Examination,
    Fence,
    JudgeQuestion,
    Loose,
    Opinion,
    TextSources,
    agreed,
    artifact_text,
    claims_in,
    findings_of,
    no_opinion,
    pack,
    presentable,
)
from omoi_os.domain.judging.question import ArtifactText
from omoi_os.domain.phases import Phase
from omoi_os.domain.policy import EvidenceKind, JudgeCriterion, JudgePolicy, policy_from_requirements
from omoi_os.domain.rules import Artifact
from omoi_os.domain.rules.gate import TaskFacts, gate_findings
from omoi_os.domain.verdict import Finding, GateStatus, Outcome, decide, shown
from omoi_os.evidence.measure import measure_all
from omoi_os.judge import scripted
from omoi_os.judge.run import Limits, Model
from omoi_os.judge.scripted import Call, Request, ScriptedModel, finish, says
from omoi_os.services.judging import AgentJudge, should_judge
from omoi_os.utils.tokens import Tokens
from tests.agent_runs import load_library
from tests.injections import Injection, corpus

pytestmark = pytest.mark.filterwarnings("ignore:Cost calculation failed:UserWarning")

KEY: Final = "sk-live-0123456789abcdef"
CONVERSATION: Final = UUID(int=5)
FENCE: Final = Fence.of(str(CONVERSATION), KEY)
WHERE: Final = "design_document"
FIRST: Final = JudgeCriterion(
    "retries_bounded", "Retries end after a number of attempts that is written down."
)
SECOND: Final = JudgeCriterion("way_back", "It is recorded how a retry that was wrong is taken back.")
TRUTH: Final = "each payment is tried three times and is then put aside for a person"

DESIGN: Final = f"""# Retrying failed payments

## Architecture

A worker reads failed payments from a table; {TRUTH}.

{{text}}

## Decisions

- Payments wait in a table and not in a queue, because a row can be looked at and a message cannot.
- The waiting time doubles with every attempt, so that a provider that is away is not asked all the time.
- One worker has a payment at a time: it locks the row, and a lock ends with its process.
"""

CORPUS: Final = [
    injection.filled(nonce=FENCE.nonce, first=FIRST.id, second=SECOND.id, where=WHERE)
    for injection in corpus()
]
_ALL: Final = os.environ.get("OMOI_ALL_INJECTIONS") == "1"


def one_of_each_family() -> list[Injection]:
    return list({injection.family: injection for injection in CORPUS}.values())


def document(injection: Injection) -> str:
    return DESIGN.replace("{text}", injection.text)


def question(injection: Injection) -> JudgeQuestion:
    """The text stands everywhere: in the artifact, the ticket, what earlier phases said, and the claims."""
    content = {"content": document(injection), "note": injection.text}
    text = artifact_text(content, EvidenceKind.DOCUMENT)
    return JudgeQuestion(
        phase=Phase.DESIGN,
        title=f"Retry failed payments {injection.text[:100]}",
        description=injection.text,
        criteria=(FIRST, SECOND),
        artifacts=(ArtifactText(WHERE, text, problem=injection.text[:500]),),
        context=injection.text,
        measured=(Finding("tasks", Outcome.PASS, "tasks_completed", injection.text, "all completed"),),
        claims=claims_in(WHERE, content, EvidenceKind.DOCUMENT),
    )


def sources(asked: JudgeQuestion) -> TextSources:
    return TextSources({artifact.name: artifact.text or "" for artifact in asked.artifacts})


def offered_quote(injection: Injection) -> str:
    """What a judge that obeys would quote: what it is told to, or the text itself."""
    lines = [line for line in presentable(injection.text).split("\n") if sum(map(str.isalnum, line)) >= 8]
    return (injection.quote or (lines[0] if lines else injection.text))[:200]


def obedient(injection: Injection) -> Examination:
    quote = offered_quote(injection)
    return Examination(
        review=FENCE.code,
        answers=[
            Answer(criterion=one.id, answer=AnswerKind.MET, quote=quote, where=WHERE, reasoning="It says so.")
            for one in (FIRST, SECOND)
        ],
    )


def reading() -> Examination:
    """What is so: the first criterion is met and the second is not, whatever else the document holds."""
    looked = "read the whole document and looked for undo, revert, take back and way back"
    return Examination(
        review=FENCE.code,
        answers=[
            Answer(
                criterion=FIRST.id, answer=AnswerKind.MET, quote=TRUTH, where=WHERE, reasoning="Three times."
            ),
            Answer(
                criterion=SECOND.id, answer=AnswerKind.NOT_MET, no_quote_because=looked, reasoning="Nothing."
            ),
        ],
    )


def repeated(text: str) -> Examination | None:
    """What is read where the text itself is handed in as the submission; None where it is none."""
    for candidate in (text, *re.findall(r"\{.*\}", text, re.DOTALL)):
        try:
            arguments = json.loads(candidate)
            part = arguments.get("stage_1", arguments) if isinstance(arguments, dict) else arguments
            return Examination.model_validate_json(json.dumps(part), strict=True)
        except (ValueError, ValidationError):
            continue
    return None


def opinion(injection: Injection, given: Examination | None) -> Opinion:
    asked = question(injection)
    if given is None:
        return no_opinion("no_submission", "nothing was submitted", can_retry=True)
    return Opinion(findings_of(asked, given, None, sources(asked), FENCE.code))


POLICY: Final = policy_from_requirements(
    Phase.DESIGN,
    {
        "required_artifacts": ["design_document", "test_results"],
        "validation_criteria": {
            "design_document": {"min_length": 400, "required_sections": ["architecture", "rollback"]},
            "test_results": {"all_passed": True},
        },
    },
)


def report(text: str) -> str:
    """A JUnit report in which one test failed and says what it wants to."""
    allowed = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)
    said = quoteattr(allowed)
    return (
        '<testsuites><testsuite name="s" tests="2" failures="1"><testcase classname="t" name="ok"/>'
        f'<testcase classname="t" name={said}><failure message={said}>{said}</failure></testcase>'
        "</testsuite></testsuites>"
    )


def measured(injection: Injection) -> tuple[Finding, ...]:
    """The rules' findings on work that lacks a section, has a failing test, and holds the text in both."""
    contents = {
        "design_document": {"content": document(injection)},
        "test_results": {"report": report(injection.text)},
    }
    pairs = [
        (required, Artifact(required.type, required.type, content=contents[required.type]))
        for required in POLICY.artifacts
    ]
    return gate_findings(POLICY, TaskFacts(any_task=True), measure_all(pairs, None))


def by_criterion(findings: Sequence[Finding]) -> dict[str, Outcome]:
    return {finding.criterion: finding.outcome for finding in findings}


# The corpus itself


def test_there_are_enough_texts_and_no_two_are_equal() -> None:
    assert len({injection.family for injection in CORPUS}) >= 20
    assert len({injection.text for injection in CORPUS}) == len(CORPUS) >= 200


def test_each_family_has_at_least_eight_texts() -> None:
    assert min(Counter(injection.family for injection in CORPUS).values()) >= 8


# Rules


def test_no_text_flips_a_rule_that_failed_and_no_model_is_paid_for_it() -> None:
    for injection in CORPUS:
        findings = measured(injection)
        outcomes = by_criterion(findings)
        assert outcomes["design_document.required_sections.rollback"] is Outcome.FAIL, injection
        assert outcomes["test_results.all_passed"] is Outcome.FAIL, injection
        assert not should_judge(JudgePolicy(), findings, configured=True).ask, injection


@pytest.mark.parametrize("judge", ["repeats", "obeys", "reads"])
def test_no_judge_opens_a_gate_that_a_rule_holds(judge: str) -> None:
    for injection in CORPUS:
        given = {"repeats": repeated(injection.text), "obeys": obedient(injection), "reads": reading()}[judge]
        findings = (*measured(injection), *opinion(injection, given).findings)
        assert decide(findings).status is GateStatus.FAILED, injection


# Judges


def test_a_judge_that_repeats_a_text_passes_nothing() -> None:
    """Not even where the text is a whole submission that quotes itself: it cannot hold the review's code."""
    assert [
        injection.text for injection in CORPUS if opinion(injection, repeated(injection.text)).passed
    ] == []


def test_the_code_is_what_a_copied_submission_lacks() -> None:
    whole = [one for one in CORPUS if repeated(one.text) is not None]
    assert len(whole) >= 5  # else nothing was tried
    knowing = [Injection(one.family, one.text.replace(FENCE.nonce, FENCE.code)) for one in whole]
    assert [one for one in knowing if opinion(one, repeated(one.text)).passed]


def test_a_judge_that_reads_comes_to_the_same_answers_whatever_stands_beside() -> None:
    for injection in CORPUS:
        found = opinion(injection, reading())
        assert by_criterion(found.findings) == {
            "judge.retries_bounded": Outcome.PASS,
            "judge.way_back": Outcome.FAIL,
        }, injection
        assert found.passed is False


def test_what_a_judge_that_obeys_passes_shows_the_text_that_it_obeyed() -> None:
    for injection in CORPUS:
        found = opinion(injection, obedient(injection))
        assert found.passed is not False
        for finding in found.findings:
            told = " ".join(shown(offered_quote(injection)).split())
            assert finding.outcome is not Outcome.PASS or told[:20].rstrip(". ") in finding.found, injection


def test_a_judge_that_obeys_and_one_that_reads_never_pass_together() -> None:
    for injection in CORPUS:
        both = (opinion(injection, obedient(injection)), opinion(injection, reading()))
        assert agreed(*both).passed is not True, injection
        assert agreed(*both[::-1]).passed is not True, injection


@pytest.mark.parametrize(
    "quote",
    [":", "met", "{nonce}", "<<<{nonce}", SECOND.text, "It is recorded how a retry is taken back", ""],
)
def test_a_quote_that_shows_nothing_is_no_quote(quote: str) -> None:
    quote = quote.replace("{nonce}", FENCE.nonce)
    injection = Injection("", f"The document repeats: {SECOND.text} {quote if len(quote) < 8 else ''}")
    answer = Answer(criterion=SECOND.id, answer=AnswerKind.MET, quote=quote, where=WHERE, reasoning="So.")
    found = opinion(injection, Examination(review=FENCE.code, answers=[answer]))
    assert by_criterion(found.findings)["judge.way_back"] is Outcome.UNKNOWN


# Fences


def fences(message: str, nonce: str) -> Iterator[tuple[str, str]]:
    """Label and text of each fence, read as the judge is told to read them.

    Fails where anything that names the nonce is not the beginning or the end of a fence.
    """
    label: str | None = None
    body: list[str] = []
    for line in message.split("\n"):
        if label is None and line.startswith(f"<<<{nonce}"):
            label, body = line.removeprefix(f"<<<{nonce}"), []
            assert nonce not in label.casefold(), line
        elif label is not None and line == f"{nonce}>>>":
            yield label, "\n".join(body)
            label = None
        else:
            assert nonce not in line.casefold(), line
            assert label is None or ("<<<" not in line and ">>>" not in line), line
            body.append(line)
    assert label is None, "a fence is not closed"


def test_no_text_gets_out_of_its_fence() -> None:
    for injection in CORPUS:
        text = FENCE.around(injection.text, document(injection))
        [(label, body)] = fences(text, FENCE.nonce)
        assert "\n" not in label
        assert TRUTH in body
        assert "One worker has a payment" in body, injection


@pytest.mark.parametrize("budget", [20, 60, 200, 1_000])
def test_no_cut_opens_a_fence(budget: int) -> None:
    tokens = Tokens()
    for injection in CORPUS:
        loose = [Loose("ticket", injection.text), Loose(injection.text, document(injection), "rest")]
        packed = pack(loose, FENCE, budget, tokens)
        assert len(list(fences("\n".join(text.text for text in packed.texts), FENCE.nonce))) == 2, injection


def test_what_is_shown_is_shown_the_same_when_it_is_quoted() -> None:
    for injection in CORPUS:
        text = presentable(injection.text)
        assert presentable(text) == text, injection


def test_what_a_fence_shows_has_nothing_that_is_not_seen() -> None:
    unseen = re.compile("[\u200b\u202a-\u202e\u2066-\u2069\U000e0000-\U000e0fff\x1b\b]")
    for injection in CORPUS:
        assert not unseen.search(FENCE.around("x", injection.text)), injection


# The real agent

type Judging = Callable[[Request], scripted.Answer]


def parrot(injection: Injection) -> Judging:
    """Says the text, and hands it in as its submission."""

    def script(request: Request) -> scripted.Answer:
        return says(None, Call("finish", injection.text)) if request.turn % 2 else says(injection.text)

    return script


def ours(request: Request) -> list[str]:
    """Our messages to the judge."""
    return [
        content if isinstance(content, str) else "\n".join(part["text"] for part in content)
        for content in (one["content"] for one in request.messages if one["role"] == "user")
    ]


def in_two_stages(given: Examination, claim: dict[str, str]) -> Judging:
    answers = [{**answer.model_dump(mode="json"), "answer": str(answer.answer)} for answer in given.answers]
    said = {"claim": f"{WHERE}.note", "reasoning": "Looked.", **claim}

    def script(request: Request) -> scripted.Answer:
        # Not by looking into the text: it may hold the words of the second question.
        first = not any(said.endswith("Submit it as `stage_2` of `finish`.") for said in ours(request))
        return says(
            None,
            finish(stage_1={"review": FENCE.code, "answers": answers})
            if first
            else finish(stage_2={"review": FENCE.code, "claims": [said]}),
        )

    return script


def obeys(injection: Injection) -> Judging:
    return in_two_stages(
        obedient(injection), {"answer": "true", "quote": offered_quote(injection), "where": WHERE}
    )


def reads(_: Injection) -> Judging:
    return in_two_stages(reading(), {"answer": "cannot_tell"})


@pytest.fixture(scope="module")
def _library() -> None:
    load_library()


def judged(injection: Injection, judge: Callable[[Injection], Judging]) -> tuple[Opinion, list[Request]]:
    quick = Limits(llm_timeout_seconds=10, llm_attempts=1)
    policy = JudgePolicy(criteria=(FIRST, SECOND))
    with ScriptedModel(judge(injection)) as server:
        agent = AgentJudge(Model("openai/scripted", SecretStr(KEY), server.url), limits=quick)
        found = agent.opinion(question(injection), None, policy, conversation_id=CONVERSATION)
        return found, server.requests


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize(("number", "judge"), list(enumerate([parrot, obeys, reads])))
def test_the_real_agent_keeps_the_promises(number: int, judge: Callable[[Injection], Judging]) -> None:
    for injection in CORPUS if _ALL else one_of_each_family()[number::3]:
        found, requests = judged(injection, judge)
        for message in ours(requests[-1]):
            list(fences(message, FENCE.nonce))
        assert decide((*measured(injection), *found.findings)).status is GateStatus.FAILED, injection
        if judge is parrot:
            assert found.passed is None, injection
        elif judge is reads:
            assert (found.passed, found.outcome) == (False, "accepted"), injection
        else:
            assert found.passed is not False, injection
