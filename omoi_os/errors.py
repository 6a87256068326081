"""Every error that a caller can meet. A class names a state of the world; its docstring is the message.

Facts travel in keyword arguments and become attributes of `facts`, so that HTTP and CLI can show them
without parsing prose.
"""

from __future__ import annotations

import inspect
from typing import ClassVar


class OmoiError(Exception):
    """Something went wrong in OmoiOS."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, message: str | None = None, **facts: object) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "")
        self.facts = facts
        super().__init__(self.message)


class NotFound(OmoiError):
    """There is no such thing here."""

    status = 404
    code = "not_found"


class InvalidInput(OmoiError):
    """The input is not acceptable."""

    status = 422
    code = "invalid_input"


class NotJson(InvalidInput):
    """The text is not JSON."""

    status = 400
    code = "not_json"


class TextTooLong(InvalidInput):
    """A text is longer than its field allows."""

    code = "text_too_long"


class TextNotStorable(InvalidInput):
    """A text holds a NUL character or half of a surrogate pair; remove it."""

    code = "text_not_storable"


class UnknownPhase(InvalidInput):
    """There is no phase of that name."""

    code = "unknown_phase"


class PhaseHasNoGate(InvalidInput):
    """This phase has no gate: nothing is reviewed when it ends."""

    code = "phase_has_no_gate"


class UnknownDependency(InvalidInput):
    """A task can only depend on tasks that exist."""

    code = "unknown_dependency"


class DependencyFailed(InvalidInput):
    """A task cannot wait for one that failed for good."""

    code = "dependency_failed"


class DependencyCycle(InvalidInput):
    """Tasks cannot wait for one another in a circle."""

    code = "dependency_cycle"


class TemplateInvalid(InvalidInput):
    """A task template cannot be used."""

    code = "template_invalid"


class PolicyInvalid(InvalidInput):
    """The policy file cannot be used; each line of the message says where, why, and what to write instead."""

    code = "policy_invalid"


class WorkspaceNotAllowed(InvalidInput):
    """The workspace must be a folder under one of the roots that the operator allows."""

    code = "workspace_not_allowed"


class WebhookRefused(InvalidInput):
    """Nothing can be sent to this address."""

    code = "webhook_refused"


class Conflict(OmoiError):
    """Somebody else changed this at the same moment; read it again and retry."""

    status = 409
    code = "conflict"


class TransitionNotAllowed(Conflict):
    """A ticket cannot move there from the phase that it is in."""

    code = "transition_not_allowed"


class GateClosed(Conflict):
    """The gate of the ticket's phase is closed; `blocking_reasons` say why."""

    code = "gate_closed"


class GateUnderReview(GateClosed):
    """The gate is being reviewed; try again when the review is decided."""


class WaiverNotAllowed(Conflict):
    """This criterion cannot be waived now, or not by this person."""

    code = "waiver_not_allowed"


class ReviewOver(Conflict):
    """The review is decided already; there is nothing to cancel."""

    code = "review_over"


class WorkerMisconfigured(InvalidInput):
    """No model is named for agents that do tasks: set OMOI_WORKER_MODEL, or OMOI_JUDGE_MODEL for both."""

    code = "worker_misconfigured"


class IdempotencyKeyReused(InvalidInput):
    """This idempotency key stands for another request; use a new one for each request."""

    code = "idempotency_key_reused"


class TaskMoveNotAllowed(Conflict):
    """A task cannot go from its status to that one."""

    code = "task_move_not_allowed"


class NotYourTask(Conflict):
    """Another agent has this task now, or it is back in the queue; stop working on it."""

    code = "not_your_task"


class DatabaseUnavailable(OmoiError):
    """The database does not answer."""

    status = 503
    code = "database_unavailable"


class EmbeddedDatabaseError(DatabaseUnavailable):
    """The embedded PostgreSQL does not start."""

    code = "embedded_database_failed"


class SchemaOutOfDate(DatabaseUnavailable):
    """The database has another schema than this version of OmoiOS; run `omoi db upgrade`."""

    code = "schema_out_of_date"


class TooManyStreams(OmoiError):
    """This server follows the events for as many clients as it can; try again later, or read pages."""

    status = 503
    code = "too_many_streams"


class SnapshotInUse(OmoiError):
    """A process holds the snapshot of that review."""

    status = 409
    code = "snapshot_in_use"
