"""JSON that is none, that two readers understand differently, or that is odd and allowed."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.hostile.wire import BIDI, C1, Hostile, post


def json_texts() -> Iterator[Hostile]:
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


def odd_texts() -> Iterator[Hostile]:
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
