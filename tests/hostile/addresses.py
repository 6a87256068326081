"""Ids, queries, cursors and folders that lead nowhere, or should."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from tests.hostile.wire import API, Hostile, get, http, post


def ids() -> Iterator[Hostile]:
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


def queries() -> Iterator[Hostile]:
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


def reviews() -> Iterator[Hostile]:
    """Reviews that are asked for, listed and waited for."""
    for id_ in ("%00", "%ED%A0%80", "a" * 3000, "%2e%2e", "null"):
        yield Hostile(f"a review's id: {id_[:20]}", get(f"/reviews/{id_}"), 404)
        yield Hostile(f"a review to cancel: {id_[:20]}", post(f"/reviews/{id_}/cancel"), 404)
    for query in (
        "ticket_id=%00", "ticket_id=" + "x" * 201, "phase_id=nowhere", "phase_id=%00", "phase_id=DONE%00",
        "status=open", "status=%00", "status=%E2%80%AE", "status=" + "x" * 51, "cursor=%00", "cursor=-1",
        "cursor=1.5", "cursor=" + "9" * 400, "cursor=%D9%A3", "limit=0", "limit=1e2",
    ):  # fmt: skip
        yield Hostile(f"GET /reviews?{query[:40]}", get(f"/reviews?{query}"), 422)
    waits = ("-1", "61", "1e308", "nan", "inf", "-inf", "%00", "", "x", "9" * 400)
    for wait in waits:
        yield Hostile(f"a wait of {wait[:20]!r}", post(f"/tickets/@ticket/validate-gate?wait={wait}"), 422)
        yield Hostile(f"a result awaited for {wait[:20]!r}", get(f"/reviews/@result?wait={wait}"), 422)
    for query in ("carry_on=perhaps", "carry_on=%00", "force=", "phase_id=PHASE_DONE"):
        target = f"/tickets/@ticket/validate-gate?{query}"
        yield Hostile(f"POST validate-gate?{query}", post(target), 422)
    for name, key in {"empty": "", "of 256 characters": "k" * 256}.items():
        sent = post("/tickets/@ticket/validate-gate", idempotency_key=key)
        yield Hostile(f"a key for a request: {name}", sent, 422)
    cancelled = post("/reviews/@result/cancel")
    yield Hostile("a verdict to cancel", cancelled, 409)


def events() -> Iterator[Hostile]:
    """Places in the record of events, and filters of it."""
    places = (
        "",
        "-1",
        "1",
        "0.1",
        "%00",
        "1-2",
        "1-2-3-4",
        "-1-2-3",
        "1-2-" + "9" * 40,
        "%D9%A3-1-1",
        "x" * 3000,
    )
    for place in places:
        yield Hostile(f"events after {place[:20]!r}", get(f"/events?after={place}"), 422)
    for place in ("-1", "1-2", "x" * 3000, "' or 1=1 --"):
        yield Hostile(f"a Last-Event-ID of {place[:20]!r}", get("/events", last_event_id=place), 422)
        stream = get("/events", last_event_id=place, accept="text/event-stream")
        yield Hostile(f"a stream from {place[:20]!r}", stream, 422)
    for query in (
        "ticket_id=", "ticket_id=%00", "ticket_id=" + "x" * 300, "event_type=", "event_type=%00",
        "event_type=GATE", "event_type=gate..", "event_type=%25", "event_type=" + "x" * 101,
        "&".join(f"event_type=a{n}." for n in range(1000)), "limit=0", "limit=1001", "limit=" + "9" * 400,
    ):  # fmt: skip
        yield Hostile(f"GET /events?{query[:40]}", get(f"/events?{query}"), 422)


def workspaces() -> Iterator[Hostile]:
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
