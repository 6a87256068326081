"""What the engine calls this application. Changing any of it strands the work that is under way."""

from __future__ import annotations

from typing import Final

APPLICATION: Final = "omoi"

LIBRARY: Final = "dbos"
"""Under which the engine's library logs."""

SCHEMA: Final = "dbos"

VERSION: Final = "1"
"""Workers take only work of their own version. It grows when the steps of a workflow change their order."""
