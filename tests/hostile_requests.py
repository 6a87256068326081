"""Requests that nobody sends in good faith, as the bytes that go over the wire.

`@ticket`, `@task`, `@agent`, `@result`, `@root` and `@cursor` stand for what exists on the server under test.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

API: Final = "/api/v1"
HOST: Final = "127.0.0.1:8420"
NO_ANSWER: Final = 0
"""Status of a request that is not whole: the server closes the connection."""

BIDI: Final = "\u202e\u2066"
C1: Final = "\x9b31m"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One request, and how it is answered.

    Attributes:
        by_server: The HTTP server answers before the application sees anything; such an answer is plain text.
        may_write: An error that rightly leaves rows behind, such as the verdict that closed a gate.
    """

    name: str
    sent: bytes
    status: int
    by_server: bool = False
    may_write: bool = False


def http(method: str, target: str | bytes, body: bytes = b"", **headers: str | None) -> bytes:
    """A well-formed request around what may not be; a header that is None is left out."""
    given: dict[str, str | None] = {"host": HOST, "connection": "close"}
    if body:
        given |= {"content-type": "application/json", "content-length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}".encode("latin-1") for name, value in given.items() if value is not None]
    where = target if isinstance(target, bytes) else target.encode()
    return b"\r\n".join([method.encode() + b" " + where + b" HTTP/1.1", *lines, b"", body])


def get(target: str, **headers: str | None) -> bytes:
    return http("GET", API + target, b"", **headers)


def post(target: str, body: bytes | object = b"", **headers: str | None) -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http("POST", API + target, text, **headers)


