"""The document reader against a bare parse of the same file with the same block rules.

Run it by `python -m benchmarks.readers_documents`.

The Markdown is synthetic, 1 MB, with the mix of a requirements document: prose, lists, tables, code,
a few tags, comments and links. Hostile files of 4 MB follow: each is read or refused in about two seconds.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator

from markdown_it import MarkdownIt

from benchmarks._bench import Row, interleave, table
from omoi_os.domain.evidence import DocumentFacts, Unreadable
from omoi_os.evidence.documents import read_document

SIZE = 1_000_000
ROUNDS = 9
LIMIT = 1.5
MIB = 1024 * 1024

WORDS = (
    *("gate", "review", "evidence", "report", "ticket", "phase", "worker", "artifact", "verdict", "policy"),
    *("suite", "result", "limit", "retry", "queue", "snapshot", "digest", "transition", "rule", "operator"),
)


def _sentence(chance: random.Random) -> str:
    words = chance.choices(WORDS, k=chance.randrange(6, 18))
    if chance.random() < 0.3:
        words[2] = f"**{words[2]}**"
    if chance.random() < 0.2:
        words[1] = f"[{words[1]}](https://example.org/{words[0]}/{words[3]})"
    if chance.random() < 0.2:
        words[0] = f"`{words[0]}_{words[1][:3]}`"
    return " ".join(words).capitalize() + "."


def _blocks(chance: random.Random) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"{'#' * chance.randrange(1, 5)} {number}. {' '.join(chance.choices(WORDS, k=3))}\n"
        for _ in range(chance.randrange(1, 4)):
            yield "\n".join(_sentence(chance) for _ in range(chance.randrange(1, 6))) + "\n"
        kind = chance.random()
        if kind < 0.4:
            yield "\n".join(f"- {_sentence(chance)}" for _ in range(chance.randrange(2, 8))) + "\n"
        elif kind < 0.55:
            rows = "\n".join(f"| {_sentence(chance)} | {number} | yes |" for _ in range(6))
            yield f"| what | number | done |\n|---|---:|---|\n{rows}\n"
        elif kind < 0.7:
            yield "```python\n" + "    total = total + 1\n" * 8 + "```\n"
        elif kind < 0.75:
            yield "<!-- A note of the template. -->\n\n<details>\n<summary>More</summary>\n"
            yield "Text.\n\n</details>\n"


def requirements(size: int = SIZE) -> bytes:
    parts: list[str] = []
    length = 0
    for block in _blocks(random.Random(7)):
        parts.append(block)
        length += len(block) + 1
        if length >= size:
            break
    return "\n".join(parts).encode()


def restructured(size: int = SIZE) -> bytes:
    chance = random.Random(7)
    parts, length = [".. contents::\n"], 0
    while length < size:
        title = " ".join(chance.choices(WORDS, k=3))
        text = "\n\n".join("\n".join(_sentence(chance) for _ in range(4)) for _ in range(3))
        parts.append(f"{title}\n{'=' * len(title)}\n\n{text}\n")
        length += len(parts[-1]) + 1
    return "\n".join(parts).encode()


def hostile() -> Iterator[tuple[str, str]]:
    """Texts whose naive reading takes quadratic time, a deep stack or much memory."""
    size = 4 * MIB
    for unit in (
        ">",
        "> ",
        "[",
        "](",
        "- ",
        "1. ",
        "<!--",
        "<a ",
        "` `` ",
        "TBD ",
        "{{",
        "[insert ",
        "&amp;",
        "*",
    ):
        yield repr(unit) + " on one line", (unit * size)[:size]
    yield "one letter, one line", "a" * size
    yield "nested lists", "".join("  " * depth + "- a\n" for depth in range(1400))
    yield "40 nested quotes a line", (">" * 40 + " abc\n") * (size // 45)
    yield "a table of a million columns", "|a" * (size // 4 - 1) + "\n" + "|-" * (size // 4 - 1)
    yield "a tag of a million attributes", "<a" + (" b=c" * (size // 4))[:-8]
    yield "link definitions", "[a]: /x\n" * 190_000
    yield "headings", "# a\n" * 190_000
    yield "TODO notes without a line's end", ("TODO: `a` |" * size)[:size]


def main() -> None:
    markdown, rest = requirements(), restructured()
    text = markdown.decode()
    bare = MarkdownIt("commonmark").enable("table").disable("reference")
    bare.core.ruler.enableOnly(["normalize", "block"])
    seconds = interleave(
        {
            "bare": lambda: bare.parse(text),
            "read": lambda: _facts(markdown),
            "rst": lambda: _facts(rest),
        },
        ROUNDS,
    )
    rows = [
        Row(
            f"read_document / bare parse, Markdown {len(markdown) / 1e6:.1f} MB",
            seconds["read"] / seconds["bare"],
            LIMIT,
            note=f"{seconds['read']:.3f} s / {seconds['bare']:.3f} s",
        ),
        Row(f"reStructuredText {len(rest) / 1e6:.1f} MB, seconds", seconds["rst"]),
        *(_hostile_row(name, content) for name, content in hostile()),
    ]
    table(rows, "Document reader")


def _facts(content: bytes) -> DocumentFacts:
    facts = read_document(io.BytesIO(content))
    assert isinstance(facts, DocumentFacts)
    return facts


def _hostile_row(name: str, content: str) -> Row:
    started = time.perf_counter()
    answer = read_document(io.BytesIO(content.encode()))
    seconds = time.perf_counter() - started
    note = answer.code.value if isinstance(answer, Unreadable) else f"length {answer.length:,}"
    return Row(f"{name}, {len(content) / MIB:.1f} MiB, seconds", seconds, 3.0, note=note)


if __name__ == "__main__":
    main()
