"""What was said when a gate was judged: what was asked, read and answered, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omoi_os.errors import NotFound
from omoi_os.judge.transcript import Transcript, read_transcript
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.phase_gate import PhaseGateService


@dataclass(frozen=True, slots=True)
class TranscriptService:
    """Finds verdicts, and the conversations behind them.

    Attributes:
        secrets: Taken out of whatever is shown, beside those that the environment held.
    """

    gates: PhaseGateService
    secrets: tuple[str, ...] = ()

    def result(self, result_id: str) -> PhaseGateResult:
        """The verdict, or the open review.

        Raises:
            NotFound: There is no such review.
        """
        found = self.gates.find_result(result_id)
        if found is None:
            raise NotFound(f"there is no review {result_id[:60]!r}", result_id=result_id[:60])
        return found

    def of(self, result_id: str) -> list[Transcript]:
        """One conversation, or two where a second judge was asked.

        Raises:
            NotFound: There is no such review, nobody was asked, or what was said was deleted.
        """
        judged = (self.result(result_id).validation_result or {}).get("judge") or {}
        folders = _folders(judged)
        if not folders:
            why = str(judged.get("why") or "its verdict is older than that")
            raise NotFound(f"no judge's conversation is kept for this review: {why}")
        return [read_transcript(folder, *self.secrets) for folder in folders]


def _folders(judged: Mapping[str, Any]) -> list[Path]:
    parts = judged.get("opinions") or [judged]
    return [Path(part["transcript"]) for part in parts if part.get("transcript")]