def _json_texts() -> Iterator[Hostile]:
    """Bodies that are not JSON, or that two readers understand differently."""
    texts: dict[str, tuple[bytes, int]] = {
        "only white space": (b" \r\n\t", 400),
        "cut short": (b'{"title": "a"', 400),
        "a comma at the end": (b'{"title": "a",}', 400),
        "single quotes": (b"{'title': 'a'}", 400),
        "a comment": (b'{"title": "a"} // b', 400),
        "two values": (b'{"title": "a"}{"title": "b"}', 400),
        "NaN": (b'{"title": NaN}', 400),
        "Infinity": (b'{"title": Infinity}', 400),
        "minus Infinity": (b'{"title": -Infinity}', 400),
        "1e999": (b'{"title": 1e999}', 422),
        "minus zero": (b'{"title": -0}', 422),
        "a number that is almost zero": (b'{"title": 1e-999}', 422),
        "an integer of 401 digits": (b'{"title": 1' + b"0" * 400 + b"}", 422),
        "an integer of 100,000 digits": (b'{"title": ' + b"7" * 100_000 + b"}", 400),
        "a leading zero": (b'{"title": 007}', 400),
        "a hexadecimal number": (b'{"title": 0x7}', 400),
        "a plus sign": (b'{"title": +7}', 400),
        "null": (b"null", 422),
        "true": (b"true", 422),
        "a number": (b"7", 422),
        "a text": (b'"title"', 422),
        "an array": (b"[]", 422),
        "an array of tickets": (b'[{"title": "a"}]', 422),
        "an empty object": (b"{}", 422),
        "a byte order mark": (b'\xef\xbb\xbf{"title": "a"}', 400),
        "UTF-16": ('{"title": "a"}'.encode("utf-16"), 400),
        "UTF-16 without a mark": ('{"title": "a"}'.encode("utf-16-le"), 400),
        "UTF-32": ('{"title": "a"}'.encode("utf-32"), 400),
        "Latin-1": ('{"title": "ü"}'.encode("latin-1"), 400),
        "overlong UTF-8": (b'{"title": "\xc0\xaf"}', 400),
        "a surrogate in UTF-8": (b'{"title": "\xed\xa0\x80"}', 400),
        "a pair of surrogates in UTF-8": (b'{"title": "\xed\xa0\xbd\xed\xb8\x80"}', 400),
        "beyond Unicode": (b'{"title": "\xf4\x90\x80\x80"}', 400),
        "a raw NUL": (b'{"title": "a\x00b"}', 400),
        "a raw line end in a text": (b'{"title": "a\nb"}', 400),
        "a raw escape character": (b'{"title": "\x1b[31m"}', 400),
        "NUL after the value": (b'{"title": "a"}\x00', 400),
        "NUL, escaped": (rb'{"title": "a\u0000b"}', 422),
        "NUL in a key": (rb'{"a\u0000": 1}', 422),
        "a high surrogate alone": (rb'{"title": "\ud800"}', 422),
        "a low surrogate alone": (rb'{"title": "\udfff"}', 422),
        "surrogates the wrong way round": (rb'{"title": "\ude00\ud83d"}', 422),
        "a surrogate in a key": (rb'{"\ud800": 1}', 422),
        "a paired surrogate": (rb'{"title": "\ud83d\ude00"}', 201),
        "a noncharacter": (rb'{"title": "\uffff\ufdd0"}', 201),
        "an unfinished escape": (rb'{"title": "\u12"}', 400),
        "an unknown escape": (rb'{"title": "\x41"}', 400),
        "one key twice": (b'{"title": "a", "title": "b"}', 400),
        "one key twice, once escaped": (rb'{"title": "a", "\u0074itle": "b"}', 400),
        "one key twice, deep inside": (b'{"title": "a", "x": [{"y": {"z": 1, "z": 2}}]}', 400),
        "a prototype": (b'{"title": "a", "__proto__": {"phase_id": "PHASE_DONE"}}', 422),
        "a key of a megabyte": (b'{"' + b"k" * 1_000_000 + b'": 1}', 422),
        "100,000 keys": (
            b"{" + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
            422,
        ),
        "a key that turns the line around": (json.dumps({BIDI + "x": 1}, ensure_ascii=False).encode(), 422),
        "a key with terminal escapes": (json.dumps({C1 + "\x7f": 1}, ensure_ascii=False).encode(), 422),
        "a body of 17 MiB": (b'{"title": "' + b"x" * 17 * 1024 * 1024 + b'"}', 413),
    }
    for depth in (101, 900, 10_000, 100_000):
        status = 422 if depth < 1000 else 400
        texts[f"{depth:,} arrays deep"] = (b'{"title": ' + b"[" * depth + b"]" * depth + b"}", status)
        texts[f"{depth:,} objects deep"] = (
            b'{"title": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}",
            status,
        )
        texts[f"{depth:,} arrays never closed"] = (b'{"title": ' + b"[" * depth, 400)
    for name, (text, status) in texts.items():
        yield Hostile(f"JSON: {name}", post("/tickets", text), status)


_TEXT: Final = [7, ["a"]]
_NAME: Final = [None, 7, {"a": 1}]
_LIST: Final = ["a", [7], [None]]
_WHOLE: Final = ["3", 1.5, True, 10**30]
_OBJECT: Final = [7, "text", [1]]

