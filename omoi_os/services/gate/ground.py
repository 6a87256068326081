"""Where a review reads its evidence: a snapshot of the workspace, and never the workspace itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from omoi_os.domain.evidence import Unreadable
from omoi_os.domain.inputs import UNREADABLE
from omoi_os.domain.policy import EvidenceKind, PhasePolicy, RequiredArtifact
from omoi_os.domain.rules import Artifact
from omoi_os.evidence.git import base_of
from omoi_os.evidence.measure import named_paths, needs_workspace
from omoi_os.evidence.snapshot import Snapshot, take_snapshot, workspace_digest
from omoi_os.store.gates import GateInput

type Pairs = Sequence[tuple[RequiredArtifact, Artifact]]


@dataclass(frozen=True, slots=True)
class Ground:
    """What the workspace is, as digests.

    Attributes:
        workspace: None where nothing is read from it.
        base: The commit that the change is compared with; None where there is no change to compare.
    """

    workspace: str | None = None
    base: str | None = None


def wanted(policy: PhasePolicy, given: GateInput) -> Pairs:
    """The artifacts that are there and asked for, in the policy's order."""
    return [
        (required, given.artifacts[required.type])
        for required in policy.artifacts
        if required.type in given.artifacts
    ]


def reads_workspace(policy: PhasePolicy, given: GateInput) -> bool:
    """Whether any of the evidence stands in the ticket's workspace."""
    return given.workspace_path is not None and needs_workspace(wanted(policy, given))


def ground_now(policy: PhasePolicy, given: GateInput, base: str | None, store: Callable[[], Path]) -> Ground:
    """What the workspace is now, without copying it.

    Args:
        store: The folder of all snapshots, which is not looked at.
    """
    if given.workspace_path is None or not reads_workspace(policy, given):
        return Ground()
    workspace = Path(given.workspace_path)
    digest = workspace_digest(workspace, also=named_paths(wanted(policy, given)), store=store())
    return Ground(_text(digest), _text(base_of(workspace, base)) if _compares(policy) else None)


@contextmanager
def snapshot_of(
    policy: PhasePolicy, given: GateInput, base: str | None, into: Callable[[], Path]
) -> Iterator[tuple[Snapshot | Unreadable | None, Ground]]:
    """A snapshot of the workspace while the block runs, and what it is; None where none is needed."""
    if given.workspace_path is None or not reads_workspace(policy, given):
        yield None, Ground()
        return
    workspace = Path(given.workspace_path)
    taken = take_snapshot(workspace, into(), also=named_paths(wanted(policy, given)))
    if isinstance(taken, Unreadable):
        yield taken, Ground(_text(taken))
        return
    with taken:
        # Refs can be moved as well, back and forth: the base is that of the snapshot, as its change is.
        yield taken, Ground(taken.digest, _text(taken.base(base)) if _compares(policy) else None)


def _compares(policy: PhasePolicy) -> bool:
    return any(item.kind is EvidenceKind.CHANGES for item in policy.artifacts)


def _text(digest: str | Unreadable) -> str:
    return f"{UNREADABLE}{digest.code.value}" if isinstance(digest, Unreadable) else digest
