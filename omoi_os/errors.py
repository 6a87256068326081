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


class WorkspaceNotAllowed(InvalidInput):
    """The workspace must be a folder under one of the roots that the operator allows."""

    code = "workspace_not_allowed"


class Conflict(OmoiError):
    """Somebody else changed this at the same moment; read it again and retry."""

    status = 409
    code = "conflict"


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
