from __future__ import annotations

from omoi_os.api.schemas.base import Answer


class Health(Answer):
    """That the process answers."""

    status: str
    version: str


class Readiness(Answer):
    """That the process can do its work."""

    status: str
    database: str
    schema_revision: str
