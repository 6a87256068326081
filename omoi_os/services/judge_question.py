"""From what was handed in to what a judge is shown: text that stands somewhere, apart from claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from omoi_os.domain.evidence import Unreadable
from omoi_os.domain.judging import (
    ArtifactText,
    JudgeQuestion,
    artifact_text,
    claims_in,
    criteria_for,
    presentable,
)
from omoi_os.domain.policy import EvidenceKind, PhasePolicy
from omoi_os.domain.rules import Artifact
from omoi_os.domain.verdict import Finding
from omoi_os.evidence.git import GitDiff
from omoi_os.judge.sources import read_text

type Change = Callable[[], GitDiff | Unreadable]


@dataclass(frozen=True, slots=True)
class Ground:
    """Where artifacts stand.

    Attributes:
        root: The snapshot's folder; None where there is no workspace.
        change: What the workspace's git says was changed.
    """

    root: Path | None = None
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a judge is told beside the artifacts; see `JudgeQuestion`."""

    title: str = ""
    description: str = ""
    context: str = ""
    measured: Sequence[Finding] = ()


def question_of(
    policy: PhasePolicy, artifacts: Iterable[Artifact], ground: Ground, told: Told
) -> JudgeQuestion:
    """The question about one phase.

    Raises:
        InvalidInput: Two artifacts are of one type, or the policy names no criterion and its phase has none.
    """
    kinds = {required.type: required.kind for required in policy.artifacts}
    given = list(artifacts)
    return JudgeQuestion(
        phase=policy.phase,
        title=told.title,
        description=told.description,
        criteria=criteria_for(policy.phase, policy.judge),
        artifacts=tuple(_shown(item, kinds.get(item.type), ground) for item in given),
        context=told.context,
        measured=tuple(told.measured),
        claims=tuple(
            claim for item in given for claim in claims_in(item.type, item.content, kinds.get(item.type))
        ),
    )


def _shown(artifact: Artifact, kind: EvidenceKind | None, ground: Ground) -> ArtifactText:
    """As the rules read it: what is in the workspace counts, and not what was handed in beside it."""
    if artifact.broken:
        return ArtifactText(artifact.type, None, problem="the stored content cannot be read")
    if kind is EvidenceKind.CHANGES and ground.change is not None:
        diff = ground.change()
        if isinstance(diff, GitDiff):
            return ArtifactText(artifact.type, presentable(diff.diff.decode("utf-8", "replace")))
    if artifact.path:
        return _file(artifact.type, artifact.path, ground.root)
    text = artifact_text(artifact.content, kind)
    paths = (artifact.content or {}).get("paths")
    if text is None and isinstance(paths, list):
        return ArtifactText(
            artifact.type, None, problem=f"it stands in the files {', '.join(map(str, paths))}"
        )
    return ArtifactText(artifact.type, text)


def _file(name: str, path: str, root: Path | None) -> ArtifactText:
    if root is None:
        return ArtifactText(name, None, path, "there is no workspace to read it from")
    text = read_text(root, path)
    return ArtifactText(name, text, path, "" if text is not None else "the file cannot be read as text")
