"""What was said in a conversation, for people: from the files in which the library keeps it.

The files are JSON of the library's own and hold everything, also what a reviewed program wrote: nothing of it
may steer a terminal, name a secret, or fill a page for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

from omoi_os.errors import NotFound
from omoi_os.judge.environment import without_secrets

_MOST_ENTRIES: Final = 500
_MOST_CHARS: Final = 6_000
_BIGGEST_FILE: Final = 16_000_000
_READING: Final = "read_file"


class EntryKind(StrEnum):
    """Who speaks in an entry."""

    INSTRUCTIONS = "instructions"
    ASKED = "asked"
    SAID = "said"
    CALLED = "called"
    SHOWN = "shown"
    ERROR = "error"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes:
        at: Local time of the process that judged, as ISO 8601; "" where it is not known.
        tool: Of calls and of what they showed; else "".
        text: Without secrets and control characters, of bounded length; lines are kept.
    """

    kind: EntryKind
    text: str
    at: str = ""
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A conversation.

    Attributes:
        files_read: Paths that the judge asked for with the reading tool, each once.
        cost_usd: None where no price is known.
        left_out: Entries in the middle that are not shown.
    """

    entries: tuple[Entry, ...]
    files_read: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    llm_calls: int = 0
    left_out: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_transcript(folder: Path, *secrets: str) -> Transcript:
    """The conversation that `AgentRun.transcript` or `Opinion.transcript` names.

    Args:
        secrets: Taken out beside those that the environment held.

    Raises:
        NotFound: The folder is gone, or was never written.
    """
    try:
        paths = sorted((folder / "events").glob("event-*.json"))
    except OSError:
        paths = []
    if not paths:
        raise NotFound("the transcript of this review is not there any more")
    most = _MOST_ENTRIES // 2
    left_out = max(0, len(paths) - 2 * most)
    shown = [*paths[:most], *paths[most + left_out :]]
    events = [_read(path) for path in shown]
    entries = tuple(_entry(event, secrets) for event in events)
    reads = (_clean(path, secrets) for path in _paths_read(events))
    return _with_usage(folder, Transcript(entries, tuple(dict.fromkeys(reads)), left_out=left_out))


class _Part(msgspec.Struct):
    text: str = ""


class _Message(msgspec.Struct):
    content: list[_Part] = []


class _Call(msgspec.Struct):
    arguments: str = ""


class _Event(msgspec.Struct):
    """The fields of all kinds of event that are worth showing."""

    kind: str = ""
    timestamp: str = ""
    source: str = ""
    system_prompt: _Part | None = None
    llm_message: _Message | None = None
    thought: list[_Part] = []
    tool_name: str = ""
    tool_call: _Call | None = None
    observation: _Message | None = None
    error: str = ""
    code: str = ""
    detail: str = ""


class _ReadArguments(msgspec.Struct):
    path: str


class _Tokens(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Metrics(msgspec.Struct):
    accumulated_cost: float = 0.0
    accumulated_token_usage: _Tokens | None = None
    costs: list[dict[str, Any]] = []
    response_latencies: list[dict[str, Any]] = []


class _Stats(msgspec.Struct):
    usage_to_metrics: dict[str, _Metrics] = {}


class _State(msgspec.Struct):
    stats: _Stats = msgspec.field(default_factory=_Stats)


_decode_event: Final = msgspec.json.Decoder(_Event).decode
_decode_state: Final = msgspec.json.Decoder(_State).decode
_decode_arguments: Final = msgspec.json.Decoder(_ReadArguments).decode


def _read(path: Path) -> _Event | None:
    try:
        with path.open("rb") as file:
            content = file.read(_BIGGEST_FILE + 1)
        return _decode_event(content) if len(content) <= _BIGGEST_FILE else None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _entry(event: _Event | None, secrets: Sequence[str]) -> Entry:
    if event is None:
        return Entry(EntryKind.UNREADABLE, "this entry cannot be read")
    kind, text = _told(event)
    return Entry(
        kind, _clean(text, secrets), _clean(event.timestamp[:40], ()), _clean(event.tool_name, secrets)
    )


def _told(event: _Event) -> tuple[EntryKind, str]:
    if event.system_prompt is not None:
        return EntryKind.INSTRUCTIONS, event.system_prompt.text
    if event.llm_message is not None:
        asked = event.source == "user"
        return (EntryKind.ASKED if asked else EntryKind.SAID), _joined(event.llm_message.content)
    if event.observation is not None:
        return EntryKind.SHOWN, _joined(event.observation.content)
    if event.tool_call is not None:
        said = [_joined(event.thought), event.tool_call.arguments]
        return EntryKind.CALLED, "\n".join(filter(None, said))
    if event.error or event.code or event.detail:
        return EntryKind.ERROR, ": ".join(filter(None, [event.code, event.error or event.detail]))
    return EntryKind.UNREADABLE, f"an entry of the kind {event.kind[:80] or 'unknown'}"


def _joined(parts: Sequence[_Part]) -> str:
    return "\n".join(part.text for part in parts if part.text)


def _paths_read(events: Sequence[_Event | None]) -> Iterator[str]:
    for event in events:
        if event is None or event.tool_name != _READING or event.tool_call is None:
            continue
        try:
            yield _decode_arguments(event.tool_call.arguments).path
        except msgspec.MsgspecError:
            continue


def _clean(text: str, secrets: Sequence[str]) -> str:
    """Secrets first: a cut through one would hide it from the search, and not from people."""
    clean = "".join(map(_visible, without_secrets(text, *secrets)))
    if len(clean) <= _MOST_CHARS:
        return clean
    half = _MOST_CHARS // 2
    return f"{clean[:half]}\n[… {len(clean) - 2 * half:,} characters …]\n{clean[-half:]}"


def _visible(letter: str) -> str:
    if letter == "\n" or letter.isprintable():
        return letter
    return letter.encode("unicode_escape").decode("ascii")


def _with_usage(folder: Path, transcript: Transcript) -> Transcript:
    try:
        metrics = _decode_state((folder / "base_state.json").read_bytes()).stats.usage_to_metrics.values()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return transcript
    tokens = [one.accumulated_token_usage or _Tokens() for one in metrics]
    # Only known prices are added up: nothing added means that none was known.
    known = any(one.costs or one.accumulated_cost for one in metrics)
    return replace(
        transcript,
        prompt_tokens=sum(one.prompt_tokens for one in tokens),
        completion_tokens=sum(one.completion_tokens for one in tokens),
        cost_usd=sum(one.accumulated_cost for one in metrics) if known else None,
        llm_calls=sum(len(one.response_latencies) for one in metrics),
    )
