from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Index, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from omoi_os.models.base import Base, new_id
from omoi_os.utils.datetime import utc_now


class JudgeCalibration(Base):
    """How a judge agreed with labelled cases. Rows are added, never changed; the newest one counts.

    Attributes:
        model: As opinions name it; both models where two are asked.
        prompts_digest: Of the prompts that it was asked with.
        cases_digest: SHA-256 over the cases, in their order.
        report: See `services.calibration.Report.as_dict`, without the single answers.
    """

    __tablename__ = "judge_calibrations"
    __table_args__ = (Index("idx_judge_calibrations_judge", "model", "prompts_digest", "seq"),)

    id: Mapped[str] = mapped_column(String, primary_key=True, default=new_id)
    model: Mapped[str] = mapped_column(String(500))
    prompts_digest: Mapped[str] = mapped_column(String(64))
    cases_digest: Mapped[str] = mapped_column(String(64))
    report: Mapped[dict[str, Any]] = mapped_column(JSONB)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), default=utc_now, server_default=func.now()
    )
