"""Agents show that they are alive; those that fall silent lose their tasks to the queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from omoi_os.domain.phases import parse_phase
from omoi_os.domain.statuses import AgentStatus
from omoi_os.errors import InvalidInput, NotFound
from omoi_os.models.agent import Agent
from omoi_os.models.base import check_text, text_limit
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.queue.base import is_id, settle
from omoi_os.services.queue.enqueue import check_capabilities
from omoi_os.store import agents, queue, task_moves
from omoi_os.store.agents import AgentSilence

DEFAULT_TIMEOUT: Final = 90.0
"""Seconds without a sign of life after which an agent is stale."""

_GIVEN_UP: Final = (AgentStatus.STALE, AgentStatus.TIMEOUT, AgentStatus.FAILED)


class AgentHealthService:
    """Who works here, and who is still alive; the database's clock decides."""

    def __init__(self, db: DatabaseService, *, timeout_seconds: float = DEFAULT_TIMEOUT) -> None:
        self.db = db
        self.timeout_seconds = timeout_seconds

    def register(
        self, agent_type: str, *, phase_id: str | None = None, capabilities: Sequence[str] | None = None
    ) -> Agent:
        """Make an agent; its id is what it names itself with from now on.

        Args:
            capabilities: What it offers; None takes any task.

        Raises:
            InvalidInput: The type is empty or too long, or the phase or a capability is not usable.
        """
        if not agent_type.strip():
            raise InvalidInput("agent_type: name the kind of agent, such as worker", field="agent_type")
        check_text("agent_type", agent_type, text_limit(Agent.agent_type))
        if capabilities is not None:
            check_capabilities(capabilities)
        phase = None if phase_id is None else parse_phase(phase_id)
        offered = None if capabilities is None else list(dict.fromkeys(capabilities))
        with self.db.single_statements() as connection:
            return agents.register(connection, agent_type, phase, offered)

    def get(self, agent_id: str) -> Agent:
        """The agent.

        Raises:
            NotFound: There is no such agent.
        """
        return self._silence(agent_id).agent

    def emit_heartbeat(self, agent_id: str) -> bool:
        """Note a sign of life; False where there is no such agent.

        One that was given up is idle again: its tasks are gone, and it may take others.
        """
        if not is_id(agent_id):
            return False
        with self.db.single_statements() as connection:
            return agents.beat(connection, agent_id)

    def check_agent_health(self, agent_id: str, timeout_seconds: float | None = None) -> dict[str, Any]:
        """How the agent is.

        Returns:
            `agent_id`, `agent_type`, `phase_id`, `status`, `healthy`, `last_heartbeat`,
            `seconds_since_heartbeat` and `message`; for an unknown agent `healthy` is False and
            `status` is "not_found".
        """
        try:
            silence = self._silence(agent_id)
        except NotFound as error:
            return {
                "agent_id": agent_id,
                "agent_type": None,
                "phase_id": None,
                "status": "not_found",
                "healthy": False,
                "last_heartbeat": None,
                "seconds_since_heartbeat": None,
                "message": error.message,
            }
        return _health(silence, self._timeout(timeout_seconds))

    def detect_stale_agents(self, timeout_seconds: float | None = None) -> list[Agent]:
        """Agents that have been silent for too long and still count as working, the longest first."""
        with self.db.single_statements() as connection:
            return agents.silent(connection, self._timeout(timeout_seconds))

    def get_all_agents_health(self, timeout_seconds: float | None = None) -> list[dict[str, Any]]:
        """`check_agent_health` of every agent, the newest registration first."""
        timeout = self._timeout(timeout_seconds)
        with self.db.single_statements() as connection:
            return [_health(silence, timeout) for silence in agents.silences(connection)]

    def cleanup_stale_agents(
        self, timeout_seconds: float | None = None, mark_as: str = AgentStatus.TIMEOUT
    ) -> int:
        """Give up the agents that have been silent for too long, and put their tasks back into the queue.

        Each agent and each task exactly once, however many clean up at the same moment. A task's retry
        is counted; one that has none left fails.

        Args:
            mark_as: The status that they get: timeout, stale or failed. One that is marked as failed
                gets no task until somebody registers it anew.

        Returns:
            How many agents were given up.
        """
        if mark_as not in _GIVEN_UP:
            raise InvalidInput(
                f"mark_as: {mark_as[:40]!r} is not one of {', '.join(_GIVEN_UP)}", field="mark_as"
            )
        timeout = self._timeout(timeout_seconds)
        with self.db.get_session() as session:
            connection = driver_connection(session)
            queue.hold_failing(connection)
            lost = agents.take_silent(connection, timeout, AgentStatus(mark_as))
            if lost:
                _, failed = task_moves.take_back(connection, lost)
                settle(connection, failed)
        return len(lost)

    def get_agent_statistics(self) -> dict[str, Any]:
        """How many agents there are.

        Returns:
            `total_agents`, `by_status`, `by_type`, `healthy` and `stale` (silent for too long).
        """
        with self.db.single_statements() as connection:
            counted = agents.counts(connection)
            silences = agents.silences(connection)
        healthy = sum(_is_healthy(silence, self.timeout_seconds) for silence in silences)
        stale = sum(silence.seconds > self.timeout_seconds for silence in silences)
        return {"total_agents": len(silences), **counted, "healthy": healthy, "stale": stale}

    def _timeout(self, seconds: float | None) -> float:
        wanted = self.timeout_seconds if seconds is None else seconds
        if not 0 <= wanted <= 10 * 365 * 24 * 3600:  # NaN compares as false
            raise InvalidInput("timeout_seconds: write a number of seconds, 0 or more")
        return wanted

    def _silence(self, agent_id: str) -> AgentSilence:
        found = []
        if is_id(agent_id):
            with self.db.single_statements() as connection:
                found = agents.silences(connection, agent_id)
        if not found:
            raise NotFound(f"there is no agent {agent_id[:60]!r}; register it first", agent_id=agent_id[:60])
        return found[0]


def _is_healthy(silence: AgentSilence, timeout: float) -> bool:
    return silence.seconds <= timeout and silence.agent.status not in _GIVEN_UP


def _health(silence: AgentSilence, timeout: float) -> dict[str, Any]:
    agent, healthy = silence.agent, _is_healthy(silence, timeout)
    message = f"last sign of life {silence.seconds:,.0f} s ago"
    if not healthy:
        message += f", more than {timeout:g} s" if silence.seconds > timeout else f"; it is {agent.status}"
    return {
        "agent_id": agent.id,
        "agent_type": agent.agent_type,
        "phase_id": agent.phase_id,
        "status": agent.status,
        "healthy": healthy,
        "last_heartbeat": agent.last_heartbeat,
        "seconds_since_heartbeat": silence.seconds,
        "message": message,
    }
