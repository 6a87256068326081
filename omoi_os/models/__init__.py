"""The tables. Importing this package registers all of them on `Base.metadata`."""

from omoi_os.models.agent import Agent
from omoi_os.models.base import Base
from omoi_os.models.event import Event, EventEra
from omoi_os.models.gate_waiver import GateWaiver
from omoi_os.models.idempotency_key import IdempotencyKey
from omoi_os.models.judge_budget import JudgeDay, JudgeReservation, ModelCallSlot
from omoi_os.models.judge_calibration import JudgeCalibration
from omoi_os.models.phase_context import PhaseContext
from omoi_os.models.phase_gate_artifact import PhaseGateArtifact
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.models.phase_history import PhaseHistory
from omoi_os.models.policy import StoredPolicy
from omoi_os.models.task import Task
from omoi_os.models.task_template import TaskTemplate
from omoi_os.models.ticket import Ticket
from omoi_os.models.webhook import Webhook, WebhookDelivery
from omoi_os.models.worker_lease import WorkerLease

__all__ = [
    "Agent",
    "Base",
    "Event",
    "EventEra",
    "GateWaiver",
    "IdempotencyKey",
    "JudgeCalibration",
    "JudgeDay",
    "JudgeReservation",
    "ModelCallSlot",
    "PhaseContext",
    "PhaseGateArtifact",
    "PhaseGateResult",
    "PhaseHistory",
    "StoredPolicy",
    "Task",
    "TaskTemplate",
    "Ticket",
    "Webhook",
    "WebhookDelivery",
    "WorkerLease",
]
