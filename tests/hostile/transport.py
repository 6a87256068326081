"""What HTTP itself can be bent to: hosts, request lines, headers, media types, and where a body ends."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

from tests.hostile.wire import API, HOST, NO_ANSWER, Hostile, get, http, post


def hosts() -> Iterator[Hostile]:
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


def request_lines() -> Iterator[Hostile]:
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


def headers() -> Iterator[Hostile]:
    for name, sent, status in (
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
        yield Hostile(name, get("/health", **sent), status)
    key = get("/nothing", authorization="Bearer secret-canary", cookie="session=secret-canary")
    yield Hostile("a key, and a wrong address", key, 404)
    body = b'{"title": "a"}'
    for media in (
        "", "text/plain", "application/xml", "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x", "application/jsonp", "json", "application/json, text/plain",
        "\xff", "text/json", "*/*", "application/json/x",
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


def lengths() -> Iterator[Hostile]:
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
