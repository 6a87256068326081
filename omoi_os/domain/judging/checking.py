"""Answers, checked one by one: the problems that a judge is told, and the findings that come of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from omoi_os.domain.judging.answers import Answer, AnswerKind, ClaimAnswer, ClaimCheck, ClaimKind, Examination
from omoi_os.domain.judging.question import JudgeQuestion
from omoi_os.domain.judging.quotes import SHORTEST_QUOTE, Sources, flaw_of_quote
from omoi_os.domain.policy import JudgeCriterion
from omoi_os.domain.verdict import Finding, Outcome, Severity

_CHANGE = "Change what was found, or add what is missing."
_ATTACH = "Attach what shows it, or say where it stands."
_JUDGE_AGAIN = "Have the phase reviewed again."


def examination_problems(
    question: JudgeQuestion, given: Examination, sources: Sources, code: str
) -> list[str]:
    """What is wrong with the answers to the criteria, as sentences for the judge; empty for nothing.

    Args:
        code: That of this review.
    """
    asked = [criterion.id for criterion in question.criteria]
    problems = _of_code(given.review, code)
    problems += _counted("criterion", asked, [answer.criterion for answer in given.answers])
    for answer in given.answers:
        if flaw := _flaw(answer, question, sources):
            problems.append(f"criterion {answer.criterion[:80]!r}, {answer.answer}: {flaw}")
    return problems


def claim_problems(question: JudgeQuestion, given: ClaimCheck, sources: Sources, code: str) -> list[str]:
    """What is wrong with the answers to the claims, as sentences for the judge; empty for nothing."""
    asked = [claim.id for claim in question.claims]
    problems = _of_code(given.review, code)
    problems += _counted("claim", asked, [answer.claim for answer in given.claims])
    for answer in given.claims:
        if flaw := _flaw_of_claim(answer, question, sources):
            problems.append(f"claim {answer.claim[:80]!r}, {answer.answer}: {flaw}")
    return problems


def findings_of(
    question: JudgeQuestion, given: Examination, claims: ClaimCheck | None, sources: Sources, code: str
) -> tuple[Finding, ...]:
    """One finding for each criterion, in their order, and one for each claim that is false.

    Nothing is taken on trust, though the answers were checked when they were submitted: a criterion passes
    only where exactly one answer of this review says so, with a quote that stands where it is said to.
    """
    answers = given.answers if given.review == code else []
    found = [_of_criterion(criterion, answers, question, sources) for criterion in question.criteria]
    return (*found, *_false_claims(question, claims, sources))


def _of_code(given: str, code: str) -> list[str]:
    # The right one is not repeated here: whoever has read the instructions has it.
    return [] if given == code else ["`review` is not the code of this review"]


def _counted(what: str, asked: Sequence[str], answered: Sequence[str]) -> list[str]:
    counts = Counter(answered)
    missing = [f"{what} {name!r} is not answered" for name in asked if not counts[name]]
    twice = [f"{what} {name!r} is answered {counts[name]} times" for name in asked if counts[name] > 1]
    known = {*asked}
    strange = [f"there is no {what} {name[:80]!r}" for name in counts if name not in known]
    return [*missing, *twice, *strange]


def _flaw(answer: Answer, question: JudgeQuestion, sources: Sources) -> str:
    match answer.answer:
        case AnswerKind.CANNOT_TELL:
            return ""
        case AnswerKind.MET:
            return _flaw_of_quote(answer, question, sources)
        case AnswerKind.NOT_MET:
            return _flaw_of_shortcoming(answer, question, sources)


def _flaw_of_claim(answer: ClaimAnswer, question: JudgeQuestion, sources: Sources) -> str:
    match answer.answer:
        case ClaimKind.CANNOT_TELL:
            return ""
        case ClaimKind.TRUE:
            return _flaw_of_quote(answer, question, sources)
        case ClaimKind.FALSE:
            return _flaw_of_shortcoming(answer, question, sources)


def _flaw_of_quote(answer: Answer | ClaimAnswer, question: JudgeQuestion, sources: Sources) -> str:
    return flaw_of_quote(answer.quote, answer.where, sources, question.own_words)


def _flaw_of_shortcoming(answer: Answer | ClaimAnswer, question: JudgeQuestion, sources: Sources) -> str:
    """What is missing cannot be quoted; then it must be said what was looked for."""
    if answer.quote.strip():
        return _flaw_of_quote(answer, question, sources)
    if sum(map(str.isalnum, answer.no_quote_because)) < SHORTEST_QUOTE:
        return "quote what shows it, or say in `no_quote_because` why nothing can be quoted"
    return ""


def _of_criterion(
    criterion: JudgeCriterion, answers: Sequence[Answer], question: JudgeQuestion, sources: Sources
) -> Finding:
    own = [answer for answer in answers if answer.criterion == criterion.id]
    if len(own) != 1:
        code = "judge_answered_twice" if own else "judge_did_not_answer"
        found = f"the judge answered {len(own)} times" if own else "the judge did not answer"
        return _unknown(criterion, code, found)
    answer = own[0]
    if flaw := _flaw(answer, question, sources):
        return _unknown(criterion, "judge_quote_unproven", flaw)
    where = answer.where if answer.quote.strip() else ""
    match answer.answer:
        case AnswerKind.MET:
            return replace(_finding(criterion, Outcome.PASS, "judge_met", _said(answer)), artifact=where)
        case AnswerKind.NOT_MET:
            short = _finding(criterion, Outcome.FAIL, "judge_not_met", _said(answer))
            return replace(short, artifact=where, fix=_CHANGE)
        case AnswerKind.CANNOT_TELL:
            said = f"the judge cannot tell: {_bounded(answer.reasoning)}"
            return _unknown(criterion, "judge_cannot_tell", said, _ATTACH)


def _unknown(criterion: JudgeCriterion, code: str, found: str, fix: str = _JUDGE_AGAIN) -> Finding:
    return replace(_finding(criterion, Outcome.UNKNOWN, code, found), fix=fix)


def _finding(criterion: JudgeCriterion, outcome: Outcome, code: str, found: str) -> Finding:
    return Finding(f"judge.{criterion.id}", outcome, code, found, criterion.text.rstrip(". "))


def _false_claims(question: JudgeQuestion, given: ClaimCheck | None, sources: Sources) -> Iterator[Finding]:
    """As with the rules, a false claim is told and does not decide: the criteria do."""
    texts = {claim.id: claim.text for claim in question.claims}
    for answer in given.claims if given else ():
        if answer.answer is not ClaimKind.FALSE or answer.claim not in texts:
            continue
        if _flaw_of_claim(answer, question, sources):
            continue
        yield Finding(
            f"judge.claim.{answer.claim}",
            Outcome.FAIL,
            "claim_false",
            f"claimed is “{texts[answer.claim][:120]}”; {_said(answer)}",
            "claims that agree with the work",
            answer.where if answer.quote.strip() else "",
            "Correct the claim.",
            Severity.WARN,
        )


def _said(answer: Answer | ClaimAnswer) -> str:
    shown = (
        f" (“{_bounded(answer.quote, 160)}”)"
        if answer.quote.strip()
        else f" ({_bounded(answer.no_quote_because, 160)})"
    )
    return _bounded(answer.reasoning) + shown


def _bounded(text: str, most: int = 240) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= most else f"{line[:most].rstrip()}…"
