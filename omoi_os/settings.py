"""What an operator sets: environment variables that begin with OMOI_."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The operator's settings; read once per process.

    Attributes:
        database_url: A PostgreSQL address; None for the embedded server in `home`.
        home: Folder of the embedded database and other local state.
        workspace_roots: Folders under which tickets may have their workspace, separated by ":".
        pool_size: Database connections per process; a route occupies one while it queries.
        host: Loopback only, until there are API keys.
        port: 0 lets the system choose.
    """

    model_config = SettingsConfigDict(env_prefix="OMOI_", env_file=None, env_ignore_empty=True)

    database_url: str | None = None
    home: Path = Path(".omoi")
    workspace_roots: str = "."
    pool_size: int = Field(default=10, ge=1, le=200)
    host: str = "127.0.0.1"
    port: int = Field(default=8420, ge=0, le=65535)

    @property
    def roots(self) -> tuple[Path, ...]:
        return tuple(Path(root).expanduser().resolve() for root in self.workspace_roots.split(":") if root)
