"""One run from its beginning to its end: opened, bounded in time, told as one outcome, and closed."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from omoi_os.errors import OmoiError
from omoi_os.judge.conversation import Opened, open_conversation, prepare_library
from omoi_os.judge.environment import without_secrets
from omoi_os.judge.halt import Ended, Halt
from omoi_os.judge.run import AgentRun, AgentTask, Host, Limits, Model, Pace, RunOutcome, Usage
from omoi_os.judge.stages import Stages, library
from omoi_os.judge.wire import Meter, current

_LONGEST_DETAIL: Final = 500
# What the closing may take beyond the deadline before it is left to its thread.
_CLOSING: Final = 0.5
_NOT_LET: Final = "the time for the run is over, and the budget of model calls per minute let no call go"


async def drive(task: AgentTask, model: Model, limits: Limits, host: Host | None, halt: Halt) -> AgentRun:
    """Run a task on the loop of the agents. Everything that is awaited lies in one scope of time."""
    started = time.monotonic()
    task = replace(task, conversation_id=task.conversation_id or uuid4())
    secret = model.api_key.get_secret_value()
    meter = Meter(limits.max_reply_bytes, secret, halt.stop, _pace(model, halt), limits.llm_timeout_seconds)
    current.set(meter)
    prepare_library()
    stages: Stages | None = None
    ended: Ended | None = None
    before = Usage()
    async with AsyncExitStack() as afterwards:
        try:
            async with asyncio.timeout(limits.wall_clock_seconds) as scope:
                halt.watch(scope)
                opened = await _open(task, model, limits, host, halt)
                afterwards.push_async_callback(_close, opened)
                stages = Stages(task, limits, opened, halt, meter)
                before = await _usage(stages) or before
                if not (opened.is_local and model.passes_our_wire):
                    await meter.pace()
                await stages.run()
        except Ended as end:
            ended = end
        except TimeoutError:
            ended = halt.reason()
        finally:
            halt.watch(None)
        run = await _told(task, stages, ended, meter, before)
    return replace(run, usage=replace(run.usage, wall_seconds=time.monotonic() - started))


def _pace(model: Model, halt: Halt) -> Pace:
    """The pace of the model, for which a run waits no longer than it may take."""

    async def pace() -> None:
        if model.pace is None:
            return
        with halt.waiting(RunOutcome.RATE_LIMITED, _NOT_LET):
            try:
                await model.pace()
            except OmoiError as error:
                # The library would take it for a fault of the provider, and try again.
                halt.stop(RunOutcome.UNAVAILABLE, error.message)
                raise Ended(RunOutcome.UNAVAILABLE, error.message) from error

    return pace


async def _open(task: AgentTask, model: Model, limits: Limits, host: Host | None, halt: Halt) -> Opened:
    work = asyncio.to_thread(open_conversation, task, model, limits, host, halt.stop)
    opening = asyncio.ensure_future(work)
    try:
        with library():
            return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise


def _close_late(opening: asyncio.Future[Opened]) -> None:
    """The thread that opened it could not be cancelled with the run."""
    if opening.exception() is None:
        opening.get_loop().run_in_executor(None, opening.result().close)


async def _close(opened: Opened) -> None:
    closing = asyncio.ensure_future(asyncio.to_thread(opened.close))
    await asyncio.wait([closing], timeout=_CLOSING)


async def _told(
    task: AgentTask, stages: Stages | None, ended: Ended | None, meter: Meter, before: Usage
) -> AgentRun:
    assert task.conversation_id is not None  # noqa: S101 given when the run began
    used = await _usage(stages) if stages else None
    answered = Usage(llm_calls=meter.answered)
    detail = without_secrets(" ".join(ended.detail.split()), meter.secret) if ended else ""
    return AgentRun(
        outcome=ended.outcome if ended else RunOutcome.ACCEPTED,
        values=tuple(stages.values) if stages else (),
        detail=detail[:_LONGEST_DETAIL],
        usage=used or answered,
        added=used.since(before) if used else answered,
        conversation_id=task.conversation_id,
        transcript=_transcript(stages),
    )


async def _usage(stages: Stages) -> Usage | None:
    # An agent server is asked over HTTP, and may be the reason why the run ended.
    asking = asyncio.ensure_future(asyncio.to_thread(stages.usage))
    done, _ = await asyncio.wait([asking], timeout=_CLOSING)
    return asking.result() if done and asking.exception() is None else None


def _transcript(stages: Stages | None) -> Path | None:
    folder = stages.opened.conversation.state.persistence_dir if stages and stages.opened.is_local else None
    return Path(folder) if folder else None
