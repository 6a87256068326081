from __future__ import annotations

from datetime import datetime

from omoi_os.api.schemas.base import Answer


class FindingOut(Answer):
    """What one rule found."""

    criterion: str
    outcome: str
    severity: str
    code: str
    found: str
    needed: str
    artifact: str
    fix: str


class GateResultOut(Answer):
    """What a review decided."""

    gate_status: str
    requirements_met: bool
    blocking_reasons: list[str]
    result_id: str
    phase_id: str
    code: str | None
    findings: list[FindingOut]
    validated_at: datetime


class GateStatusOut(Answer):
    """What a gate has, what it lacks, and how the last review ended."""

    requirements_met: bool
    missing_artifacts: list[str]
    validation_status: str
    stale: bool
    tasks_completed: bool
    open_tasks: list[str]
    blocking_reasons: list[str]
    validated_at: datetime | None
