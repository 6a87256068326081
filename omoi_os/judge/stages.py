"""Puts the stages of a task to an open conversation until each has one accepted submission."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import httpx
from openhands.sdk.conversation.exceptions import ConversationRunError, WebSocketConnectionError
from openhands.sdk.conversation.impl.local_conversation import LocalConversation
from openhands.sdk.conversation.impl.remote_conversation import RemoteConversation
from openhands.sdk.conversation.state import ConversationExecutionStatus as Status
from openhands.sdk.event.conversation_error import ConversationErrorEvent
from pydantic import BaseModel

from omoi_os.judge.conversation import Opened, over_budget, usage_of
from omoi_os.judge.environment import AgentNotIsolated
from omoi_os.judge.halt import Ended, Halt
from omoi_os.judge.outcomes import of_error
from omoi_os.judge.run import AgentTask, Limits, RunOutcome, Usage
from omoi_os.judge.submission import Problems, Turn, part_of, read, sender, turns
from omoi_os.judge.wire import Meter

_POLL: Final = 0.5
_FINISH_ONCE: Final = "Call `finish` exactly once, alone in its reply, with everything that was asked for."


@dataclass(slots=True)
class Stages:
    """The conversation of one run.

    Attributes:
        values: The accepted submissions so far.
    """

    task: AgentTask
    limits: Limits
    opened: Opened
    halt: Halt
    meter: Meter
    values: list[BaseModel] = field(default_factory=list)

    async def run(self) -> None:
        """Put one stage after the other.

        Raises:
            Ended: Before the last submission was accepted.
        """
        for index in range(len(self.task.stages)):
            self.values.append(await self._stage(index))

    @property
    def repairs(self) -> int:
        said = turns(self.opened.events)
        return said[-1].repair if said else 0

    def usage(self) -> Usage:
        """What the conversation has used up so far, in every process that worked on it."""
        return replace(usage_of(self.opened.conversation), repairs=self.repairs)

    async def _stage(self, index: int) -> BaseModel:
        # A conversation that another process began may be here already, or further.
        if not self._turns_of(index):
            await self._say(index, self.repairs, self._question(index))
        while True:
            if turns(self.opened.events)[-1].stage == index:
                await self._work()
            result = read(self._turns_of(index)[-1], self.task.stages)
            if not isinstance(result, Problems):
                result = self._faults_of_reply() or result
            if not isinstance(result, Problems):
                return result
            await self._repair(index, result)

    def _turns_of(self, index: int) -> list[Turn]:
        return [turn for turn in turns(self.opened.events) if turn.stage == index]

    def _question(self, index: int) -> str:
        if len(self.task.stages) == 1:
            return self.task.stages[index].message
        return f"{self.task.stages[index].message}\n\nSubmit it as `{part_of(index)}` of `finish`."

    async def _say(self, index: int, repair: int, text: str) -> None:
        with library():
            await asyncio.to_thread(self.opened.conversation.send_message, text, sender(index, repair))
        self.halt.check()

    async def _work(self) -> None:
        """Let the agent work until it stops by itself."""
        if self.opened.conversation.state.execution_status is not Status.FINISHED:
            self._check_limits()
        seen = len(self.opened.conversation.state.events)
        try:
            with library():
                await self._until_it_stops()
        except Ended:
            self.halt.check()
            self._raise_error_since(seen)
            raise
        self.halt.check()
        self._raise_error_since(seen)
        match self.opened.conversation.state.execution_status:
            case Status.FINISHED:
                return
            case Status.STUCK:
                raise self._stuck()
            case Status.PAUSED:
                raise Ended(RunOutcome.CANCELLED, "the conversation was paused")
            case status:
                raise Ended(RunOutcome.INTERNAL, f"the conversation stopped as {status}")

    async def _until_it_stops(self) -> None:
        conversation = self.opened.conversation
        if isinstance(conversation, LocalConversation):
            used = usage_of(conversation).llm_calls
            conversation.max_iteration_per_run = max(1, self.limits.max_iterations - used)
            # Decorators hide both methods' arguments from the type checker.
            await cast("Any", conversation).arun()
        elif isinstance(conversation, RemoteConversation):
            # Its `arun` blocks the loop.
            run = cast("Any", conversation).run
            await asyncio.to_thread(run, poll_interval=_POLL, timeout=self.limits.wall_clock_seconds)

    def _check_limits(self) -> None:
        """The library looks at limits after a call; before the first of a turn it is up to us."""
        used = usage_of(self.opened.conversation)
        if used.llm_calls >= self.limits.max_iterations:
            raise Ended(RunOutcome.ITERATION_LIMIT, f"the agent used up {self.limits.max_iterations} calls")
        if over := over_budget(used, self.limits):
            raise Ended(RunOutcome.BUDGET, over)

    def _raise_error_since(self, seen: int) -> None:
        for event in self.opened.conversation.state.events[seen:]:
            if isinstance(event, ConversationErrorEvent):
                reply = self.meter.reply
                said = f"{event.detail}\n{reply.body if reply else ''}"
                outcome = of_error(event.code, said, reply.status if reply else None)
                raise Ended(outcome, f"{event.code}: {event.detail}")

    def _faults_of_reply(self) -> Problems | None:
        reply = self.meter.reply
        if reply is not None and reply.stopped_by == "length":
            return Problems(["your reply was broken off"], submitted=True)
        if reply is not None and reply.ambiguous:
            return Problems(["the arguments of `finish` have one key twice"], submitted=True)
        return None

    def _stuck(self) -> Ended:
        result = read(turns(self.opened.events)[-1], self.task.stages)
        if isinstance(result, Problems) and result.submitted:
            return Ended(RunOutcome.REJECTED_SUBMISSION, "the agent repeats a submission that is not valid")
        return Ended(RunOutcome.STUCK, "the agent repeats itself")

    async def _repair(self, index: int, problems: Problems) -> None:
        texts = problems.texts
        if self.repairs >= self.limits.repair_turns:
            outcome = RunOutcome.REJECTED_SUBMISSION if problems.submitted else RunOutcome.NO_SUBMISSION
            raise Ended(outcome, "; ".join(texts))
        with library():
            # Else the next turn would begin by executing the second of two submissions.
            await asyncio.to_thread(self.opened.conversation.reject_pending_actions, "superseded")
        listed = "\n".join(f"- {text}" for text in texts)
        await self._say(index, self.repairs + 1, f"This was not accepted:\n{listed}\n{_FINISH_ONCE}")


@contextmanager
def library() -> Iterator[None]:
    """A call into the library: what that raises is an outcome, while an error of ours stays an error."""
    try:
        yield
    except AgentNotIsolated as error:
        raise Ended(RunOutcome.MISCONFIGURED, error.message) from error
    except httpx.HTTPStatusError as error:
        raise Ended(of_error("HTTP", str(error), error.response.status_code), str(error)) from error
    except (httpx.HTTPError, WebSocketConnectionError, TimeoutError) as error:
        raise Ended(RunOutcome.UNAVAILABLE, f"the agent server does not answer: {error}") from error
    except (ConversationRunError, OSError, ValueError, RuntimeError, LookupError, TypeError) as error:
        raise Ended(RunOutcome.INTERNAL, f"{type(error).__name__}: {error}") from error
