"""Signals that end a command: none is lost, and none cuts off what would leave something behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from omoi_os.cli.signals import ENDING, Ended, end_in_order, held
from omoi_os.services.database import DatabaseService


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    # Whoever runs the tests in the background has some of them ignored.
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_a_command_with_the_shells_code_for_it(number: signal.Signals) -> None:
    end_in_order()
    with pytest.raises(Ended) as ended:
        signal.raise_signal(number)
    assert ended.value.code == 128 + number


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_is_held_back_until_it_is_looked_for(number: signal.Signals) -> None:
    with held() as signals:
        signals.look()
        signal.raise_signal(number)
        assert signals.came
        with pytest.raises(Ended) as ended:
            signals.look()
        assert ended.value.code == 128 + number
        signals.look()


def test_the_second_signal_ends_wherever_it_comes() -> None:
    with pytest.raises(Ended) as ended, held() as signals:  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert ended.value.code == 128 + signal.SIGINT
    assert signals.came


def test_a_signal_that_nobody_looked_for_counts_at_the_end() -> None:
    done = []
    with pytest.raises(Ended), held():  # noqa: PT012
        signal.raise_signal(signal.SIGHUP)
        done.append("all of it")
    assert done


def test_an_error_after_a_signal_came_of_it() -> None:
    with pytest.raises(Ended) as ended, held():  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        raise ZeroDivisionError
    assert isinstance(ended.value.__context__, ZeroDivisionError)


def test_an_error_after_a_signal_that_was_looked_for_is_an_error() -> None:
    with pytest.raises(ZeroDivisionError), held() as signals:  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        with suppress(Ended):
            signals.look()
        raise ZeroDivisionError


def test_the_handlers_are_as_before_afterwards() -> None:
    end_in_order()
    with held():
        pass
    with pytest.raises(Ended):
        signal.raise_signal(signal.SIGTERM)


def _hold() -> None:
    with held():
        signal.raise_signal(signal.SIGHUP)


def _end() -> None:
    end_in_order()
    signal.raise_signal(signal.SIGHUP)


@pytest.mark.parametrize("run", [_hold, _end])
def test_what_the_shell_made_the_command_ignore_stays_ignored(run: Callable[[], None]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("seconds", [None, 60.0])
def test_waiting_ends_with_the_signal(seconds: float | None) -> None:
    began = time.monotonic()
    with held() as signals:
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGTERM]).start()
        with pytest.raises(Ended):
            signals.wait(seconds)
    assert 0.1 < time.monotonic() - began < 30


def test_waiting_ends_with_its_time() -> None:
    with held() as signals:
        signals.wait(0.01)


def test_a_statement_that_a_signal_cuts_off_leaves_its_connection_to_nobody(
    db_service: DatabaseService,
) -> None:
    for _ in range(20):  # more than there are connections
        with pytest.raises(Ended), db_service.single_statements() as connection:  # noqa: PT012
            connection.pgconn.send_query(b"select pg_sleep(60)")
            raise Ended(signal.SIGTERM)
    with db_service.single_statements() as connection:
        assert connection.execute("select 1").fetchone() == (1,)


_IMPORTING = """
import _imp, sys, threading, time
from omoi_os.judge.loop import agent_loop

begun = threading.Event()

class AtTheEnd:
    def __init__(self):
        self.collected_at_the_end = self

    def __del__(self):
        import colorsys

def load():
    _imp.acquire_lock()  # as an import does for a moment, many hundred times for a large library
    begun.set()
    time.sleep(1)
    _imp.release_lock()

agent_loop().call_soon_threadsafe(load)
begun.wait()
AtTheEnd()
"""


def test_a_process_whose_agents_are_loading_ends() -> None:
    """A finalizer that imports would wait for ever for a thread that was stopped while it imported."""
    ran = subprocess.run(
        [sys.executable, "-c", _IMPORTING], timeout=30, check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0
