"""The closed sets of words that rows carry."""

from __future__ import annotations

from enum import StrEnum


class TicketStatus(StrEnum):
    """How a ticket stands as a whole."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


class TaskStatus(StrEnum):
    """How a task stands; only `COMPLETED` counts towards a gate."""

    PENDING = "pending"
    ASSIGNED = "assigned"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class Priority(StrEnum):
    """How urgent a ticket or task is, most urgent first."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


class AgentStatus(StrEnum):
    """How an agent stands; `STALE` and `TIMEOUT` were silent for too long, and lost their tasks."""

    IDLE = "idle"
    RUNNING = "running"
    STALE = "stale"
    TIMEOUT = "timeout"
    FAILED = "failed"
