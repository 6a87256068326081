"""What a judge is asked about."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from omoi_os.domain.judging.quotes import presentable
from omoi_os.domain.phases import Phase
from omoi_os.domain.policy import EvidenceKind, JudgeCriterion
from omoi_os.domain.verdict import Finding
from omoi_os.errors import InvalidInput

EVIDENCE_KEYS: Final = ("content", "text", "report", "diff")
"""Where the text of an artifact stands in its content; whatever else is in there is claimed."""

_NOT_CLAIMED: Final = frozenset({*EVIDENCE_KEYS, "paths"})
_MOST_CLAIMS: Final = 40
_LONGEST_CLAIM: Final = 500
_NOT_IN_NAMES: Final = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ArtifactText:
    """An artifact as a judge may read it.

    Attributes:
        name: How answers call it.
        text: None where there is nothing to read, or it could not be read.
        path: Where it stands in the workspace, which answers may name as well; "" for inline ones.
        problem: Why there is no text, or that it is not all of it, as a clause.
    """

    name: str
    text: str | None
    path: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that a worker says about its own work."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class JudgeQuestion:
    """One phase of one ticket, and what must be true of it.

    Attributes:
        context: What earlier phases handed on. It cannot be quoted: it is not what is judged.
        measured: What the rules found. It cannot be quoted either, and cannot be overruled.
        claims: Shown only when every criterion is answered.

    Raises:
        InvalidInput: There is no criterion, or two things have one name.
    """

    phase: Phase
    title: str
    description: str
    criteria: tuple[JudgeCriterion, ...]
    artifacts: tuple[ArtifactText, ...]
    context: str = ""
    measured: tuple[Finding, ...] = ()
    claims: tuple[Claim, ...] = ()

    def __post_init__(self) -> None:
        if not self.criteria:
            raise InvalidInput("a judge is asked at least one criterion")
        for what, names in (
            ("criteria", [criterion.id for criterion in self.criteria]),
            ("artifacts", [artifact.name for artifact in self.artifacts]),
            ("claims", [claim.id for claim in self.claims]),
        ):
            if len({*names}) < len(names):
                raise InvalidInput(f"two {what} of one question have the same name")

    @property
    def own_words(self) -> tuple[str, ...]:
        """What we say to the judge: an artifact that repeats it shows nothing by that."""
        return tuple(criterion.text for criterion in self.criteria)


def artifact_text(content: Mapping[str, Any] | None, kind: EvidenceKind | None) -> str | None:
    """The text in an artifact's content; None where there are only claims.

    A record, of which it is only asked that it is there, is its own text: nothing else can be judged.
    """
    given = content or {}
    for key in EVIDENCE_KEYS:
        if (value := given.get(key)) is not None:
            return presentable(value if isinstance(value, str) else _json(value))
    if kind is EvidenceKind.PRESENCE and given:
        return presentable(_json(dict(given)))
    return None


def claims_in(
    artifact: str, content: Mapping[str, Any] | None, kind: EvidenceKind | None
) -> tuple[Claim, ...]:
    """What an artifact's content claims beside its text, the first forty and the beginning of each."""
    if kind is EvidenceKind.PRESENCE:
        return ()
    claims: dict[str, Claim] = {}
    for key, value in list((content or {}).items()):
        # Ids stand outside of the fences.
        id_ = _NOT_IN_NAMES.sub("_", f"{artifact[:60]}.{key[:60]}")
        if key in _NOT_CLAIMED or value is None or id_ in claims:
            continue
        claims[id_] = Claim(id_, presentable(f"{key}: {_json(value)}")[:_LONGEST_CLAIM])
        if len(claims) == _MOST_CLAIMS:
            break
    return tuple(claims.values())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)
