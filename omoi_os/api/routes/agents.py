"""The agents' door. An agent's id is handed out when it registers, and stands in the path from then on."""

from __future__ import annotations

from fastapi import APIRouter

from omoi_os.api.dependencies import CursorQuery, LimitQuery, ServicesNow
from omoi_os.api.schemas.agents import AgentIn, AgentList, AgentOut, Heartbeat
from omoi_os.api.schemas.tasks import Claimed, ClaimIn, CompleteIn, FailIn, ProgressIn, ReleaseIn, TaskOut
from omoi_os.api.strict import StrictRoute

router = APIRouter(prefix="/agents", tags=["agents"], route_class=StrictRoute)


@router.post("", status_code=201, operation_id="registerAgent")
def register_agent(body: AgentIn, services: ServicesNow) -> AgentOut:
    """Register an agent; its id is what it is known by, and no secret."""
    agent = services.agents.register(body.agent_type, phase_id=body.phase_id, capabilities=body.capabilities)
    return AgentOut(**services.agents.check_agent_health(agent.id))


@router.get("", operation_id="listAgents")
def list_agents(services: ServicesNow, limit: LimitQuery = 50, cursor: CursorQuery = None) -> AgentList:
    """List agents and how they are, the newest registration first."""
    page = services.agents.list_agents(limit=limit, cursor=cursor)
    return AgentList(agents=[AgentOut(**health) for health in page.agents], next_cursor=page.next_cursor)


@router.get("/{agent_id}", operation_id="getAgent")
def get_agent(agent_id: str, services: ServicesNow) -> AgentOut:
    """Get one agent and how it is."""
    services.agents.get(agent_id)
    return AgentOut(**services.agents.check_agent_health(agent_id))


@router.post("/{agent_id}/heartbeat", operation_id="sendHeartbeat")
def heartbeat(agent_id: str, services: ServicesNow) -> Heartbeat:
    """Note a sign of life. A task that is not in the answer was taken away: stop working on it."""
    services.agents.get(agent_id)
    services.agents.emit_heartbeat(agent_id)
    return Heartbeat(
        agent_id=agent_id, tasks=[task.id for task in services.queue.get_assigned_tasks(agent_id)]
    )


@router.post("/{agent_id}/claim", operation_id="claimTask")
def claim_task(agent_id: str, services: ServicesNow, body: ClaimIn | None = None) -> Claimed:
    """Take the most urgent task that is ready."""
    agent, wanted = services.agents.get(agent_id), body or ClaimIn()
    phase = agent.phase_id if wanted.phase_id is None else wanted.phase_id
    task = services.queue.claim_next_task(agent_id, phase, wanted.capabilities)
    return Claimed(task=None if task is None else TaskOut.model_validate(task))


@router.post("/{agent_id}/tasks/{task_id}/progress", operation_id="reportProgress")
def report_progress(
    agent_id: str, task_id: str, services: ServicesNow, body: ProgressIn | None = None
) -> TaskOut:
    """Say that the task is being worked on; 409 where the agent does not have it any more."""
    said = body or ProgressIn()
    task = services.queue.report_progress(task_id, agent_id, said.message, percent=said.percent)
    return TaskOut.model_validate(task)


@router.post("/{agent_id}/tasks/{task_id}/complete", operation_id="completeTask")
def complete_task(
    agent_id: str, task_id: str, services: ServicesNow, body: CompleteIn | None = None
) -> TaskOut:
    """Hand in the result; saying it twice is answered like the first time."""
    result = None if body is None else body.result
    return TaskOut.model_validate(services.queue.complete_task(task_id, agent_id, result))


@router.post("/{agent_id}/tasks/{task_id}/fail", operation_id="failTask")
def fail_task(agent_id: str, task_id: str, body: FailIn, services: ServicesNow) -> TaskOut:
    """Say that the task could not be done; it is tried again where that may help."""
    task = services.queue.fail_task(task_id, agent_id, body.error, permanent=body.permanent)
    return TaskOut.model_validate(task)


@router.post("/{agent_id}/tasks/{task_id}/release", operation_id="releaseTask")
def release_task(
    agent_id: str, task_id: str, services: ServicesNow, body: ReleaseIn | None = None
) -> TaskOut:
    """Give the task back unfinished; no retry is counted."""
    return TaskOut.model_validate(
        services.queue.release_task(task_id, agent_id, (body or ReleaseIn()).reason)
    )
