"""Secrets, taken out of what a judge is shown and of what it says.

What is shown loses the secrets that this process knows, letter by letter: more would make quotes that nobody
finds. What is stored afterwards loses whatever looks like a secret, too.
"""

from __future__ import annotations

from dataclasses import replace

from omoi_os.domain.judging import Answer, ClaimAnswer, ClaimCheck, Examination, JudgeQuestion, Opinion
from omoi_os.judge.environment import prepare, without_known_secrets, without_secrets


def question_to_show(question: JudgeQuestion, key: str) -> JudgeQuestion:
    """The question without the secrets of this process, and without the model's key."""
    prepare()  # what it takes out of the environment is what is known

    def clean(text: str) -> str:
        return without_known_secrets(text, key)

    return replace(
        question,
        title=clean(question.title),
        description=clean(question.description),
        context=clean(question.context),
        artifacts=tuple(
            replace(
                item,
                text=None if item.text is None else clean(item.text),
                path=clean(item.path),
                problem=clean(item.problem),
            )
            for item in question.artifacts
        ),
        measured=tuple(
            replace(
                finding,
                found=clean(finding.found),
                needed=clean(finding.needed),
                artifact=clean(finding.artifact),
                fix=clean(finding.fix),
            )
            for finding in question.measured
        ),
        claims=tuple(replace(claim, text=clean(claim.text)) for claim in question.claims),
    )


def opinion_to_store(opinion: Opinion, key: str) -> Opinion:
    """The opinion without anything that looks like a secret."""
    findings = tuple(
        replace(finding, found=without_secrets(finding.found, key)) for finding in opinion.findings
    )
    given, claims = opinion.examination, opinion.claims
    return replace(
        opinion,
        findings=findings,
        examination=given
        and Examination(review=given.review, answers=[_cleaned(answer, key) for answer in given.answers]),
        claims=claims
        and ClaimCheck(review=claims.review, claims=[_cleaned(answer, key) for answer in claims.claims]),
    )


def _cleaned[T: (Answer, ClaimAnswer)](answer: T, key: str) -> T:
    said = ("quote", "where", "no_quote_because", "reasoning")
    return answer.model_copy(update={name: without_secrets(getattr(answer, name), key) for name in said})
