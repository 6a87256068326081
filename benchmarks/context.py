"""The summarizer against one pass of the tokenizer over the whole input, and against its peers.

Run it by `python -m benchmarks.context`. Each contender has processes of its own, and what counts is their
processor time. priompt and promptbudget take part where they can be imported
(`uv pip install --target FOLDER --no-deps priompt promptbudget beartype ujson`, `PYTHONPATH=FOLDER`).
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tiktoken

from benchmarks._bench import Row, table
from benchmarks.contexts import HOSTILE, KINDS, context, hostile, ranked
from omoi_os.services.context_summarizer import ContextSummarizer
from omoi_os.utils.tokens import Tokens

BUDGET = 2_000
SIZES = {"10 KB": 10_000, "1 MB": 1_000_000, "20 MB": 20_000_000, "50 MB": 50_000_000}
PASSES = {"10 KB": 2.0, "1 MB": 1 / 30, "20 MB": 1 / 350, "50 MB": 1 / 450}
PEERS: dict[str, dict[str, float]] = {
    "priompt": {"1 MB": 8.0, "20 MB": 60.0},
    "priompt, whole items": {},
    "promptbudget": {"1 MB": 60.0, "20 MB": 600.0},
}
REPEATS = 3
MIB = 1024 * 1024

type Measured = dict[str, dict[str, Any]]


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(_measured(sys.argv[1])))
        return
    peers = [name for name in PEERS if importlib.util.find_spec(name.split(",")[0])]
    contenders = ("omoi", "one pass", *peers)
    runs: dict[str, list[Measured]] = {name: [] for name in contenders}
    for number in range(REPEATS):
        for name in contenders if number % 2 == 0 else reversed(contenders):
            runs[name].append(_in_process(name))
    table(_rows(runs), "Context summarizer, 2,000 tokens; processor time")
    for name in PEERS:
        if name not in peers:
            print(f"{name} is not installed: skipped")


def _in_process(contender: str) -> Measured:
    command = [sys.executable, "-m", "benchmarks.context", contender]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: Measured = json.loads(done.stdout)
    return found


def _measured(contender: str) -> Measured:
    """Every case of one contender, in this process."""
    encoding = _encoding()
    found: Measured = {}
    for case, given in _cases():
        if contender == "one pass" and case.startswith("hostile"):
            continue  # it panics on a million spaces
        if contender in PEERS and case.startswith("50 MB"):
            continue  # minutes
        size = case.split(" ", maxsplit=1)[0]
        rounds = 41 if contender == "omoi" or size == "10" else 5 if size == "1" else 1
        found[case] = _case(_contender(contender, given, encoding), rounds, encoding)
    return found


def _cases() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, size in SIZES.items():
        for kind in KINDS:
            yield f"{name} {kind}", context(kind, size)
    for name, unit in HOSTILE.items():
        yield f"hostile {name}", hostile(unit)


def _contender(name: str, given: dict[str, Any], encoding: tiktoken.Encoding) -> Callable[[], object]:
    if name == "omoi":
        summarizer = ContextSummarizer()
        return lambda: summarizer.summarize(given, BUDGET)
    if name == "one pass":
        whole = json.dumps(given, ensure_ascii=False)
        return lambda: encoding.encode_ordinary(whole)
    items = ranked(given)
    if name == "promptbudget":
        return _promptbudget(items)
    return _priompt(items if name.endswith("whole items") else _in_pieces(items))


def _in_pieces(texts: list[str]) -> list[str]:
    """priompt cannot cut an item; with pieces, made before the clock runs, it fills 90 % of the budget."""
    return [text[at : at + 1_000] for text in texts for at in range(0, len(text), 1_000)]


def _priompt(items: list[str]) -> Callable[[], object]:
    peer: Any = importlib.import_module("priompt")

    def run() -> object:
        scopes = [peer.Scope(f"{text}\n", p=len(items) - place) for place, text in enumerate(items)]
        return peer.render(scopes, {"token_limit": BUDGET, "tokenizer": peer.O200KTokenizer})["prompt"]

    return run


def _promptbudget(items: list[str]) -> Callable[[], object]:
    peer: Any = importlib.import_module("promptbudget")
    tokenizer = importlib.import_module("promptbudget.tokenizers").TiktokenTokenizer(
        encoding_name="o200k_base"
    )

    def run() -> object:
        sections = [
            peer.Section(f"{place}", [text], priority=len(items) - place) for place, text in enumerate(items)
        ]
        return peer.pack(sections, budget=BUDGET, tokenizer=tokenizer).text

    return run


def _case(run: Callable[[], object], rounds: int, encoding: tiktoken.Encoding) -> dict[str, Any]:
    try:
        answer, growth = _with_peak(run)
        seconds = statistics.median(_processor_time(run) for _ in range(rounds))
    except BaseException as error:  # a panic of the tokenizer is no Exception; it is counted
        if isinstance(error, KeyboardInterrupt):
            raise
        return {"error": type(error).__name__}
    found: dict[str, Any] = {"seconds": seconds, "growth": growth}
    if isinstance(answer, str):
        tokens = len(encoding.encode_ordinary(answer))
        found |= {
            "share": tokens / BUDGET,
            "over": tokens > BUDGET,
            "broken": "\ufffd" in answer,
            "output": statistics.median(
                _processor_time(lambda: encoding.encode_ordinary(answer)) for _ in range(21)
            ),
        }
    return found


def _processor_time(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def _with_peak(run: Callable[[], object]) -> tuple[object, int]:
    """The answer, and by how many bytes it raised the peak of resident memory (0 where nobody can tell)."""
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not clear.exists():
        return run(), 0
    clear.write_text("5")  # the peak becomes what is resident now
    before = _peak(status)
    answer = run()
    return answer, _peak(status) - before


def _peak(status: Path) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _encoding() -> tiktoken.Encoding:
    tokens = Tokens()
    tokens.count("loads the vocabulary", 10)
    return tiktoken.get_encoding(tokens.encoding)


def _rows(runs: dict[str, list[Measured]]) -> Iterator[Row]:
    ours = runs["omoi"]
    for size, limit in PASSES.items():
        for kind in KINDS:
            yield from _size_rows(runs, size, kind, limit)
    for name in HOSTILE:
        case = f"hostile {name}"
        share = ours[0][case].get("share", 0.0)
        yield Row(f"{case}, ms", _median(ours, case) * 1e3, 5.0, note=f"{share:.1%} of the budget")
    for name, measured in runs.items():
        if name != "one pass":
            yield from _faults(name, measured[0], 0 if name == "omoi" else None)


def _size_rows(runs: dict[str, list[Measured]], size: str, kind: str, limit: float) -> Iterator[Row]:
    case, ours = f"{size} {kind}", runs["omoi"]
    time_, whole = _median(ours, case), _median(runs["one pass"], case)
    output = statistics.median(run[case]["output"] for run in ours)
    note = f"{time_ * 1e3:.2f} ms / {whole * 1e3:.2f} ms"
    yield Row(f"{case}: one pass / omoi", whole / time_, 1 / limit, "higher", note)
    yield Row(f"{case}: omoi / encoding its output", time_ / output, 3.5, note=f"{output * 1e3:.2f} ms")
    yield Row(f"{case}: % of the budget", ours[0][case]["share"] * 100, 98, "higher")
    growth = max(run[case]["growth"] for run in ours) / MIB
    yield Row(f"{case}: growth of memory, MiB", growth, 2 if size == "20 MB" else None)
    for name, targets in PEERS.items():
        if name in runs and "seconds" in runs[name][0].get(case, {}):
            theirs = _median(runs[name], case)
            yield Row(
                f"{case}: {name} / omoi", theirs / time_, targets.get(size), "higher", f"{theirs:.3f} s"
            )


def _median(runs: list[Measured], case: str) -> float:
    return float(statistics.median(run[case]["seconds"] for run in runs))


def _faults(name: str, measured: Measured, target: int | None) -> Iterator[Row]:
    for what, key in (("over the budget", "over"), ("broken characters", "broken"), ("exceptions", "error")):
        cases = [case for case, found in measured.items() if found.get(key)]
        yield Row(f"{name}: {what}, of {len(measured)}", len(cases), target, note=", ".join(cases)[:60])


if __name__ == "__main__":
    main()
