from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from omoi_os.api.schemas.base import Answer, Body
from omoi_os.api.schemas.tasks import Capability
from omoi_os.services.queue.enqueue import MOST_CAPABILITIES


class AgentIn(Body):
    """An agent that wants to work here."""

    agent_type: Annotated[str, Field(min_length=1, max_length=50)] = "worker"
    phase_id: Annotated[str | None, Field(max_length=60, description="It takes tasks of this one only.")] = (
        None
    )
    capabilities: Annotated[
        list[Capability] | None,
        Field(max_length=MOST_CAPABILITIES, description="Null or left out: it takes any task."),
    ] = None


class AgentOut(Answer):
    """An agent, and whether it is alive."""

    agent_id: str
    agent_type: str
    phase_id: str | None
    status: str
    healthy: bool
    last_heartbeat: datetime | None
    seconds_since_heartbeat: float
    message: str


class AgentList(Answer):
    """Some agents, the newest registration first."""

    agents: list[AgentOut]
    next_cursor: str | None = None


class Heartbeat(Answer):
    """That a sign of life was noted, and what the agent has to do now."""

    agent_id: str
    tasks: Annotated[list[str], Field(description="Ids of the tasks that the agent still has.")]
