"""What an operator sets: environment variables that begin with OMOI_."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The operator's settings; read once per process.

    Attributes:
        database_url: A PostgreSQL address; None for the embedded server in `home`.
        home: Folder of the embedded database and other local state.
        workspaces: Folder of the snapshots that reviews read; None for `workspaces` in `home`.
        workspace_roots: Folders under which tickets may have their workspace, separated by ":".
        policy: The policy file; None for omoi.yaml in the current folder, if there is one.
        pool_size: Database connections per process; a route occupies one while it queries.
        host: Loopback only, until there are API keys.
        port: 0 lets the system choose.
        encoding: The vocabulary in which budgets of tokens are counted; no other works without a network.
        agent_timeout: Seconds without a sign of life after which an agent loses its tasks.
        prompts: Folder of a team's own prompts; what it does not hold comes from the built-in ones.
        judge_model: The judge's model, as litellm names it ("openai/…"); None lets the rules decide alone.
        judge_base_url: Where an OpenAI-compatible server answers; None for the provider's own address.
        judge_input_price: US dollars per token read, and `judge_output_price` per token written; without
            them the cost of a model that litellm has no price for is not known.
        retry_seconds: Before an inconclusive review is tried again; later pauses grow to twenty times that.
        worker_reviews: Reviews that one worker measures at a time.
        judges: Conversations with judges of all workers together; 0 for no limit.
        worker_model: Of the agents that do tasks; None for the judge's model. `worker_base_url` goes with it,
            and `worker_api_key`; where neither is set they are the judge's.
        worker_tasks: Tasks that one worker does at a time, where it executes.
        worker_capabilities: What it offers, separated by ","; of a task that needs others it keeps away.
        worker_iterations: Calls of the model in one attempt at a task; so `worker_seconds`, `worker_cost`.
        poll_seconds: Between two looks of a worker for work.
        lease_seconds: Without a sign of life after which another worker takes over.
        drain_seconds: That a worker which ends gives to what it has begun.
        keep_workflows_hours: How long the engine's record of what is over is kept.
        judge_usd_per_day: What judging may cost on one day (UTC), for all processes on the database together.
        model_calls_per_minute: What all processes on the database may ask models for, together.
        judge_host: Address of an agent server to judge on; None judges in this process.
        webhook_allow_internal: Whether webhooks may go to private networks and this machine, and over http.
    """

    model_config = SettingsConfigDict(env_prefix="OMOI_", env_file=None, env_ignore_empty=True)

    database_url: str | None = None
    home: Path = Path(".omoi")
    workspaces: Path | None = None
    workspace_roots: str = "."
    policy: Path | None = None
    pool_size: int = Field(default=10, ge=1, le=200)
    host: str = "127.0.0.1"
    port: int = Field(default=8420, ge=0, le=65535)
    encoding: Literal["o200k_base", "cl100k_base"] = "o200k_base"
    agent_timeout: float = Field(default=90.0, ge=1, le=7 * 24 * 3600)
    retry_seconds: float = Field(default=15.0, gt=0, le=24 * 3600)
    worker_reviews: int = Field(default=16, ge=1, le=200)
    judges: int = Field(default=8, ge=0, le=1000)
    worker_model: str | None = None
    worker_api_key: SecretStr | None = None
    worker_base_url: str | None = None
    worker_tasks: int = Field(default=2, ge=1, le=16)
    worker_capabilities: str = "analysis,documentation,design,implementation"
    worker_iterations: int = Field(default=60, ge=1, le=1000)
    worker_seconds: float = Field(default=1800.0, ge=1, le=24 * 3600)
    worker_cost: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    poll_seconds: float = Field(default=0.5, ge=0.05, le=60)
    lease_seconds: float = Field(default=12.0, ge=0.5, le=3600)
    drain_seconds: int = Field(default=30, ge=1, le=3600)
    keep_workflows_hours: float = Field(default=72.0, ge=0, le=10_000)
    prompts: Path | None = None
    judge_model: str | None = None
    judge_api_key: SecretStr | None = None
    judge_base_url: str | None = None
    judge_input_price: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    judge_output_price: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    judge_usd_per_day: float | None = Field(default=None, ge=0, le=1_000_000, allow_inf_nan=False)
    model_calls_per_minute: int | None = Field(default=None, ge=1, le=10_000)
    judge_host: str | None = None
    judge_host_key: SecretStr | None = None
    webhook_allow_internal: bool = False

    def for_worker(self) -> Settings:
        """The same, with the worker's model where the judge's is."""
        # The judge's key goes to nobody but the judge's provider.
        shared = None if self.worker_base_url else self.judge_api_key
        return self.model_copy(
            update={
                "judge_model": self.worker_model,
                "judge_api_key": self.worker_api_key or shared,
                "judge_base_url": self.worker_base_url or self.judge_base_url,
                "judge_input_price": None,
                "judge_output_price": None,
            }
        )

    @property
    def transcripts(self) -> Path:
        """Where the judge's conversations are kept."""
        return (self.home / "transcripts").expanduser().resolve()

    @property
    def snapshots(self) -> Path:
        return (self.workspaces or self.home / "workspaces").expanduser().resolve()

    @property
    def roots(self) -> tuple[Path, ...]:
        return tuple(Path(root).expanduser().resolve() for root in self.workspace_roots.split(":") if root)