WRONG: Final[Mapping[str, tuple[dict[str, Any], dict[str, list[Any]]]]] = {
    # where: what is right, and for each field what is wrong
    "/tickets": (
        {"title": "a"},
        {
            "title": [*_NAME, "", "  ", "x" * 501],
            "description": [*_TEXT, "x" * 200_001],
            "phase_id": [*_NAME, "", "nowhere", "PHASE_DONE", "PHASE_BLOCKED", "x" * 61, BIDI],
            "priority": [*_NAME, "", "urgent", "x" * 21],
            "workspace_path": [*_TEXT, True],
        },
    ),
    "/agents": (
        {},
        {
            "agent_type": [*_NAME, "", "x" * 51],
            "phase_id": [*_TEXT, "", "nowhere", "x" * 61],
            "capabilities": [*_LIST, {"a": 1}, ["x"] * 101, ["a\x00"], ["x" * 1_000_000]],
        },
    ),
    "/tickets/@ticket/tasks": (
        {"task_type": "a"},
        {
            "task_type": [*_NAME, "", "x" * 101],
            "description": [*_TEXT, "x" * 200_001],
            "phase_id": [*_TEXT, "", "nowhere", "PHASE_DONE"],
            "priority": [*_NAME, "urgent"],
            "depends_on": [*_LIST, None, ["nothing"], ["x" * 300], [""], ["@task"] * 1001, ["\ufeff"]],
            "capabilities": [*_LIST, ["x"] * 101],
            "max_retries": [*_WHOLE, None, -1, 101],
            "timeout_seconds": [*_WHOLE, 0, -5, 30 * 24 * 3600 + 1],
        },
    ),
    "/tickets/@ticket/transition": (
        {"to_phase": "requirements"},
        {
            "to_phase": [*_NAME, "", "nowhere", "x" * 61, BIDI],
            "reason": [*_TEXT, None, "x" * 2001],
            "force": [True],
            "transitioned_by": ["root"],
        },
    ),
    "/tickets/@ticket/artifacts": (
        {"artifact_type": "a", "artifact_content": {"a": 1}},
        {
            "artifact_type": [*_NAME, "", " ", "x" * 101],
            "artifact_path": [*_TEXT, "x" * 4097],
            "artifact_content": [*_OBJECT, {}, {"a": 2**63}, {"a": -(2**63) - 1}, {"a": {"b\x00": 1}}],
            "phase_id": [*_TEXT, "nowhere", "x" * 61],
            "collected_by": ["root"],
        },
    ),
    "/tasks/@task/cancel": ({}, {"reason": [*_TEXT, None, "x" * 2001]}),
    "/agents/@agent/claim": (
        {},
        {"phase_id": [*_TEXT, "", "nowhere"], "capabilities": [*_LIST, ["x"] * 101]},
    ),
    "/agents/@agent/tasks/@task/progress": (
        {},
        {"message": [*_TEXT, None, "x" * 2001], "percent": ["50", True, -1, 101, [50], 10**30]},
    ),
    "/agents/@agent/tasks/@task/complete": ({}, {"result": _OBJECT, "status": ["completed"]}),
    "/agents/@agent/tasks/@task/fail": (
        {"error": "a"},
        {"error": [*_NAME, "", "x" * 19_001], "permanent": [None, "true", 1, []]},
    ),
    "/agents/@agent/tasks/@task/release": ({}, {"reason": [*_TEXT, None, "x" * 2001]}),
}


def _wrong_fields() -> Iterator[Hostile]:
    for where, (right, fields) in WRONG.items():
        for field, values in fields.items():
            for value in values:
                shown = ascii(value)
                shown = shown if len(shown) < 40 else f"{shown[:20]} ... ({len(shown):,})"
                yield Hostile(f"{where} {field}: {shown}", post(where, right | {field: value}), 422)
        body = {"x": 1}
        yield Hostile(f"{where}: no field that is known", post(where, body), 422)
        yield Hostile(f"{where}: an array", post(where, [right]), 422)
        yield Hostile(f"{where}: cut short", post(where, b'{"'), 400)


def _texts() -> Iterator[Hostile]:
    """Texts that are odd and allowed: they are kept as they are, and answered as data."""
    for name, title in {
        "of the greatest length": "x" * 500,
        "of the greatest length, beyond the first plane": "\U0001f600" * 500,
        "that turns the line around": BIDI,
        "with terminal escapes": "\x1b]0;owned\x07\x1b[2J",
        "of control characters": "\x01\x7f\x9b",
        "of nothing visible": "\u200b\u2060",
        "of combining marks": "a" + "\u0301" * 400,
        "that is SQL": "'; drop table tickets; --",
        "that is a template": "{{7*7}}${7*7}%(x)s{0.__class__}",
        "that is a page": "<script>alert(1)</script>",
    }.items():
        yield Hostile(f"a title {name}", post("/tickets", {"title": title}), 201)
    yield Hostile(
        "a description of the greatest length",
        post("/tickets", {"title": "a", "description": "\u4e00" * 200_000}),
        201,
    )


