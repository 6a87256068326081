"""Signals that end a command: held back where a half-done step would leave something behind."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """A signal ended the command: a Ctrl-C to all that takes one, as a driver that cancels its query does.

    Attributes:
        code: The exit code that a shell knows for that signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


class Held:
    """The signals that came meanwhile.

    Attributes:
        came: Whether there was one, looked for or not.
    """

    def __init__(self) -> None:
        # The one queue of the library that a signal's handler may put into.
        self._came: SimpleQueue[int] = SimpleQueue()
        self.came = False

    def wait(self, seconds: float | None = None) -> None:
        """Let so many seconds pass; None waits for a signal.

        Raises:
            Ended: A signal has come, now or since the last look.
        """
        try:
            number = self._came.get(timeout=seconds)
        except Empty:
            return
        raise Ended(number)

    def look(self) -> None:
        """As `wait`, without waiting."""
        self.wait(0)

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Keep the first one; whoever sends a second one does not want to wait.

        Raises:
            Ended: It is not the first one.
        """
        if self.came:
            raise Ended(number)
        self.came = True
        self._came.put(number)


def end_in_order() -> None:
    """From now on the signals raise `Ended`: embedded servers stop and temporary folders go."""
    _handle(_end)


@contextmanager
def held() -> Iterator[Held]:
    """Hold the first signal back until it is looked for; one that nobody looked for counts at the end.

    It counts more than an error, which is likely to come of it: Ctrl-C reaches the programs that this one has
    started, too. Not held back, a signal could leave threads running that were started and not yet entered in
    whatever stops them, or the lock of an import taken that another thread waits for.
    """
    before = {number: signal.getsignal(number) for number in ENDING}
    signals = Held()
    _handle(signals.handle)
    try:
        yield signals
        signals.look()
    except Exception:
        signals.look()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in ENDING:
        # What runs in the background or under nohup ignores some of them, and must go on doing so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    raise Ended(number)
