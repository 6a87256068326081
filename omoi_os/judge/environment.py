"""What the process of an agent must look like before OpenHands is loaded.

The library reads switches when it is imported, turns tracing on because of variables that were meant for
somebody else, and hands the environment on to whatever a tool starts. So the switches are set, the
tracing variables and every secret are taken out, once, and for good: settings are read before, and a
database's password belongs into its address and not into PGPASSWORD.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import threading
import urllib.request
from typing import Final

from omoi_os.errors import OmoiError
from omoi_os.logs import HIDDEN, redact

_SWITCHES: Final = {
    "OPENHANDS_SUPPRESS_BANNER": "1",
    # Without it the import asks the network for prices, and fails where there is none.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LOG_AUTO_CONFIG": "false",
    "LOG_TO_FILE": "false",
    "DEBUG": "false",
    "DEBUG_LLM": "false",
    "DISABLE_AIOHTTP_TRANSPORT": "True",
}
_NOT_FOR_AGENTS: Final = ("OTEL_", "LMNR_", "TRACELOOP_", "AUTOMATION_", "LITELLM_", "OPENHANDS_", "OH_")
_SECRET: Final = re.compile(
    r"(?i)(^|_)(pass|password|passwd|pgpassword|secret|secrets|token|key|apikey|pat|dsn|auth|cookie|credentials?"
    r"|authorization|connection_string|database_url)(_|$)"
)
_URL_PASSWORD: Final = re.compile(r"://[^/\s@]*:[^/\s@]+@")
# A shorter one may be a common word, and every text that says it would be torn.
SHORTEST_SECRET: Final = 12
_LOGGERS: Final = ("openhands", "LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "litellm", "httpx", "openai")

_lock = threading.Lock()
_state: tempfile.TemporaryDirectory[str] | None = None
_taken: set[str] = set()
_proxies: dict[str, str] = {}


class AgentNotIsolated(OmoiError):
    """The agent's own folder is not empty and alone, so that somebody else's plugins could run in it."""

    code = "agent_not_isolated"


def prepare() -> None:
    """Make the process fit for an agent. Only the first call does anything.

    Raises:
        RuntimeError: OpenHands was loaded before, with whatever the environment held then.
    """
    global _state  # noqa: PLW0603 one process has one environment
    with _lock:
        if _state is not None:
            return
        if "openhands.sdk" in sys.modules:
            raise RuntimeError("openhands was imported before its environment was prepared")
        # Also where it would look for the user's own plugins and skills: an empty folder of this process.
        _state = tempfile.TemporaryDirectory(prefix="omoi-agent-", ignore_cleanup_errors=True)
        _proxies.update(urllib.request.getproxies())
        _take_out()
        os.environ.update(_SWITCHES, OH_PERSISTENCE_DIR=_state.name)
        _silence()


def proxies() -> dict[str, str]:
    """The proxies by scheme that the environment named, passwords and all, before `prepare` took them out."""
    return dict(_proxies)


def without_known_secrets(text: str, *secrets: str) -> str:
    """`text` without `secrets` and without what was taken out of the environment; else letter by letter."""
    with _lock:
        known = {*_taken, *secrets}
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    return text


def without_secrets(text: str, *secrets: str) -> str:
    """`text` without known secrets and without anything that looks like one."""
    return redact(without_known_secrets(text, *secrets))


def learn(*secrets: str) -> None:
    """Know secrets that came from elsewhere, such as a model's key: no tool shows them from now on."""
    _taken.update(secret for secret in secrets if secret)


def _take_out() -> None:
    for name, value in list(os.environ.items()):
        if _SECRET.search(name) or _URL_PASSWORD.search(value):
            _taken.add(value)
        elif not name.startswith(_NOT_FOR_AGENTS):
            continue
        del os.environ[name]


def _silence() -> None:
    # Their messages quote prompts, artifacts and, from a provider's 401, the key. What matters is in the run.
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
