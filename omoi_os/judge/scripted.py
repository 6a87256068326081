"""A language model that says what it is told to: an OpenAI-compatible server on loopback.

It drives the real agent, its tools and its limits, without a key and without a network: for the demo, for
the tests, and for anybody who writes prompts.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

_BIGGEST_REQUEST: Final = 64_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What the agent sent.

    Attributes:
        turn: How often the model has answered in this conversation.
    """

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        return list(self.body.get("messages", []))

    @property
    def turn(self) -> int:
        return sum(1 for message in self.messages if message.get("role") == "assistant")

    def text(self) -> str:
        """Every message, as one text to look something up in."""
        return "\n".join(_texts(self.messages))


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over the wire.

    Attributes:
        chunks: The body, sent piece by piece, with its length where it is a list; None hangs up.
        pause: Seconds before each piece.
    """

    chunks: Iterable[bytes] | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool; text arguments are sent as they are, and need not be JSON."""

    tool: str
    arguments: Mapping[str, Any] | str


type Script = Callable[[Request], Answer]


def says(
    text: str | None = None,
    *calls: Call,
    stopped_by: str | None = None,
    tokens: tuple[int, int] = (1200, 80),
    **message: object,
) -> Answer:
    """A well-formed reply: prose, calls of tools, or both.

    Args:
        text: The prose.
        calls: In one reply.
        stopped_by: The reason that the model gives for stopping; by default the usual one.
        tokens: Read and written, as the provider counts them.
        message: Further fields of the message ("refusal", "reasoning_content", …).
    """
    said: dict[str, object] = {"role": "assistant", "content": text, **message}
    if calls:
        said["tool_calls"] = [_tool_call(number, call) for number, call in enumerate(calls)]
    choice = {
        "index": 0,
        "message": said,
        "finish_reason": stopped_by or ("tool_calls" if calls else "stop"),
    }
    return body({**_envelope(tokens), "choices": [choice]})


def finishes(**submission: object) -> Answer:
    """A submission, as an obedient model sends it."""
    return says(None, finish(**submission))


def finish(**submission: object) -> Call:
    return Call("finish", {"message": "done", **submission})


def body(value: object, status: int = 200) -> Answer:
    """Any JSON as a reply."""
    return Answer([json.dumps(value).encode()], status)


def fails(status: int, message: str = "", *, kind: str = "error", code: str | None = None) -> Answer:
    """An error as such servers report it."""
    return body({"error": {"message": message or f"status {status}", "type": kind, "code": code}}, status)


def hangs_up() -> Answer:
    return Answer(None)


def in_turn(*answers: Answer) -> Script:
    """One answer after the other; the last one again and again."""
    return lambda request: answers[min(request.turn, len(answers) - 1)]


class ScriptedModel:
    """The server, while it is used in a `with` statement.

    Attributes:
        requests: Everything that was asked, in its order.
    """

    def __init__(self, script: Script, *, seconds: float = 0.0) -> None:
        self.requests: list[Request] = []
        self._script = script
        self._seconds = seconds
        self._stopped = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: Request) -> Answer:
        """What the script says, after the time that the model takes."""
        self.requests.append(request)
        self.wait(self._seconds)
        return self._script(request)

    def wait(self, seconds: float) -> bool:
        """Wait; true when the server was stopped meanwhile."""
        return self._stopped.wait(seconds) if seconds else self._stopped.is_set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, model: ScriptedModel) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = model


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""

    def do_POST(self) -> None:
        size = min(int(self.headers.get("content-length", 0)), _BIGGEST_REQUEST)
        asked = Request(self.path, dict(self.headers), json.loads(self.rfile.read(size)))
        try:
            self._send(self.server.model.answer(asked))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, answer: Answer) -> None:
        # Without a length the end of the connection is the end of the body.
        self.close_connection = not isinstance(answer.chunks, list)
        if answer.chunks is None:
            return
        self.send_response(answer.status)
        self.send_header("content-type", "application/json")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(answer.chunks, list):
            self.send_header("content-length", str(sum(map(len, answer.chunks))))
        self.end_headers()
        for chunk in answer.chunks:
            if self.server.model.wait(answer.pause):
                return
            self.wfile.write(chunk)


def _tool_call(number: int, call: Call) -> dict[str, object]:
    arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
    function = {"name": call.tool, "arguments": arguments}
    return {"id": f"call_{time.monotonic_ns()}_{number}", "type": "function", "function": function}


def _envelope(tokens: tuple[int, int]) -> dict[str, object]:
    read, written = tokens
    return {
        "id": f"scripted-{time.monotonic_ns()}",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def _texts(messages: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            yield content
        for part in content if isinstance(content, list) else ():
            yield str(part.get("text", ""))
