"""Synthetic contexts, for `benchmarks.context`: four phases of short items, filled up with raw outputs."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

KINDS = ("prose", "code", "cjk", "logs")
HOSTILE: Mapping[str, str] = {
    "letters": "a",
    "equal signs": "=",
    "spaces": " ",
    "line ends": "\n",
    "special tokens": "<|endoftext|>",
    "combining marks": "\u0301",
    "joined emoji": "👩\u200d👩\u200d👧",
    "digits": "7",
    "ideographs": "字",
}
PHASES = ("PHASE_REQUIREMENTS", "PHASE_DESIGN", "PHASE_IMPLEMENTATION", "PHASE_TESTING")
_OUTPUT = 20_000

_WORDS = (
    *("the", "gate", "review", "of", "evidence", "is", "reported", "to", "a", "ticket", "while", "phases"),
    *("workers", "retry", "queue", "snapshots", "before", "each", "transition", "because", "operators"),
    *("PostgreSQL", "idempotent", "backfill", "99.5%", "SKIP LOCKED,", "retention", "(see", "§4.2)", "p95,"),
    *(
        "throughput;",
        "dead-letter",
        "sha256",
        "openat2",
        "`claim_next`",
        "rollback",
        "JSONB",
        "47",
        "docs/adr",
    ),
    *("measured", "limits", "apply", "when", "artifacts", "change", "and", "verdicts", "stay", "closed"),
)
_IDEOGRAPHS = (
    "设计文档需要审查证据必须测量我们决定使用数据库每个阶段都有限制工作者重试队列之前操作员因为报告关闭"
)


def prose(chance: random.Random) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randrange(8, 24))).capitalize() + "."


def code(chance: random.Random) -> str:
    name, other = chance.choices(_WORDS, k=2)
    number = chance.randrange(1000)
    condition = f"{name}_{other}({name}[{number}], limit={number / 7:.2f}) is None"
    return f"    if {condition}:\n        return self.{other}\n"


def cjk(chance: random.Random) -> str:
    return "".join(chance.choices(_IDEOGRAPHS, k=chance.randrange(8, 30))) + "。"


def logs(chance: random.Random) -> str:
    at = f"2026-11-{chance.randrange(1, 30):02}T10:{chance.randrange(60):02}:{chance.randrange(60):02}Z"
    what = " ".join(chance.choices(_WORDS, k=6))
    who = f"worker-{chance.randrange(40)} [{chance.getrandbits(32):08x}]"
    return f"{at} INFO {who} {what} in {chance.randrange(900)} ms\n"


_MAKERS = {"prose": prose, "code": code, "cjk": cjk, "logs": logs}


def context(kind: str, size: int) -> dict[str, Any]:
    """A context of about `size` bytes of text; the same for the same arguments."""
    chance = random.Random(f"{kind} {size}")
    make = _MAKERS[kind]
    phases = {phase: _short_items(make, chance) for phase in PHASES}
    # Outputs are variations of one text: making 50 MB of fresh ones takes longer than the measurement.
    block = "".join(make(chance) + " " for _ in range(600))
    left = size - sum(len(text.encode()) for text in texts({"phases": phases}))
    number = 0
    while left > 0:
        number += 1
        turn = chance.randrange(len(block) // 2)
        output = f"run {number}: {block[turn:]}{block[:turn]}".encode()[: min(left, _OUTPUT)]
        phases[PHASES[number % len(PHASES)]]["outputs"].append(output.decode(errors="ignore"))
        left -= len(output)
    return {"phases": phases}


def _short_items(make: Any, chance: random.Random) -> dict[str, Any]:
    return {
        "summary": make(chance),
        "decisions": [make(chance) for _ in range(5)],
        "risks": [make(chance) for _ in range(2)],
        "notes": [make(chance) for _ in range(3)],
        "artifacts": [{"type": "report", "path": f"docs/{number}.md"} for number in range(3)],
        "outputs": [],
    }


def hostile(unit: str, size: int = 2_000_000) -> dict[str, Any]:
    """A decision and an output that repeat `unit` up to `size` bytes together."""
    text = unit * (size // 2 // len(unit.encode()))
    return {"phases": {"PHASE_DESIGN": {"decisions": [text], "outputs": [f"{text} "]}}}


def texts(value: object) -> Iterator[str]:
    """All texts of a context, in its order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from texts(child)


RANKS = ("decisions", "artifacts", "risks", "summary", "notes", "outputs")


def ranked(given: dict[str, Any]) -> list[str]:
    """The same texts in the order in which they matter, for contenders that take a list."""
    phases = list(given["phases"].values())
    return [text for rank in RANKS for phase in reversed(phases) for text in texts(phase.get(rank))]
