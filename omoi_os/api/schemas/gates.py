from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from omoi_os.api.schemas.base import Answer
from omoi_os.api.schemas.reviews import ReviewProgress, RunningReview
from omoi_os.domain.verdict import GateStatus
from omoi_os.models.phase_gate_result import PhaseGateResult


class FindingOut(Answer):
    """What one rule found; `waiver` is the id of the waiver that lets it pass, or empty."""

    id: str
    criterion: str
    outcome: str
    severity: str
    code: str
    found: str
    needed: str
    artifact: str
    fix: str
    waiver: str


class WaiverOut(Answer):
    """A waiver that let a criterion pass."""

    id: str
    criterion: str
    reason: str
    waived_by: str
    expires_at: datetime


class ShortFinding(Answer):
    """A finding that held the gate closed, now or before."""

    id: str
    criterion: str
    found: str


class ConvergenceOut(Answer):
    """What became of the findings of the review before."""

    resolved: list[ShortFinding]
    still_open: list[ShortFinding]
    new: list[ShortFinding]


class GateResultOut(Answer):
    """What a review decided, or how far it is."""

    gate_status: str
    requirements_met: bool
    blocking_reasons: list[str]
    result_id: str
    ticket_id: str
    phase_id: str
    code: str | None
    review: Annotated[ReviewProgress | None, Field(description="Of a pending review.")]
    findings: list[FindingOut]
    judge: Annotated[
        dict[str, Any] | None, Field(description="Whether a judge was asked, why, and what came of it.")
    ]
    feedback: str | None
    waivers: list[WaiverOut]
    convergence: ConvergenceOut | None
    policy_digest: str | None
    validated_at: datetime | None


class GateStatusOut(Answer):
    """What a gate has, what it lacks, and how the last review ended."""

    requirements_met: bool
    missing_artifacts: list[str]
    validation_status: str
    gate_status: str
    review: Annotated[RunningReview | None, Field(description="The one that is not decided yet.")]
    stale: bool
    stale_reasons: list[str]
    tasks_completed: bool
    open_tasks: list[str]
    blocking_reasons: list[str]
    waivers: list[WaiverOut]
    convergence: ConvergenceOut | None
    validated_at: datetime | None


class TicketWaiver(Answer):
    """A waiver in the record of a ticket, or the end of one (`revokes`)."""

    id: str
    phase_id: str
    criterion: str
    reason: str
    waived_by: str
    result_id: str
    expires_at: datetime
    revokes: str | None
    created_at: datetime


class TicketWaivers(Answer):
    """All waivers of a ticket, the first one first."""

    ticket_id: str
    waivers: list[TicketWaiver]


class EntryOut(Answer):
    """One thing that happened in a conversation; secrets are taken out."""

    kind: str
    text: str
    at: str
    tool: str


class TranscriptOut(Answer):
    """A judge's conversation."""

    entries: list[EntryOut]
    files_read: list[str]
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    llm_calls: int
    left_out: int


class Transcripts(Answer):
    """The conversations of one review: two where a second judge was asked."""

    result_id: str
    transcripts: list[TranscriptOut]


class PolicyOut(Answer):
    """A policy that decided a gate, as it was."""

    digest: str
    policy: dict[str, Any]


def answer_of(result: PhaseGateResult) -> GateResultOut:
    """The response for a recorded verdict; built without validating what we wrote ourselves."""
    details = result.validation_result or {}
    return GateResultOut.model_construct(
        gate_status=result.gate_status,
        requirements_met=result.gate_status == "passed",
        blocking_reasons=result.blocking_reasons or [],
        result_id=result.id,
        ticket_id=result.ticket_id,
        phase_id=result.phase_id,
        code=details.get("code"),
        review=ReviewProgress.model_validate(result) if result.gate_status == GateStatus.PENDING else None,
        findings=[FindingOut.model_construct(**finding) for finding in details.get("findings", [])],
        judge=details.get("judge"),
        feedback=details.get("feedback"),
        waivers=[WaiverOut.model_validate(waiver) for waiver in details.get("waivers", [])],
        convergence=_convergence(details.get("convergence")),
        policy_digest=details.get("policy"),
        validated_at=result.validated_at,
    )


def _convergence(stored: dict[str, Any] | None) -> ConvergenceOut | None:
    return None if stored is None else ConvergenceOut.model_validate(stored)
