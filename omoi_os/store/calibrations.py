"""SQL of the judges' calibrations."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from omoi_os.models.judge_calibration import JudgeCalibration


def add(session: Session, calibration: JudgeCalibration) -> None:
    """Keep a report beside the earlier ones."""
    session.add(calibration)


def latest(session: Session, model: str, prompts_digest: str) -> JudgeCalibration | None:
    """The newest report on a model with these prompts."""
    query = select(JudgeCalibration).where(
        JudgeCalibration.model == model, JudgeCalibration.prompts_digest == prompts_digest
    )
    return session.scalars(query.order_by(JudgeCalibration.seq.desc()).limit(1)).one_or_none()
