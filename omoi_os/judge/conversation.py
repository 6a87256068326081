"""Opens and closes one OpenHands conversation. Two share nothing: both LLM and agent hold state."""

from __future__ import annotations

import importlib
import math
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
import litellm
from openhands.sdk import LLM, Agent, Conversation, Tool, Workspace, register_tool
from openhands.sdk.conversation import BaseConversation
from openhands.sdk.conversation.impl.local_conversation import LocalConversation
from openhands.sdk.conversation.impl.remote_conversation import RemoteConversation
from openhands.sdk.event import ActionEvent, Event
from openhands.sdk.plugin import load_project_plugins
from openhands.sdk.tool.builtins import FinishTool

from omoi_os.judge.environment import AgentNotIsolated
from omoi_os.judge.run import AgentTask, Host, Limits, Model, RunOutcome, Usage
from omoi_os.judge.submission import shape_of
from omoi_os.judge.wire import Stop, client

_FINISH = "FinishTool"


@dataclass(frozen=True, slots=True)
class Opened:
    """A conversation and what goes away with it."""

    conversation: BaseConversation
    scratch: Path | None

    @property
    def is_local(self) -> bool:
        return isinstance(self.conversation, LocalConversation)

    @property
    def events(self) -> Sequence[Event]:
        return list(self.conversation.state.events)

    def close(self) -> None:
        """End it; what an agent server cannot be told then, it finds out by itself."""
        try:
            if isinstance(self.conversation, RemoteConversation):
                # Else it would go on, and cost, on its server.
                with suppress(httpx.HTTPError):
                    self.conversation.interrupt()
            self.conversation.close()
        finally:
            if self.scratch is not None:
                shutil.rmtree(self.scratch, ignore_errors=True)


@cache
def prepare_library() -> None:
    """What the library needs once per process, on the loop of the agents."""
    register_tool(_FINISH, FinishTool)
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    # Once per call of a model without a known price; the usage says so.
    warnings.filterwarnings("ignore", message="Cost calculation failed", category=UserWarning)
    litellm.aclient_session = client()


def open_conversation(task: AgentTask, model: Model, limits: Limits, host: Host | None, stop: Stop) -> Opened:
    """Open a conversation, or open one again that another process began.

    Raises:
        AgentNotIsolated: The temporary folder lies in a repository, or something was planted there.
    """
    agent = Agent(
        llm=_llm(model, limits),
        system_prompt=task.system_prompt,
        include_default_tools=[],
        tools=[*_tools(task), Tool(name=_FINISH, params={"response_schema": shape_of(task.stages)})],
    )
    if host is not None:
        return _open_remote(agent, task, limits, host)
    return _open_local(agent, task, limits, stop)


def _llm(model: Model, limits: Limits) -> LLM:
    return LLM(
        usage_id="omoi",
        model=model.name,
        api_key=model.api_key,
        base_url=model.base_url,
        input_cost_per_token=model.input_cost_per_token,
        output_cost_per_token=model.output_cost_per_token,
        reasoning_effort=model.reasoning_effort,
        max_output_tokens=limits.max_output_tokens,
        num_retries=limits.llm_attempts,
        timeout=_patience(model, limits),
        # Chat is what passes our wire; the library would rather use another way for models that it knows.
        api_mode="chat" if model.passes_our_wire else "auto",
        retry_min_wait=1,
        retry_max_wait=20,
        retry_multiplier=2.0,
    )


def _patience(model: Model, limits: Limits) -> int:
    """What the library waits for one call. Where the wire is ours it counts the silence, without the pace."""
    if model.pace is None or not model.passes_our_wire:
        return limits.llm_timeout_seconds
    return limits.llm_timeout_seconds + math.ceil(limits.wall_clock_seconds)


def _tools(task: AgentTask) -> list[Tool]:
    for spec in task.tools:
        importlib.import_module(spec.module)
    return [Tool(name=spec.name, params=dict(spec.params)) for spec in task.tools]


def _open_local(agent: Agent, task: AgentTask, limits: Limits, stop: Stop) -> Opened:
    def watch(event: Event) -> None:
        # A submission that was paid for is read, whatever it cost.
        if not isinstance(event, ActionEvent) or event.tool_name == FinishTool.name:
            return
        if over := over_budget(usage_of(conversation), limits):
            stop(RunOutcome.BUDGET, over)

    scratch = Path(tempfile.mkdtemp(prefix="omoi-empty-")).resolve()
    try:
        _check_isolation(scratch)
        conversation = Conversation(
            agent=agent,
            # Plugins, and the hooks in them, are run from here and from the enclosing repository.
            workspace=scratch,
            persistence_dir=task.persistence_dir,
            conversation_id=task.conversation_id,
            callbacks=[watch],
            visualizer=None,
        )
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return Opened(conversation, scratch)


def _check_isolation(folder: Path) -> None:
    repository = next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), None)
    if repository is not None:
        raise AgentNotIsolated(
            f"the temporary folder {folder.parent} lies in the repository {repository};"
            " set TMPDIR to a folder outside"
        )
    if load_project_plugins(folder):
        raise AgentNotIsolated(f"somebody planted plugins around {folder}")


def _open_remote(agent: Agent, task: AgentTask, limits: Limits, host: Host) -> Opened:
    key = host.api_key.get_secret_value() if host.api_key else None
    conversation = Conversation(
        agent=agent,
        workspace=Workspace(host=host.url, working_dir=host.working_dir, api_key=key),
        conversation_id=task.conversation_id,
        max_iteration_per_run=limits.max_iterations,
        visualizer=None,
        delete_on_close=False,  # it is the transcript, and what a killed run goes on from
    )
    return Opened(conversation, None)


def usage_of(conversation: BaseConversation) -> Usage:
    """What the conversation used up in all processes that worked on it."""
    metrics = conversation.conversation_stats.get_combined_metrics()
    tokens = metrics.accumulated_token_usage
    latencies = tuple(call.latency for call in metrics.response_latencies)
    return Usage(
        prompt_tokens=tokens.prompt_tokens if tokens else 0,
        completion_tokens=tokens.completion_tokens if tokens else 0,
        cache_read_tokens=tokens.cache_read_tokens if tokens else 0,
        cache_write_tokens=tokens.cache_write_tokens if tokens else 0,
        reasoning_tokens=tokens.reasoning_tokens if tokens else 0,
        # The library adds up known prices only: nothing added means that none was known.
        cost_usd=metrics.accumulated_cost if metrics.costs or metrics.accumulated_cost else None,
        latencies=latencies,
        llm_calls=max(len(latencies), len(metrics.token_usages)),
    )


def over_budget(used: Usage, limits: Limits) -> str | None:
    """Which limit is reached, as a sentence's end."""
    tokens = used.prompt_tokens + used.completion_tokens
    if limits.max_tokens is not None and tokens >= limits.max_tokens:
        return f"the agent used {tokens:,} of {limits.max_tokens:,} tokens"
    if limits.max_cost_usd is not None and used.cost_usd is not None and used.cost_usd >= limits.max_cost_usd:
        return f"the agent cost ${used.cost_usd:.4f} of ${limits.max_cost_usd:.4f}"
    return None
