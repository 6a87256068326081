"""One event loop for all agents of a process, in a thread of its own.

litellm binds connections and a task to the loop that it first ran on, and a run must not care from which
thread or loop it is asked for.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

# Each run occupies a thread only while it opens, closes or sends a message, or a tool works.
_THREADS = 64
_LAST_IMPORT = 10.0
_lock = threading.Lock()


def agent_loop() -> asyncio.AbstractEventLoop:
    # Without the lock, runs that are the first ones together would each make a loop.
    with _lock:
        return _made()


@cache
def _made() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, "agent"))
    thread = threading.Thread(target=loop.run_forever, name="agents", daemon=True)
    thread.start()
    atexit.register(_end, loop, thread)
    return loop


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    # Python stops a daemon thread anywhere. Inside an import it would keep the lock that litellm's
    # finalizers, which import too, then wait for: the process would never end.
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_LAST_IMPORT)
