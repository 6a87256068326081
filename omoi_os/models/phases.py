"""The phases under the name that callers of the models know."""

from omoi_os.domain.phases import PHASE_SEQUENCE, PHASE_TRANSITIONS, Phase

__all__ = ["PHASE_SEQUENCE", "PHASE_TRANSITIONS", "Phase"]
