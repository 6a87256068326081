"""Logs: one line per event on stderr, with secrets taken out in one place."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, Final, cast

import structlog

_SECRET_NAME: Final = re.compile(r"(?i)(password|passwd|secret|token|api[_-]?key|authorization|cookie)")
_SECRET_TEXT: Final = re.compile(
    r"(?i)(?P<before>bearer\s+|(?:password|secret|token|api[_-]?key)\s*[=:]\s*)[^\s@'\",;&]+"
)
# All that follows is read in any case: a text without the "@" takes no longer.
_ADDRESS: Final = re.compile(r"(?P<user>://(?!\[[\da-fA-F:.]+\])[^/\s:]*:)(?P<rest>\S+)")
_PORT: Final = re.compile(r"\d{1,5}\b")
HIDDEN: Final = "[redacted]"


def redact(text: str) -> str:
    """`text` without passwords in addresses, bearer tokens and values of telling names."""
    return _SECRET_TEXT.sub(lambda match: match["before"] + HIDDEN, _ADDRESS.sub(_without_password, text))


def _without_password(address: re.Match[str]) -> str:
    """A password may have any character in it, so it ends at the last "@", which may have been cut off."""
    user, rest = address["user"], address["rest"]
    if "@" in rest:
        return f"{user}{HIDDEN}@{rest.rpartition('@')[2]}"
    return address[0] if _PORT.match(rest) else user + HIDDEN


def redact_json[Value](value: Value, clean: Callable[[str], str] = redact) -> Value:
    """A JSON value whose texts are cleaned, and hidden whole where their key tells that they are secret."""
    return cast("Value", _redacted(value, clean, secret=False))


def _redacted(value: object, clean: Callable[[str], str], *, secret: bool) -> object:
    match value:
        case str():
            return HIDDEN if secret and value else clean(value)
        case dict():
            return {
                name: _redacted(item, clean, secret=secret or _SECRET_NAME.search(name) is not None)
                for name, item in value.items()
            }
        case list():
            return [_redacted(item, clean, secret=secret) for item in value]
        case _:
            return value


def _redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if _SECRET_NAME.search(name):
            event[name] = HIDDEN
        elif isinstance(value, str):
            event[name] = redact(value)
    return event


class _Forwarded(logging.Handler):
    """What a library logs, on the way that our own lines take: redacted, and to where they go."""

    def emit(self, record: logging.LogRecord) -> None:
        if structlog.is_configured():
            structlog.get_logger().log(record.levelno, record.getMessage(), library=record.name)
        else:
            print(redact(f"{record.name}: {record.getMessage()}"), file=sys.stderr)  # noqa: T201


def adopt(library: str) -> None:
    """Let a library's warnings and errors take the way of our own lines, instead of one of its own."""
    logger = logging.getLogger(library)
    logger.handlers[:] = [_Forwarded()]
    logger.propagate = False
    logger.setLevel(logging.WARNING)


def configure(*, json_lines: bool) -> None:
    """Set up structlog for the process: JSON lines for machines, plain lines for a terminal."""
    renderer: Any = (
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
