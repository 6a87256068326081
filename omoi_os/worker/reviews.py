"""The workflow of a review: the steps of `DurableReviews`, in an order that a crash cannot change.

The engine knows its workflows from when this module is imported; `use` says what they work with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Final

import structlog
from dbos import DBOS

from omoi_os import faults
from omoi_os.domain.reviews import Next
from omoi_os.domain.verdict import Finding
from omoi_os.services.consequences import Consequences
from omoi_os.services.durable_reviews import FAILED, Desk, DurableReviews, Kept, State
from omoi_os.services.gate.record import RESTLESS
from omoi_os.worker.outages import through_outages
from omoi_os.worker.running import here

_TURN: Final = 0.5
"""Seconds between two looks whether a review's turn has come."""

log = structlog.get_logger(__name__)

ROUNDS: Final = 3
"""Times that an attempt begins again because what it measured changed."""

_LAST_WORDS: Final = 5.0
"""Seconds for which a stopped judge is waited for."""


class _Tools:
    """What the workflows of this process work with."""

    durable: DurableReviews
    consequences: Consequences


def use(durable: DurableReviews, consequences: Consequences) -> None:
    """Say what reviews are done with, before the engine is launched."""
    _Tools.durable, _Tools.consequences = durable, consequences


# How often it may be taken is counted in the review's own row, which can then be ended.
@DBOS.workflow(name="review", max_recovery_attempts=None)
async def review(review_id: str, judges: bool) -> str:  # noqa: FBT001 - arguments travel as JSON
    """Review a gate, and do what follows; returns how it went.

    Args:
        judges: Whether a judge may be asked here, or the review is handed on to those that may.
    """
    # No step: each execution takes the review anew, and the one before records nothing any more.
    with here() as runner:
        return await _review(review_id, runner, judges=judges)


async def _review(review_id: str, runner: str, *, judges: bool) -> str:
    take = partial(_Tools.durable.take, review_id, runner, judges=judges)
    while (desk := await through_outages(take)).early:
        await asyncio.sleep(_TURN)
    try:
        found = await _attempt(desk)
    except Exception:  # whatever was met, the review must come to an end
        log.exception("review_failed", review_id=review_id)
        found = await give_up(desk, FAILED)
    finally:
        await asyncio.to_thread(desk.clear)
    if found["state"] in (State.DECIDED, State.LOST):
        follows = await carry_on(review_id)
        if follows == Next.ADVANCE and _Tools.consequences.sums_up:
            await sum_up(review_id)
    return str(found["state"])


async def _attempt(desk: Desk) -> Kept:
    for _ in range(ROUNDS):
        found = await _round(desk)
        if found["state"] != State.CHANGED:
            return found
    return await give_up(desk, RESTLESS)


async def _round(desk: Desk) -> Kept:
    collected = await collect(desk)
    if collected["state"] != State.OK:
        return collected
    ground = await snapshot(desk)
    if ground["state"] != State.OK:
        return ground
    found = await measure(desk, ground)
    if found["state"] != State.OK:
        return found
    measured = found["measured"]
    if not measured["asks"]:
        return await record(desk, measured, None)
    if not desk.judges:
        return await hand_on(desk)
    judged = await judge(desk, measured)
    return await record(desk, measured, judged) if judged["state"] == State.OK else judged


def _step[**P, T](
    name: str, *, preemptible: bool = False
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """A step of the engine, which keeps what the function returns."""

    def decorate(work: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @wraps(work)
        async def done(*args: P.args, **kwargs: P.kwargs) -> T:
            found = await work(*args, **kwargs)
            faults.reached(f"step_{name}.before_commit", _about(*args))
            return found

        kept = DBOS.step(name=name, preemptible=preemptible)(done)

        @wraps(work)
        async def known(*args: P.args, **kwargs: P.kwargs) -> T:
            found = await kept(*args, **kwargs)
            faults.reached(f"step_{name}.after_commit", _about(*args))
            return found

        return known

    return decorate


def _about(first: object = None, *_: object) -> str | None:
    return first.review_id if isinstance(first, Desk) else str(first)


@_step("collect")
async def collect(desk: Desk) -> Kept:
    return await through_outages(partial(_Tools.durable.collect, desk))


@_step("snapshot")
async def snapshot(desk: Desk) -> Kept:
    return await through_outages(partial(_Tools.durable.snapshot, desk))


@_step("measure")
async def measure(desk: Desk, ground: Kept) -> Kept:
    return await through_outages(partial(_Tools.durable.measure, desk, ground))


@_step("hand_on")
async def hand_on(desk: Desk) -> Kept:
    return await through_outages(partial(_Tools.durable.hand_on, desk))


# Asynchronous and preemptible: a step that is not would go on, and be paid for, after a cancellation.
@_step("judge", preemptible=True)
async def judge(desk: Desk, measured: Kept) -> Kept:
    asking = asyncio.ensure_future(through_outages(partial(_Tools.durable.judge, desk, measured)))
    try:
        return await asyncio.shield(asking)
    except asyncio.CancelledError:
        _Tools.durable.stop_judge(desk, measured)
        await asyncio.wait([asking], timeout=_LAST_WORDS)
        raise


@_step("record")
async def record(desk: Desk, measured: Kept, judged: Kept | None) -> Kept:
    return await through_outages(partial(_Tools.durable.record, desk, measured, judged))


@_step("give_up")
async def give_up(desk: Desk, why: Finding) -> Kept:
    return await through_outages(partial(_Tools.durable.give_up, desk, why))


@_step("carry_on")
async def carry_on(review_id: str) -> str | None:
    return await through_outages(partial(_Tools.consequences.follow, review_id))


@DBOS.step(name="sum_up")
async def sum_up(review_id: str) -> str:
    return await through_outages(partial(_Tools.consequences.sum_up, review_id))
