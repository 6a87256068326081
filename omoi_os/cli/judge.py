"""`omoi judge`: find out how far the configured judge can be relied on, and what it may still use."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

from cyclopts import App
from rich.console import Console
from rich.text import Text

from omoi_os.cli.exits import Exit
from omoi_os.cli.lists import AsJson, moment, print_fields, print_rows
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.show import console, print_plain, progress, visible
from omoi_os.domain.calibration import Agreement, Share
from omoi_os.services.budgeted_judge import BudgetedJudge
from omoi_os.services.calibration import CalibrationService
from omoi_os.services.calibration_cases import CasesInvalid, read_cases
from omoi_os.services.calibration_report import Summary
from omoi_os.services.policies import load_policy

app = App(name="judge", help="How far the judge can be relied on, and its budgets.")


@app.command
def calibrate(cases: Path, /, *, report: Path | None = None, as_json: AsJson = False) -> int:
    """Have the configured judge decide labelled cases, and compare.

    Each line of the file is one case: {"id", "phase", "artifacts": [{"type", "content"}],
    "labels": {criterion: "met" or "not_met"}}, and, if need be, "criteria": [{"id", "text"}] instead of
    those of the policy, "claims", "title" and "description". What is inconclusive agrees with no label.
    The report is stored for the policy's `max_wrong_passes`. A run that was broken off goes on when it
    is started again. Exit code 3 says that it could not judge every case.

    Parameters
    ----------
    cases
        The file of cases.
    report
        Where answers are written as they come; by default beside the cases, with ".report.json" at its end.
    """
    settings = read_settings()
    try:
        found = read_cases(cases, load_policy(settings))
    except CasesInvalid as error:
        for line in error.message.splitlines():
            print(visible(line), file=sys.stderr)
        return Exit.USAGE
    path = report or cases.with_name(f"{cases.name}.report.json")
    with opened(settings) as services, progress("calibrating") as status:
        judge = BudgetedJudge.opened(settings, services.budgets)
        calibration = CalibrationService(services.db, judge).calibrate(
            found, path, lambda done, total: status.update(f"case {done + 1:,} of {total:,}")
        )
    if as_json:
        print_plain(json.dumps(calibration.as_dict(found), indent=2))
    else:
        _print(console(), calibration.summary(found), calibration.model)
    if calibration.stopped:
        print(visible(f"stopped: {calibration.stopped}"), file=sys.stderr)
        print(f"run it again to go on; {visible(str(path))} holds what was answered", file=sys.stderr)
        return Exit.INCONCLUSIVE
    return Exit.PASSED


@app.command
def budget(*, as_json: AsJson = False) -> int:
    """Show the budgets of all processes on this database together, and what was used of them."""
    with opened(read_settings()) as services:
        state = services.budgets.state()
    if as_json:
        print_plain(json.dumps(state.as_dict(), indent=2))
        return Exit.PASSED
    most, cap = state.calls_per_minute, state.usd_per_day
    rows: list[tuple[str, object]] = [
        ("calls per minute", "no limit (OMOI_MODEL_CALLS_PER_MINUTE)" if most is None else f"{most:,}"),
        ("money per day", "no limit (OMOI_JUDGE_USD_PER_DAY)" if cap is None else f"${cap:,.2f}"),
    ]
    if most is not None:
        rows.insert(1, ("in the last minute", f"{state.calls_last_minute:,}"))
    if state.left_usd is not None:
        rows += [
            ("spent", f"${state.spent_usd:,.4f}"),
            ("reserved", f"${state.reserved_usd:,.4f}"),
            ("left", f"${state.left_usd:,.4f}"),
            ("begins anew", moment(state.begins_anew)),
        ]
    print_fields(console(), rows)
    return Exit.PASSED


def _print(out: Console, found: Summary, model: str) -> None:
    rows = [*found.criteria.items(), ("all criteria", found.every), ("whole cases", found.whole)]
    names = ("", "agreement", "kappa", "wrong passes", "wrong fails", "inconclusive")
    print_rows(out, names, [(name, *_cells(agreement)) for name, agreement in rows])
    used = found.usage
    cost = "an unknown amount" if used.cost_usd is None else f"${used.cost_usd:.4f}"
    tokens = f"{used.prompt_tokens:,} tokens read and {used.completion_tokens:,} written"
    out.print()
    out.print(Text(f"{visible(model)} judged {found.cases:,} cases for {cost}: {tokens}."))
    out.print(
        f"A policy with max_wrong_passes of {_up(found.every.wrong_passes):.1f} or more lets it decide: the"
        " upper end of the interval counts.",
        style="dim",
    )


def _cells(agreement: Agreement) -> tuple[str, ...]:
    kappa = "-" if agreement.kappa is None else f"{agreement.kappa:.2f}"
    return (
        _share(agreement.agreed),
        kappa,
        _share(agreement.wrong_passes),
        _share(agreement.wrong_fails),
        str(agreement.inconclusive.count),
    )


def _share(share: Share) -> str:
    """In percent, with its 95 % interval and its count; nothing is known without a trial."""
    if share.share is None:
        return "-"
    interval = f"{share.low * 100:.0f}-{share.high * 100:.0f}"
    return f"{share.share * 100:.1f} % ({interval}; {share.count}/{share.trials})"


def _up(share: Share) -> float:
    """In percent, rounded up: what is printed must suffice."""
    return math.ceil(share.high * 1000) / 10