def _ids() -> Iterator[Hostile]:
    """Ids that no row has."""
    ids = {
        "NUL": "%00",
        "a NUL inside": "a%00b",
        "a surrogate": "%ED%A0%80",
        "a byte that is not UTF-8": "%FF",
        "a percent sign that escapes nothing": "%zz",
        "a percent sign at the end": "a%",
        "200 characters": "a" * 200,
        "201 characters": "a" * 201,
        "3,000 characters": "a" * 3000,
        "200 characters beyond the first plane": "%F0%9F%98%80" * 200,
        "SQL": "'%20or%20'1'='1",
        "a line end": "a%0d%0aSet-Cookie:%20a=b",
        "a turned line": "%E2%80%AEabc",
        "a terminal escape": "%1b%5b31m%C2%9B",
        "a wildcard": "%25",
        "an underscore": "_",
        "null": "null",
        "a parameter": "@ticket;a=b",
        "a space after": "@ticket%20",
        "an upper-case id": "AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA",
        "escaped dots": "%2e%2e",
        "an escaped slash": "..%2f..%2fhealth",
        "a backslash": "..%5c..%5chealth",
    }
    for name, id_ in ids.items():
        yield Hostile(f"a ticket's id: {name}", get(f"/tickets/{id_}"), 404)
        yield Hostile(f"an agent's id: {name}", post(f"/agents/{id_}/heartbeat"), 404)
    for where in (
        "/tasks/{}", "/gate-results/{}", "/gate-results/{}/transcript", "/policies/{}", "/tickets/{}/context",
        "/tickets/{}/gate-status", "/tickets/{}/phase-history", "/tickets/{}/waivers", "/agents/{}",
        "/tickets/{}/valid-transitions",
    ):  # fmt: skip
        for id_ in ("%00", "%ED%A0%80", "a" * 3000):
            yield Hostile(f"GET {where}: {id_[:20]}", get(where.format(id_)), 404)
    for where in (
        "/tasks/{}/cancel", "/tasks/{}/retry", "/tickets/{}/validate-gate", "/tickets/{}/generate-tasks",
        "/tickets/{}/update-context", "/agents/{}/claim", "/agents/@agent/tasks/{}/release",
    ):  # fmt: skip
        for id_ in ("%00", "a" * 3000):
            yield Hostile(f"POST {where}: {id_[:20]}", post(where.format(id_)), 404)
    yield Hostile("dots in a path", get("/tickets/../health"), 404)
    yield Hostile("an empty id", get("/tickets//context"), 404)
    yield Hostile("two slashes", http("GET", f"/{API}/health"), 404)
    yield Hostile("a slash at the end", get("/health/"), 307)
    yield Hostile("a slash at the end, and a foreign host", get("/health/", host="evil.example"), 421)
    yield Hostile("raw UTF-8 in a path", http("GET", f"{API}/tickets/ü".encode()), 400, by_server=True)
    yield Hostile("a path of 60,000 characters", get("/tickets/" + "a" * 60_000), 404)


