"""Each coverage format against a bare streaming parse of the same file.

Run it by `python -m benchmarks.readers_coverage`.

The reports are synthetic, 10 MB each, and shaped like real ones: files of 20 to 400 executable lines, a fifth
of the lines not run, hit counts that fall off exponentially.
"""

from __future__ import annotations

import io
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
from lxml import etree

from benchmarks._bench import Row, interleave, peak_growth, table
from omoi_os.domain.evidence import CoverageFacts
from omoi_os.evidence.coverage import read_coverage

SIZE = 10_000_000
ROUNDS = 7
LIMIT = 1.5

Lines = list[tuple[int, int]]


def source_files(seed: int = 1) -> Iterator[tuple[str, Lines]]:
    """Endless source files: a path, and (line, hits) for each executable line."""
    chance = random.Random(seed)
    number = 0
    while True:
        number += 1
        line, lines = 0, []
        for _ in range(chance.randrange(20, 400)):
            line += chance.choice((1, 1, 1, 2, 3, 8))
            hits = 0 if chance.random() < 0.2 else int(chance.expovariate(0.05)) + 1
            lines.append((line, hits))
        yield f"src/package{number % 40}/module{number}.py", lines


def filled(
    head: str, body: Callable[[str, Lines], str], tail: str, joint: str = "", size: int = SIZE
) -> bytes:
    parts, length = [], len(head) + len(tail)
    for path, lines in source_files():
        part = body(path, lines)
        parts.append(part)
        length += len(part) + len(joint)
        if length >= size:
            break
    return (head + joint.join(parts) + tail).encode()


def cobertura(size: int = SIZE) -> bytes:
    head = '<?xml version="1.0"?>\n<coverage line-rate="0.8"><packages><package name="p"><classes>\n'
    return filled(head, _cobertura_class, "</classes></package></packages></coverage>", size=size)


def _cobertura_class(path: str, lines: Lines) -> str:
    rows = "".join(f'\t\t\t\t\t\t<line number="{n}" hits="{hits}"/>\n' for n, hits in lines)
    head = f'<class name="{path}" filename="{path}" line-rate="0.8"><methods/><lines>\n'
    return f"{head}{rows}</lines></class>\n"


def jacoco(size: int = SIZE) -> bytes:
    head = '<?xml version="1.0"?>\n<report name="r"><package name="p">'
    return filled(head, _jacoco_file, "</package></report>", size=size)


def _jacoco_file(path: str, lines: Lines) -> str:
    rows = "".join(
        f'<line nr="{n}" mi="{0 if hits else 3}" ci="{min(hits, 9)}" mb="0" cb="0"/>' for n, hits in lines
    )
    return f'<sourcefile name="{path}">{rows}</sourcefile>'


def clover(size: int = SIZE) -> bytes:
    head = '<?xml version="1.0"?>\n<coverage generated="1"><project timestamp="1">\n'
    return filled(head, _clover_file, "</project></coverage>", size=size)


def _clover_file(path: str, lines: Lines) -> str:
    rows = "".join(f'      <line num="{n}" type="stmt" count="{hits}"/>\n' for n, hits in lines)
    return f'<file name="{path}">\n{rows}</file>\n'


def lcov(size: int = SIZE) -> bytes:
    return filled("TN:\n", _lcov_record, "", size=size)


def _lcov_record(path: str, lines: Lines) -> str:
    rows = "".join(f"DA:{n},{hits}\n" for n, hits in lines)
    hit = sum(hits > 0 for _, hits in lines)
    return f"SF:{path}\n{rows}LF:{len(lines)}\nLH:{hit}\nend_of_record\n"


def lcov_checksums(size: int = SIZE) -> bytes:
    """As gcovr writes it: each line with the digest of its source."""
    return filled("TN:\n", _lcov_digests, "", size=size)


def _lcov_digests(path: str, lines: Lines) -> str:
    rows = "".join(f"DA:{n},{hits},{n:032x}\n" for n, hits in lines)
    return f"SF:{path}\n{rows}end_of_record\n"


def coverage_py(size: int = SIZE) -> bytes:
    head = '{"meta": {"format": 3, "branch_coverage": false}, "files": {'
    tail = '}, "totals": {"covered_lines": 80, "num_statements": 100, "percent_covered": 80.0}}'
    return filled(head, _coverage_py_file, tail, ", ", size=size)


def _coverage_py_file(path: str, lines: Lines) -> str:
    run = {
        "executed_lines": [n for n, hits in lines if hits],
        "missing_lines": [n for n, hits in lines if not hits],
        "excluded_lines": [],
    }
    return f"{json.dumps(path)}: {json.dumps({**run, 'functions': {'': run}, 'classes': {'': run}})}"


def gcovr(size: int = SIZE) -> bytes:
    return filled('{"gcovr/format_version": "0.15", "files": [', _gcovr_file, "]}", ", ", size=size)


def _gcovr_file(path: str, lines: Lines) -> str:
    rows = [
        {"line_number": n, "function_name": "_Z3foov", "count": hits, "branches": [], "gcovr/md5": "0" * 32}
        for n, hits in lines
    ]
    return json.dumps({"file": path, "lines": rows, "functions": []})


def bare_xml(report: bytes) -> None:
    safe = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
    for _, element in etree.iterparse(io.BytesIO(report), events=("end",), **safe):
        element.clear()


def bare_json(report: bytes) -> None:
    msgspec.json.decode(report)


def bare_lcov(report: bytes) -> None:
    for line in io.BytesIO(report):
        line.split(b":", 1)


def read(report: bytes) -> None:
    facts = read_coverage(io.BytesIO(report))
    assert isinstance(facts, CoverageFacts), facts


FORMATS: dict[str, tuple[Callable[[], bytes], Callable[[bytes], None], float | None]] = {
    "cobertura": (cobertura, bare_xml, LIMIT),
    "jacoco": (jacoco, bare_xml, LIMIT),
    "clover": (clover, bare_xml, LIMIT),
    "lcov": (lcov, bare_lcov, LIMIT),
    "lcov with checksums": (lcov_checksums, bare_lcov, LIMIT),
    "coverage.py": (coverage_py, bare_json, LIMIT),
    "gcovr": (gcovr, bare_json, LIMIT),
}


def ratios(rounds: int = ROUNDS) -> Iterator[Row]:
    for name, (make, bare, limit) in FORMATS.items():
        report = make()
        seconds = interleave({"read": partial(read, report), "bare": partial(bare, report)}, rounds)
        note = f"{seconds['read']:.3f} s / {seconds['bare']:.3f} s, {len(report) / 1e6:.1f} MB"
        yield Row(f"{name}: read_coverage / bare parse", seconds["read"] / seconds["bare"], limit, note=note)


def growths() -> Iterator[Row]:
    # From a file: a report that is made in the measured process leaves a peak that hides the reader's.
    setup = "from omoi_os.evidence.coverage import read_coverage"
    for size in (10, 40):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "coverage.xml"
            path.write_bytes(cobertura(size * 1_000_000))
            code = f"with open({str(path)!r}, 'rb') as report: print(read_coverage(report).total)"
            grown = peak_growth(code, setup) / 1e6
        yield Row(f"cobertura: MB of peak memory for {size} MB", grown)


def rows() -> list[Row]:
    return [*ratios(), *growths()]


if __name__ == "__main__":
    table(rows(), title="Coverage reports")
