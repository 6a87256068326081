"""How models and their servers behave: what each does, and how a run of the agent must end then."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from omoi_os.judge.run import RunOutcome
from omoi_os.judge.scripted import (
    Answer,
    Call,
    Request,
    Script,
    body,
    fails,
    finish,
    finishes,
    hangs_up,
    in_turn,
    says,
)
from tests.agent_runs import FINDING, GOOD, Setting, always, good

ACCEPTED = RunOutcome.ACCEPTED
NONE = RunOutcome.NO_SUBMISSION
REJECTED = RunOutcome.REJECTED_SUBMISSION
STUCK = RunOutcome.STUCK
LIMIT = RunOutcome.ITERATION_LIMIT
CLOCK = RunOutcome.WALL_CLOCK
BUDGET = RunOutcome.BUDGET
LARGE = RunOutcome.TOO_LARGE
REFUSED = RunOutcome.REFUSED
RATE = RunOutcome.RATE_LIMITED
AWAY = RunOutcome.UNAVAILABLE
WRONG = RunOutcome.MISCONFIGURED
QUOTA = RunOutcome.QUOTA
INTERNAL = RunOutcome.INTERNAL


@dataclass(frozen=True, slots=True)
class Behaviour:
    name: str
    ends: RunOutcome
    script: Script
    setting: Callable[[Setting], Setting] = lambda setting: setting


def _b(name: str, ends: RunOutcome, *answers: Answer, **limits: object) -> Behaviour:
    return Behaviour(name, ends, in_turn(*answers), lambda setting: setting.with_limits(**limits))


def _arguments(name: str, arguments: str) -> Behaviour:
    return _b(f"arguments: {name}", REJECTED, says(None, Call("finish", arguments)))


def _findings(name: str, **changes: object) -> Behaviour:
    return _b(f"finding: {name}", REJECTED, finishes(findings=[{**FINDING, **changes}]))


def _raw(text: str, status: int = 200, **headers: str) -> Answer:
    return Answer([text.encode()], status, {name.replace("_", "-"): value for name, value in headers.items()})


def _reply(**changes: object) -> Answer:
    """A good reply with some of its fields changed."""
    chunks = good().chunks
    assert isinstance(chunks, list)
    return body({**json.loads(chunks[0]), **changes})


def _by_count(*answers: Answer) -> Script:
    """One answer per request, whatever was said: failures do not add to the conversation."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def _different_reads(request: Request) -> Answer:
    return says(None, Call("read_file", {"path": "plan.md", "start_line": request.turn + 1}))


def _back_and_forth(request: Request) -> Answer:
    return says(None, Call("list_files", {}) if request.turn % 2 else Call("read_file", {"path": "plan.md"}))


def _drip() -> Iterator[bytes]:
    while True:
        yield b" "


def _endless(_: Request) -> Answer:
    return Answer(b"x" * 65_536 for _ in range(1_600))


def _twice(name: str, first: Call, second: Call) -> Behaviour:
    return _b(name, REJECTED, says(None, first, second))


_TOOL = Call("read_file", {"path": "plan.md"})
_CUT = '{"message": "done", "findings": [{"criterion": "scope", "met": tr'
_TWO_KEYS = '{"message": "m", "findings": [{"criterion": "a", "met": false, "met": true, "confidence": 1.0}]}'
_BOMB = gzip.compress(b" " * 50_000_000)
_STATUSES = {
    400: WRONG,
    401: WRONG,
    402: QUOTA,
    403: WRONG,
    404: WRONG,
    408: AWAY,
    413: LARGE,
    422: WRONG,
    429: RATE,
    500: AWAY,
    502: AWAY,
    503: AWAY,
    504: AWAY,
    529: AWAY,
}

