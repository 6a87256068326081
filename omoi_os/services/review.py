"""The main job: review a folder as it stands, with the evidence that is found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from omoi_os.domain.evidence import Unreadable
from omoi_os.domain.phases import Phase, parse_phase
from omoi_os.domain.policy import EvidenceKind, JudgeMode, PhasePolicy, RequiredArtifact, built_in_policy
from omoi_os.errors import InvalidInput
from omoi_os.evidence.conventions import Found, find_evidence
from omoi_os.evidence.paths import open_workspace
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.database import DatabaseService
from omoi_os.services.phase_gate import PhaseGateService, ReviewTerms
from omoi_os.services.tickets import NewArtifact, NewTicket, TicketService

REVIEWER: Final = "omoi review"


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """What to review.

    Attributes:
        phase: The phase that the work may leave, if it passes.
        given: Paths in the workspace by artifact type; they replace what would be found.
        base: Commit to compare with; None for the merge base with the main branch.
        force: Measure anew even if nothing changed since the last verdict.
        judge: A judge must be asked, whatever the policy says.
    """

    workspace: Path
    phase: Phase
    given: Mapping[str, Sequence[str]] = field(default_factory=dict)
    base: str | None = None
    force: bool = False
    judge: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """What came of it.

    Attributes:
        passed_over: By artifact type, files that also matched and were not read.
    """

    ticket_id: str
    phase: Phase
    result: PhaseGateResult
    passed_over: Mapping[str, tuple[str, ...]]


class ReviewService:
    """Reviews folders that no task queue knows; each folder keeps one ticket, and each review its row."""

    def __init__(self, db: DatabaseService, *, gates: PhaseGateService | None = None) -> None:
        self.gates = gates or PhaseGateService(db)
        self.db = db

    def review(self, request: ReviewRequest) -> Review:
        """Find the evidence, attach it to the folder's ticket, validate, and record the verdict.

        Raises:
            InvalidInput: The folder cannot be opened, the phase has no gate, or evidence is given for
                an artifact that the phase does not ask for.
        """
        root = request.workspace.expanduser().resolve()
        policy = self.gates.policies.of(request.phase, root).without_tasks()
        if request.judge:
            policy = replace(policy, judge=replace(policy.judge, mode=JudgeMode.REQUIRED))
        found = _evidence(root, policy, request.given)
        tickets = TicketService(self.db, workspace_roots=[root])
        ticket = tickets.for_folder(NewTicket(f"{REVIEWER}: {root.name}"[:500], workspace=root))
        # Only what was found or given now is looked at: an artifact of an earlier run, or one that somebody
        # else attached to the folder's ticket, must not stand in for a file that is not there any more.
        attached = [
            tickets.attach_if_changed(ticket.id, artifact, collected_by=REVIEWER)
            for required in policy.artifacts
            if (artifact := _artifact(required, found.get(required.type), request)) is not None
        ]
        terms = ReviewTerms(
            policy, only=attached, base=request.base, validated_by=REVIEWER, force=request.force
        )
        result = self.gates.validate_gate(ticket.id, request.phase, terms=terms)
        passed_over = {type_: files.passed_over for type_, files in found.items() if files.passed_over}
        return Review(ticket.id, request.phase, result, passed_over)


def read_phase(name: str) -> Phase:
    """A phase that has a gate.

    Raises:
        UnknownPhase, PhaseHasNoGate: The message lists what can be named.
    """
    return built_in_policy(parse_phase(name)).phase


def _evidence(root: Path, policy: PhasePolicy, given: Mapping[str, Sequence[str]]) -> dict[str, Found]:
    for type_ in given:
        if type_ not in policy.artifact_types:
            wanted = ", ".join(policy.artifact_types)
            raise InvalidInput(f"{policy.phase.value} does not ask for {type_!r}; it asks for {wanted}")
    in_git = any((folder / ".git").exists() for folder in (root, *root.parents))
    if in_git and any(item.type in given for item in policy.artifacts if item.kind is EvidenceKind.CHANGES):
        raise InvalidInput("the change is taken from git here; name a commit with --base to compare with")
    opened = open_workspace(root)
    if isinstance(opened, Unreadable):
        raise InvalidInput(f"{root}: {opened.detail}. {opened.fix}")
    with opened as workspace:
        found = find_evidence(workspace, policy)
    if isinstance(found, Unreadable):
        raise InvalidInput(f"{root}: {found.detail}. {found.fix}")
    return found | {type_: Found(tuple(paths)) for type_, paths in given.items()}


def _artifact(required: RequiredArtifact, found: Found | None, request: ReviewRequest) -> NewArtifact | None:
    content: dict[str, Any] | None = None
    path: str | None = None
    if found is not None and len(found.paths) == 1:
        path = found.paths[0]
    elif found is not None:
        content = {"paths": list(found.paths)}
    elif required.kind is EvidenceKind.CHANGES:
        content = {"base": request.base or "merge base with the main branch"}
    else:
        return None
    return NewArtifact(required.type, path, content, request.phase)
