"""Judging without a judge in it: what is asked, what may be answered, and what the answers amount to. Pure.

A judge has no verdict. It says of each criterion whether it is met and quotes where that stands; whether the
quote stands there is looked up here, and the opinion is computed.
"""

from omoi_os.domain.judging.answers import Answer, AnswerKind, ClaimAnswer, ClaimCheck, ClaimKind, Examination
from omoi_os.domain.judging.checking import claim_problems, examination_problems, findings_of
from omoi_os.domain.judging.criteria import BUILT_IN_CRITERIA, criteria_for
from omoi_os.domain.judging.fence import Fence, Fenced, Loose, Packed, pack
from omoi_os.domain.judging.opinion import JudgeUsage, Opinion, agreed, no_opinion
from omoi_os.domain.judging.question import ArtifactText, Claim, JudgeQuestion, artifact_text, claims_in
from omoi_os.domain.judging.quotes import Sources, TextSources, flaw_of_quote, presentable

__all__ = [
    "BUILT_IN_CRITERIA",
    "Answer",
    "AnswerKind",
    "ArtifactText",
    "Claim",
    "ClaimAnswer",
    "ClaimCheck",
    "ClaimKind",
    "Examination",
    "Fence",
    "Fenced",
    "JudgeQuestion",
    "JudgeUsage",
    "Loose",
    "Opinion",
    "Packed",
    "Sources",
    "TextSources",
    "agreed",
    "artifact_text",
    "claim_problems",
    "claims_in",
    "criteria_for",
    "examination_problems",
    "findings_of",
    "flaw_of_quote",
    "no_opinion",
    "pack",
    "presentable",
]