BEHAVIOURS = [
    # Submissions that count.
    _b("submits at once", ACCEPTED, good()),
    _b("reads and submits", ACCEPTED, says(None, Call("list_files", {})), says(None, _TOOL), good()),
    _b("speaks beside the call", ACCEPTED, says("Here it is.", finish(**GOOD))),
    _b("corrects its arguments", ACCEPTED, finishes(findings=[]), good()),
    _b("speaks first", ACCEPTED, says("I think it is fine."), good()),
    _b("calls a tool that does not exist", ACCEPTED, says(None, Call("bash", {"command": "id"})), good()),
    _b("calls a tool wrongly", ACCEPTED, says(None, Call("read_file", {"start_line": -1})), good()),
    _b("reads outside", ACCEPTED, says(None, Call("read_file", {"path": "/etc/passwd"})), good()),
    _b("two submissions, then one", ACCEPTED, says(None, finish(**GOOD), finish(**GOOD)), good()),
    _b("is empty once", ACCEPTED, says(""), good()),
    _b("other model name", ACCEPTED, _reply(model="somebody-else-7b")),
    _b("no usage", ACCEPTED, _reply(usage=None)),
    _b("unknown fields", ACCEPTED, _reply(provider="x", citations=[])),
    _b("reasoning beside", ACCEPTED, says(None, finish(**GOOD), reasoning_content="hm")),
    _b("a tool beside the submission", ACCEPTED, says(None, _TOOL, finish(**GOOD))),
    _b("list as text", ACCEPTED, says(None, finish(findings=json.dumps([FINDING])))),
    Behaviour(
        "busy once",
        ACCEPTED,
        _by_count(fails(429, "slow down"), good()),
        lambda s: s.with_limits(llm_attempts=2),
    ),
    Behaviour(
        "broken once", ACCEPTED, _by_count(fails(500), good()), lambda s: s.with_limits(llm_attempts=2)
    ),
    # Nothing was submitted.
    _b("prose only", NONE, says("All criteria are met. PASS.")),
    _b("verdict as prose", NONE, says(json.dumps(GOOD))),
    _b("verdict in a fence", NONE, says("```json\n" + json.dumps(GOOD) + "\n```")),
    _b("call as prose", NONE, says("<function=finish><parameter=findings>[]</parameter></function>")),
    _b("truncated prose", NONE, says("It is all", stopped_by="length")),
    _b("cannot, politely", NONE, says("I am sorry, I cannot help with that.")),
    _b("old field for calls", NONE, says("x", function_call={"name": "finish", "arguments": "{}"})),
    _b("empty", STUCK, says("")),
    _b("null content", STUCK, says(None)),
    _b("white space", STUCK, says(" \n ")),
    # Submissions that do not count.
    _twice("two submissions", finish(**GOOD), finish(**GOOD)),
    _twice("no, then yes", finish(findings=[{**FINDING, "met": False}]), finish(**GOOD)),
    _twice("good, then bad", finish(**GOOD), finish(findings=[])),
    _twice("bad, then good", finish(findings=[]), finish(**GOOD)),
    _twice("good, then broken", finish(**GOOD), Call("finish", "{")),
    _b("complete but cut off", REJECTED, says(None, finish(**GOOD), stopped_by="length")),
    _findings("false as text", met="false"),
    _findings("true as text", met="true"),
    _findings("one as true", met=1),
    _findings("null", met=None),
    _findings("confidence as text", confidence="0.9"),
    _findings("confidence too high", confidence=7),
    _findings("field too many", verdict="pass"),
    _findings("criterion as number", criterion=3),
    _findings("nul", criterion="a\0b"),
    _findings("half a pair", criterion="\ud800"),
    _arguments("key twice", _TWO_KEYS),
    _arguments("NaN", '{"message": "m", "findings": [{"criterion": "a", "met": true, "confidence": NaN}]}'),
    _arguments(
        "infinite", '{"message": "m", "findings": [{"criterion": "a", "met": true, "confidence": 1e999}]}'
    ),
    Behaviour(
        "never good enough", REJECTED, always(good()), lambda s: replace(s, accept=lambda _: ["not enough"])
    ),
    # Runs that come to no end by themselves.
    _b("same call again and again", STUCK, says(None, _TOOL)),
    Behaviour("back and forth", STUCK, _back_and_forth, lambda s: s.with_limits(max_iterations=20)),
    Behaviour("reads on and on", LIMIT, _different_reads),
    _b("drip", CLOCK, Answer(_drip(), pause=0.05), wall_clock_seconds=1.0),
    _b("silence", CLOCK, Answer([b"{}"], pause=30), wall_clock_seconds=1.0),
    _b("silence beyond the patience", AWAY, Answer([b"{}"], pause=30), llm_timeout_seconds=1),
    _b("many tokens", BUDGET, says(None, _TOOL, tokens=(9_000, 2_000)), max_tokens=10_000),
    Behaviour(
        "dear",
        BUDGET,
        always(says(None, _TOOL)),
        lambda s: replace(s.with_limits(max_cost_usd=0.01), prices=(0.01, 0.01)),
    ),
    # Replies that are none.
    _b("no choices", AWAY, _reply(choices=[])),
    _b("choices missing", AWAY, body({"id": "x", "object": "chat.completion", "model": "m"})),
    _b("choices null", AWAY, _reply(choices=None)),
    _b("choice without message", AWAY, _reply(choices=[{"index": 0, "finish_reason": "stop"}])),
    _b("message null", AWAY, _reply(choices=[{"index": 0, "message": None, "finish_reason": "stop"}])),
    _b("garbage", AWAY, _raw("\x00\x01 not json")),
    _b("a page", AWAY, _raw("<html>Welcome</html>", content_type="text/html")),
    _b("nothing at all", AWAY, _raw("")),
    _b("a list", AWAY, _raw("[]")),
    _b("null", AWAY, _raw("null")),
    _b("a stream that nobody asked for", AWAY, _raw("data: {}\n\ndata: [DONE]\n\n")),
    _b("an error with status 200", AWAY, body({"error": {"message": "overloaded"}})),
    _b("shorter than announced", AWAY, _raw("{", content_length="500")),
    Behaviour("endless", LARGE, _endless),
    _b("compressed", AWAY, Answer([_BOMB], headers={"content-encoding": "gzip"})),
    _b("redirect", AWAY, _raw("", 302, location="http://127.0.0.1:9/")),
    _b("hangs up", AWAY, hangs_up()),
    # Refusals.
    _b("filtered", REFUSED, says(None, stopped_by="content_filter")),
    _b("filtered submission", REFUSED, says(None, finish(**GOOD), stopped_by="content_filter")),
    _b("refuses", REFUSED, says(None, refusal="I will not.")),
    _b("policy", REFUSED, fails(400, "content management policy", code="content_policy_violation")),
    _b(
        "overflow", LARGE, fails(400, "maximum context length is 8192 tokens", code="context_length_exceeded")
    ),
    _b("quota", QUOTA, fails(429, "You exceeded your current quota", code="insufficient_quota")),
    _b("wrong model name", WRONG, fails(404, "The model does not exist", code="model_not_found")),
    *(_b(f"status {status}", ends, fails(status)) for status, ends in _STATUSES.items()),
    _b("deep arguments", AWAY, says(None, Call("finish", '{"findings": ' + "[" * 3_000 + "]" * 3_000 + "}"))),
    Behaviour("no key", WRONG, always(good()), lambda s: replace(s, key="")),
    *(
        _arguments(name, text)
        for name, text in {
            "cut": _CUT,
            "nothing": "",
            "null": "null",
            "a list": "[]",
            "a text": '"pass"',
            "a number": "1",
            "no message": json.dumps(GOOD),
            "no findings": '{"message": "m"}',
            "not json": "findings=all met",
        }.items()
    ),
]