def forged(text: str) -> str:
    """A cursor that nobody handed out."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def _queries() -> Iterator[Hostile]:
    numbers = {"0": 422, "-1": 422, "201": 422, "1000000000": 422, "1.5": 422, "": 422, "x": 422,
               "%00": 422, "1" + "0" * 400: 422, "0x10": 422, "%D9%A3": 422, "1e2": 422, "True": 422,
               "5%20": 200}  # fmt: skip
    for number, status in numbers.items():
        yield Hostile(f"a limit of {number[:20]!r}", get(f"/tickets?limit={number}"), status)
    cursors = {
        "empty": "",
        "NUL": "%00",
        "not base64": "%2A%2A",
        "base64 of nothing": "=",
        "cut short": "@half",
        "with a byte too many": "@cursorA",
        "not ASCII": "%C3%BC",
        "a surrogate": "%ED%A0%80",
        "of 401 characters": "a" * 401,
        "without a time": forged("hello world"),
        "without an id": forged("2026-01-01T00:00:00+00:00"),
        "with a time in no zone": forged("2026-01-01T00:00:00 x"),
        "of a day that is none": forged("2026-02-30T00:00:00+00:00 x"),
        "with NUL in its id": forged("2026-01-01T00:00:00+00:00 \x00"),
        "with a long id": forged("2026-01-01T00:00:00+00:00 " + "x" * 201),
    }
    for name, cursor in cursors.items():
        for where in ("/tickets", "/tasks", "/agents"):
            yield Hostile(f"{where}: a cursor {name}", get(f"{where}?cursor={cursor}"), 422)
    for name, cursor in {
        "before all": forged("0001-01-01T00:00:00+23:59 x"),
        "after all": forged("9999-12-31T23:59:59-23:59 x"),
        "with an id that is SQL": forged("2026-01-01T00:00:00+00:00 ' or 1=1 --"),
    }.items():  # each is a place in the list, though nobody was told it
        yield Hostile(f"a forged cursor {name}", get(f"/tickets?limit=1&cursor={cursor}"), 200)
    for place in ("-1", "1.5", "9" * 19, "9" * 400, "%C2%B2", "%D9%A3", "%00", "", "x"):
        target = f"/tickets/@ticket/phase-history?cursor={place}"
        yield Hostile(f"a place of {place[:20]!r}", get(target), 422)
    for where, query, status in (
        ("/tickets", "phase_id=nowhere", 422),
        ("/tickets", "phase_id=", 422),
        ("/tickets", "phase_id=%00", 422),
        ("/tickets", "phase_id=" + "x" * 61, 422),
        ("/tickets", "phase_id=%E2%80%AE%C2%9B%1b", 422),
        ("/tickets", "phase_id=testing&phase_id=nowhere", 422),
        ("/tickets", "status=done%00", 422),
        ("/tickets", "status=%E2%80%AE", 422),
        ("/tasks", "status=nothing", 422),
        ("/tasks", "ticket_id=%00", 422),
        ("/tasks", "agent_id=%00", 422),
        ("/tasks", "agent_id=" + "x" * 201, 422),
        ("/tasks", "ticket_id=%ED%A0%80", 200),
        ("/tickets/@ticket/context", "max_tokens=-1", 422),
        ("/tickets/@ticket/context", "max_tokens=1000001", 422),
        ("/tickets/@ticket/context", "max_tokens=" + "9" * 5000, 422),
        ("/tickets/@ticket/context", "for_phase=nowhere", 422),
        ("/tickets/@ticket/context", "for_phase=%00", 422),
        ("/tickets/@ticket/gate-status", "phase_id=PHASE_DONE", 422),
        ("/tickets/@ticket/gate-status", "phase_id=%00", 422),
        ("/tickets", "&".join(f"a{n}={n}" for n in range(5000)), 200),
        ("/tickets", "&" * 30_000, 200),
        ("/tickets", "limit[]=1&limit[$ne]=1", 200),
        ("/tickets", "limit=%zz", 422),
        ("/tickets", "%00=%00", 200),
        ("/tickets", "limit=1;cursor=x", 422),
        ("/tickets", "?limit=1", 200),
    ):
        yield Hostile(f"GET {where}?{query[:40]} ({len(query):,})", get(f"{where}?{query}"), status)
    for where, query in (
        ("/tickets/@ticket/validate-gate", "force=maybe"),
        ("/tickets/@ticket/validate-gate", "force=2"),
        ("/tickets/@ticket/validate-gate", "phase_id=%00"),
        ("/tickets/@ticket/generate-tasks", "phase_id=PHASE_BLOCKED"),
        ("/tickets/@ticket/update-context", "phase_id=%E2%80%AE"),
    ):
        yield Hostile(f"POST {where}?{query}", post(f"{where}?{query}"), 422)
    content = post("/tickets/@ticket/artifacts?artifact_type=a%00", {"a": 1})
    yield Hostile("an artifact's type with NUL in the query", content, 422)
    array = post("/tickets/@ticket/artifacts?artifact_type=a", [1])
    yield Hostile("an artifact that is an array", array, 422)
    nothing = post("/tickets/@ticket/artifacts?artifact_type=a&artifact_path=%00", b"")
    yield Hostile("an artifact's path that is NUL", nothing, 422)


def _workspaces() -> Iterator[Hostile]:
    for path in (
        "", " ", ".", "..", "~", "~root", "/", "/etc", "/etc/passwd", "/proc/self", "/proc/self/root",
        "/dev/fd", "//", "@root/..", "@root/../../../../etc", "@root/etc", "@root/circle", "@root/file",
        "@root/nothing", "@root\x00", "@root/" + "x" * 300, "@root" + "/x" * 2100, "/" * 100_000,
        "@root/\u202e", "@root/a\nb",
        "C:\\Windows", "\\\\host\\share", "file:///etc", "$HOME", "%2e%2e",
    ):  # fmt: skip
        body = {"title": "a", "workspace_path": path}
        shown = ascii(path) if len(path) < 40 else f"{path[:12]!r} ({len(path):,})"
        yield Hostile(f"a workspace at {shown}", post("/tickets", body), 422)


def _hosts() -> Iterator[Hostile]:
    """Names that look like this machine, and are not."""
    refused = (
        "", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:8420",
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
        "127.0.0.1@evil.example", "[::1", "[::ffff:8.8.8.8]", "127.1", "0x7f.0.0.1", "2130706433",
        "127.0.0.1,", "127.0.0.1 evil.example", "localhost.", "%6c%6f%63%61%6c", "\xfe", "169.254.169.254",
        "localhost\\@evil.example",
    )  # fmt: skip
    for host in refused:
        yield Hostile(f"the host {host!r}", get("/health", host=host), 421)
    for host in ("LOCALHOST", "127.0.0.2", "[::1]:99999", "localhost:abc"):
        yield Hostile(f"the host {host!r}", get("/health", host=host), 200)
    yield Hostile("no host", get("/health", host=None), 421)
    two = get("/health").replace(b"connection", b"host: evil.example\r\nconnection")
    yield Hostile("two hosts, the second one foreign", two, 421)
    yield Hostile("two hosts, the first one foreign", two.replace(HOST.encode(), b"evil.example", 1), 421)
    for origin in (
        "null", "", "http://evil.example", "http://localhost.evil.example", "file://", "http://127.0.0.1@evil.example",
        "http://[::1", "javascript:alert(1)", "localhost", "http://localhost, http://evil.example", "\xff",
    ):  # fmt: skip
        yield Hostile(f"the origin {origin!r}", get("/health", origin=origin), 403)
    for name in ("x_forwarded_host", "x_forwarded_for", "forwarded", "x_original_url", "x_rewrite_url"):
        yield Hostile(f"a forged {name}", get("/health", **{name: "evil.example"}), 200)
    forwarded = get("/health", host="evil.example", x_forwarded_host="localhost")
    yield Hostile("a foreign host that says it was forwarded", forwarded, 421)
    override = get("/tickets/@ticket", x_http_method_override="DELETE")
    yield Hostile("another method in a header", override, 200)


def _lines() -> Iterator[Hostile]:
    """Request lines and headers."""
    end = f" HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode()
    health = f"GET {API}/health".encode()
    for name, sent in {
        "not HTTP": b"hello\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40,
        "HTTP/9.9": health + b" HTTP/9.9\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "a method in small letters": b"get " + health[4:] + end,
        "an unknown method": b"HACK " + health[4:] + end,
        "a method of 10,000 letters": b"A" * 10_000 + b" /" + end,
        "a space in the target": health + b" /x" + end,
        "a NUL in the target": health + b"\x00" + end,
        "a line end in the target": health + b"\r\n" + end,
        "no target": b"GET" + end,
        "a header without a colon": health + end.replace(b"host:", b"nothing\r\nhost:"),
        "a header with a space before the colon": health + end.replace(b"host:", b"a : b\r\nhost:"),
        "a header without a name": health + end.replace(b"host:", b": b\r\nhost:"),
        "a header with NUL": health + end.replace(b"host:", b"a: b\x00c\r\nhost:"),
        "a carriage return in a header": health + end.replace(b"host:", b"a: b\rc: d\r\nhost:"),
        "a header on two lines": health + end.replace(b"host:", b"a: b\r\n c\r\nhost:"),
    }.items():
        yield Hostile(name, sent, 400, by_server=True)
    yield Hostile(
        "line ends without carriage return", health + end.replace(b"\r\n", b"\n"), 400, by_server=True
    )
    yield Hostile("a tab in the target", health + b"\t" + end, 400, by_server=True)
    yield Hostile("a fragment in the target", health + b"#x" + end, 200)
    for target, status in (
        (f"http://{HOST}{API}/health", 200),
        (f"http://evil.example{API}/health", 200),
        ("*", 404),
    ):
        yield Hostile(f"the target {target}", http("GET", target), status)
    for method, status in (
        ("TRACE", 405), ("OPTIONS", 405), ("HEAD", 405), ("PUT", 405), ("DELETE", 405), ("PATCH", 405),
        ("PROPFIND", 405), ("PURGE", 405), ("SEARCH", 405),
    ):  # fmt: skip
        yield Hostile(f"{method} where it is not known", http(method, f"{API}/tickets"), status)
    yield Hostile("OPTIONS *", http("OPTIONS", "*"), 404)
    yield Hostile("a tunnel", http("CONNECT", "evil.example:443"), 400, by_server=True)
    yield Hostile("a target that is a question", http("GET", "?"), 400, by_server=True)
    yield Hostile("HTTP/0.9", health + b"\r\n\r\n", 421)
    yield Hostile("nothing but line ends", b"\r\n\r\n\r\n", NO_ANSWER)
    preflight = http(
        "OPTIONS", f"{API}/tickets", origin="http://evil.example", access_control_request_method="POST"
    )
    yield Hostile("a foreign page that asks whether it may", preflight, 403)


def _headers() -> Iterator[Hostile]:
    for name, headers, status in (
        ("a header of 60,000 characters", {"x_a": "a" * 60_000}, 200),
        ("a cookie of 30,000 characters", {"cookie": "a=" + "b" * 30_000}, 200),
        ("1,000 headers", {f"x_{n}": "a" for n in range(1000)}, 200),
        ("a header that is not ASCII", {"x_a": "\xff\xfe"}, 200),
        ("an unknown expectation", {"expect": "miracles"}, 200),
        ("a web socket", {"connection": "upgrade", "upgrade": "websocket"}, 200),
        ("HTTP/2 over plain text", {"connection": "upgrade, close", "upgrade": "h2c"}, 200),
        ("a range", {"range": "bytes=0-1,1-2,2-3,-999"}, 200),
        ("a date that is none", {"if_modified_since": "yesterday"}, 200),
        ("nothing acceptable", {"accept": "image/png;q=x"}, 200),
        ("an encoding that nobody knows", {"accept_encoding": "secret, *;q=-1"}, 200),
        ("a key", {"authorization": "Bearer secret-canary", "cookie": "session=secret-canary"}, 200),
    ):
        yield Hostile(name, get("/health", **headers), status)
    key = get("/nothing", authorization="Bearer secret-canary", cookie="session=secret-canary")
    yield Hostile("a key, and a wrong address", key, 404)
    body = b'{"title": "a"}'
    for media in (
        "", "text/plain", "application/xml", "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x", "application/jsonp", "json", "application/json, text/plain", "\xff",
        "text/json", "*/*", "application/json/x",
    ):  # fmt: skip
        yield Hostile(f"the media type {media!r}", post("/tickets", body, content_type=media), 415)
    yield Hostile("no media type", post("/tickets", body, content_type=None), 415)
    for media in (
        "application/json; charset=utf-16",
        "APPLICATION/JSON",
        "application/x+json; =",
        "application/json;",
    ):
        yield Hostile(f"the media type {media!r}", post("/tickets", body, content_type=media), 201)
    multipart = b'--x\r\ncontent-disposition: form-data; name="title"\r\n\r\na\r\n--x--\r\n'
    yield Hostile(
        "parts of a form",
        post("/tickets", multipart, content_type="multipart/form-data; boundary=x"),
        415,
    )
    yield Hostile("a body in gzip", post("/tickets", gzip.compress(body), content_encoding="gzip"), 415)
    bomb = gzip.compress(b" " * 50_000_000 + body)
    yield Hostile("a bomb in gzip", post("/tickets", bomb, content_encoding="gzip"), 415)
    yield Hostile("a plain body that says it is gzip", post("/tickets", body, content_encoding="gzip"), 415)
    yield Hostile("a body where none is read", http("GET", f"{API}/health", b"\xff" * 1000), 200)
    yield Hostile("a wait for leave to send", post("/tickets", body, expect="100-continue"), 201)


def _lengths() -> Iterator[Hostile]:
    """Where a body ends."""
    body = b'{"title": "a"}'
    for length in ("-1", "+14", "x", "1e1", "14, 15", "0x0e", "9" * 40, "14 14"):
        yield Hostile(
            f"a length of {length[:10]}", post("/tickets", body, content_length=length), 400, by_server=True
        )
    yield Hostile(
        "a length that is too large to wait for", post("/tickets", body, content_length="9" * 12), 413
    )
    yield Hostile("a length that is too long", post("/tickets", body, content_length="99"), NO_ANSWER)
    yield Hostile("a length that is too short", post("/tickets", body, content_length="5"), 400)
    yield Hostile("no length", post("/tickets", body, content_length=None), 422)
    twice = post("/tickets", body).replace(b"content-type", b"content-length: 5\r\ncontent-type")
    yield Hostile("two lengths", twice, 400, by_server=True)
    chunked: dict[str, str | None] = {"transfer_encoding": "chunked", "content_length": None}
    both = post("/tickets", b"e\r\n" + body + b"\r\n0\r\n\r\n", transfer_encoding="chunked")
    yield Hostile("a length and chunks", both, 400, by_server=True)
    for name, sent, status in (
        ("chunks", b"e\r\n" + body + b"\r\n0\r\n\r\n", 201),
        ("chunks of one byte", b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n", 201),
        ("a chunk of a size that is none", b"zz\r\n" + body + b"\r\n0\r\n\r\n", 400),
        ("a chunk of a size beyond 64 bits", b"f" * 17 + b"\r\n" + body + b"\r\n0\r\n\r\n", 400),
        ("a chunk of a negative size", b"-e\r\n" + body + b"\r\n0\r\n\r\n", 400),
        ("a chunk that is shorter than it says", b"ff\r\n" + body, NO_ANSWER),
        ("chunks without an end", b"e\r\n" + body + b"\r\n", NO_ANSWER),
        ("a chunk with extensions", b"e;a=b;c=d\r\n" + body + b"\r\n0\r\n\r\n", 201),
        ("a header after the chunks", b"e\r\n" + body + b"\r\n0\r\nx-a: b\r\n\r\n", 201),
        ("a chunk of 17 MiB", b"1100000\r\n" + b"x" * 0x1100000 + b"\r\n0\r\n\r\n", 413),
    ):
        yield Hostile(name, post("/tickets", sent, **chunked), status, by_server=status == 400)
    unknown = post("/tickets", body, transfer_encoding="gzip", content_length=None)
    yield Hostile("an unknown way to transfer", unknown, 400, by_server=True)
    smuggled = post("/tickets", body + get("/health"), content_length=str(len(body)))
    yield Hostile("a second request behind the body", smuggled, 201)


REQUESTS: Final = tuple(
    hostile
    for group in (
        _json_texts, _wrong_fields, _texts, _ids, _queries, _workspaces, _hosts, _lines, _headers, _lengths,
    )
    for hostile in group()
)  # fmt: skip
