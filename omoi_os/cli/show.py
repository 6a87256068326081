"""Verdicts for people: a table, and one line with the answer.

What is shown comes from reports and file names that somebody else wrote: it is never read as markup, and
no control character of it reaches the terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.status import Status
from rich.table import Table
from rich.text import Text

from omoi_os.domain.verdict import GateStatus, Outcome, Severity
from omoi_os.models.phase_gate_result import PhaseGateResult

PLAIN_WIDTH: Final = 100
"""Columns where the output is not a terminal, unless COLUMNS says otherwise."""

TABLE_WIDTH: Final = 100
"""Columns from which on five columns of text are easier to read than one block per criterion."""

LONGEST_CELL: Final = 400
"""Characters of one cell; `--json` has the whole text."""

_CELLS: Final = (("criterion", "criterion"), ("found", "found"), ("needed", "needed"))
_CELLS_OF_UNMET: Final = (*_CELLS, ("where", "artifact"), ("what to do", "fix"))
type _Finding = Mapping[str, Any]


class _Output(Console):
    """Standard output. A reader who has seen enough (`| head`) must not change the exit code."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        _discard_output()


def console() -> Console:
    """Standard output: as wide as the terminal, or `PLAIN_WIDTH` in a pipe."""
    out = _Output(highlight=False)
    if out.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return out
    return _Output(highlight=False, width=PLAIN_WIDTH)


def progress(doing: str) -> Status:
    """A line on standard error that tells what is being done while the block runs; terminals only."""
    return Console(stderr=True).status(Text(visible(doing)))


def print_verdict(out: Console, result: PhaseGateResult) -> None:
    """The findings of a review, and the answer."""
    findings = (result.validation_result or {}).get("findings", [])
    if out.width >= TABLE_WIDTH:
        out.print(findings_table(findings, out.width))
        out.print()
    else:
        out.print(findings_blocks(findings))
    out.print(answer(result))
    print_development(out, (result.validation_result or {}).get("convergence"))


def print_development(out: Console, convergence: Mapping[str, Any] | None) -> None:
    """What became of the findings of the review before; nothing where all of them are new."""
    groups = convergence or {}
    if not groups.get("resolved") and not groups.get("still_open"):
        return
    gone, kept, came = (
        dict.fromkeys(str(item["criterion"]) for item in groups.get(name, []))
        for name in ("resolved", "still_open", "new")
    )
    # One that holds the gate for another reason than before is neither resolved nor new to whoever mends it.
    kept |= {criterion: None for criterion in gone if criterion in came}
    for title, criteria in (
        ("resolved", gone.keys() - kept.keys()),
        ("still open", kept.keys()),
        ("new", came.keys() - kept.keys()),
    ):
        if listed := ", ".join(sorted(criteria)):
            out.print(Text(f"Since the review before, {title}: {visible(listed)}", "dim"))


def print_plain(text: str) -> bool:
    """A text for programs, as it is; whether somebody still reads."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _discard_output()
        return False
    return True


def findings_table(findings: Sequence[_Finding], width: int) -> Table:
    """One row per finding."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), header_style="bold")
    marks = 6 if any(finding.get("waiver") for finding in findings) else 4
    table.add_column("", no_wrap=True, width=marks)
    for (name, _), columns in zip(_CELLS_OF_UNMET, _widths(findings, width + 4 - marks), strict=True):
        table.add_column(name, overflow="fold", width=columns)
    for finding in findings:
        cells = [_cell(finding, key) for _, key in _CELLS_OF_UNMET]
        # The name of an artifact and that of a criterion are read one below the other.
        cells[0] = Text("\n").join(cells[0].split("."))
        table.add_row(mark(finding), *cells)
    return table


def _widths(findings: Sequence[_Finding], width: int) -> tuple[int, ...]:
    """Of the five columns: names as wide as they are, within bounds, and the rest shared by the sentences."""
    names = [part for finding in findings for part in visible(finding["criterion"]).split(".")]
    criterion = min(21, max(map(len, names), default=15))
    where = min(16, max((len(visible(finding["artifact"])) for finding in findings), default=5))
    rest = width - 4 - 5 * 2 - criterion - max(5, where)
    share = rest * 5 // 18
    return criterion, share, share, max(5, where), rest - 2 * share


def findings_blocks(findings: Iterable[_Finding]) -> RenderableType:
    """The same where there is no room for columns: a block per finding, and one line where it is met."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for finding in findings:
        if finding["outcome"] == Outcome.PASS:
            met = Text.assemble(_cell(finding, "criterion"), ": ", _cell(finding, "found"))
            grid.add_row(mark(finding), "criterion", met)
            grid.add_row()
            continue
        for number, (name, key) in enumerate(_CELLS_OF_UNMET):
            if cell := _cell(finding, key):
                grid.add_row(mark(finding) if number == 0 else "", name, cell)
        grid.add_row()  # a blank line
    return grid


def visible(text: str) -> str:
    """`text` in one line, with control characters and changes of the writing direction shown as escapes."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def answer(result: PhaseGateResult) -> Text:
    """The verdict in one line."""
    findings: Sequence[_Finding] = (result.validation_result or {}).get("findings", [])
    decisive = [finding for finding in findings if finding["severity"] == Severity.BLOCK]
    met = sum(finding["outcome"] == Outcome.PASS for finding in decisive)
    phase = result.phase_id.removeprefix("PHASE_").lower()
    counted = f"{met} of {len(decisive)} criteria are met"
    if waived := sum(bool(finding.get("waiver")) for finding in decisive):
        counted += f", {waived} waived"
    match result.gate_status:
        case GateStatus.PASSED:
            return Text(f"PASSED: the work may leave {phase}; {counted}.", "bold green")
        case GateStatus.FAILED:
            return Text(f"BLOCKED: the work may not leave {phase} yet; {counted}.", "bold red")
        case GateStatus.PENDING:
            return Text("PENDING: a review of this gate is running.", "bold")
        case _:
            return Text(f"INCONCLUSIVE: {counted}, and the rest could not be measured.", "bold yellow")


def mark(finding: _Finding) -> Text:
    """How it stands, in one word."""
    if finding.get("waiver"):
        return Text("waived", "yellow")
    match finding["outcome"], finding["severity"]:
        case Outcome.PASS, _:
            return Text("ok", "green")
        case Outcome.FAIL, Severity.BLOCK:
            return Text("FAIL", "bold red")
        case Outcome.UNKNOWN, Severity.BLOCK:
            return Text("?", "bold yellow")
        case _:
            return Text("note", "yellow")


def _cell(finding: _Finding, key: str) -> Text:
    text = visible(finding[key])
    return Text(text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…")


def _escaped(letter: str) -> str:
    if letter == "\N{NO-BREAK SPACE}":
        return " "
    number = ord(letter)
    return f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}"


def _discard_output() -> None:
    """Nobody reads any more; what is still buffered must not fail when the process ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
