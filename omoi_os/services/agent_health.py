"""Agents show that they are alive; those that fall silent lose their tasks to the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from omoi_os.domain.phases import parse_phase
from omoi_os.domain.statuses import AgentStatus
from omoi_os.errors import InvalidInput, NotFound
from omoi_os.models.agent import Agent
from omoi_os.models.base import check_text, text_limit
from omoi_os.services.database import DatabaseService, driver_connection
from omoi_os.services.paging import check_limit, read_cursor, write_cursor
from omoi_os.services.queue.base import is_id, settle
from omoi_os.services.queue.enqueue import check_capabilities
from omoi_os.store import agents, queue, task_moves
from omoi_os.store.agents import MOST, AgentSilence

DEFAULT_TIMEOUT: Final = 90.0
"""Seconds without a sign of life after which an agent is stale."""

RETENTION: Final = 7 * 24 * 3600.0
"""Seconds of silence after which a registration that was given up is deleted."""

_GIVEN_UP: Final = (AgentStatus.STALE, AgentStatus.TIMEOUT, AgentStatus.FAILED)


@dataclass(frozen=True, slots=True)
class AgentPage:
    """How some agents are, the newest first, and the cursor of the next page; None at the end."""

    agents: list[dict[str, Any]]
    next_cursor: str | None


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
        """Up to 1,000 agents that are silent for too long and still count as working, the longest first."""
        with self.db.single_statements() as connection:
            return agents.silent(connection, self._timeout(timeout_seconds))

    def get_all_agents_health(self, timeout_seconds: float | None = None) -> list[dict[str, Any]]:
        """`check_agent_health` of the newest 1,000 agents; `list_agents` goes on from there."""
        return self.list_agents(limit=MOST, timeout_seconds=timeout_seconds).agents

    def list_agents(
        self, *, limit: int = 50, cursor: str | None = None, timeout_seconds: float | None = None
    ) -> AgentPage:
        """`check_agent_health` of some agents, the newest registration first.

        Raises:
            InvalidInput: The limit is not from 1 to 1,000, or the cursor is not one that was handed out.
        """
        timeout, after = self._timeout(timeout_seconds), read_cursor(cursor)
        check_limit(limit, MOST)
        with self.db.single_statements() as connection:
            found = agents.page(connection, limit, after)
        page, more = found[:limit], len(found) > limit
        last = page[-1].agent if more else None
        return AgentPage(
            [_health(silence, timeout) for silence in page],
            None if last is None else write_cursor(last.created_at, last.id),
        )

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
            How many agents were given up; 1,000 at most, the others by the next call.
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
                settle(connection, task_moves.take_back(connection, lost))
        return len(lost)

    def rest_agents(self) -> int:
        """Call up to 1,000 running agents idle that have no task any more; returns how many.

        Whoever takes a task from an agent here does so already; this is for what others ended.
        """
        with self.db.get_session() as session:
            return agents.rest_all(driver_connection(session))

    def forget_agents(self, silence_seconds: float = RETENTION) -> int:
        """Delete up to 1,000 registrations that were given up and hold no task; returns how many.

        The events about them stay.
        """
        with self.db.single_statements() as connection:
            return agents.forget(connection, self._timeout(silence_seconds))

    def get_agent_statistics(self) -> dict[str, Any]:
        """How many agents there are.

        Returns:
            `total_agents`, `by_status`, `by_type`, `healthy` and `stale` (silent for too long).
        """
        with self.db.single_statements() as connection:
            return agents.statistics(connection, self.timeout_seconds)

    def _timeout(self, seconds: float | None) -> float:
        wanted = self.timeout_seconds if seconds is None else seconds
        if not 0 <= wanted <= 10 * 365 * 24 * 3600:  # NaN compares as false
            raise InvalidInput("timeout_seconds: write a number of seconds, 0 or more")
        return wanted

    def _silence(self, agent_id: str) -> AgentSilence:
        found = None
        if is_id(agent_id):
            with self.db.single_statements() as connection:
                found = agents.silence_of(connection, agent_id)
        if found is None:
            raise NotFound(f"there is no agent {agent_id[:60]!r}; register it first", agent_id=agent_id[:60])
        return found


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
