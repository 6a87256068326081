"""Verdicts for people: a table, and one line with the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from omoi_os.domain.verdict import GateStatus
from omoi_os.models.phase_gate_result import PhaseGateResult

PLAIN_WIDTH: Final = 120
"""Columns where the output is not a terminal."""

_MARKS: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("pass", "block"): ("ok", "green"),
    ("fail", "block"): ("FAIL", "bold red"),
    ("unknown", "block"): ("?", "bold yellow"),
}


def console() -> Console:
    """Standard output: as wide as the terminal, or `PLAIN_WIDTH` in a pipe."""
    out = Console(highlight=False, soft_wrap=False)
    return out if out.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def findings_table(findings: Iterable[Mapping[str, Any]]) -> Table:
    """One row per finding; the text of reports is shown, never interpreted as markup."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for name, share in (("criterion", 5), ("found", 7), ("needed", 5), ("where", 3), ("what to do", 6)):
        table.add_column(name, overflow="fold", ratio=share)
    for finding in findings:
        mark, style = _MARKS.get((finding["outcome"], finding["severity"]), ("note", "yellow"))
        name = visible(finding["criterion"]).replace(".", "\n")
        cells = (visible(finding[cell]) for cell in ("found", "needed", "artifact", "fix"))
        table.add_row(Text(mark, style), Text(name), *map(Text, cells))
    return table


def visible(text: str) -> str:
    """`text` with control characters shown: a report must not be able to steer the terminal."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def answer(result: PhaseGateResult) -> Text:
    """The verdict in one line."""
    findings = (result.validation_result or {}).get("findings", [])
    decisive = [finding for finding in findings if finding["severity"] == "block"]
    met = sum(finding["outcome"] == "pass" for finding in decisive)
    phase = result.phase_id.removeprefix("PHASE_").lower()
    counted = f"{met} of {len(decisive)} criteria are met"
    match result.gate_status:
        case GateStatus.PASSED:
            return Text(f"PASSED: the work may leave {phase}; {counted}.", "bold green")
        case GateStatus.FAILED:
            return Text(f"BLOCKED: the work may not leave {phase} yet; {counted}.", "bold red")
        case _:
            return Text(f"INCONCLUSIVE: {counted}, and the rest could not be measured.", "bold yellow")
