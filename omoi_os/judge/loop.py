"""One event loop for all agents of a process, in a thread of its own.

litellm binds connections and a task to the loop that it first ran on, and a run must not care from which
thread or loop it is asked for.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

# Each run occupies a thread only while it opens, closes or sends a message, or a tool works.
_THREADS = 64
_lock = threading.Lock()


def agent_loop() -> asyncio.AbstractEventLoop:
    # Without the lock, runs that are the first ones together would each make a loop.
    with _lock:
        return _made()


@cache
def _made() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, "agent"))
    threading.Thread(target=loop.run_forever, name="agents", daemon=True).start()
    return loop
