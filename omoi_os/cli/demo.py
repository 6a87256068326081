"""`omoi demo`: three tickets with real work, each called done by its agent, reviewed on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from omoi_os.bootstrap import Services
from omoi_os.cli import samples
from omoi_os.cli.demo_judge import KEY, MODEL, scripted_judge
from omoi_os.cli.exits import Exit
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.samples import Sample
from omoi_os.cli.show import console, print_verdict, progress
from omoi_os.domain.phases import Phase
from omoi_os.domain.verdict import Outcome
from omoi_os.models.phase_gate_result import PhaseGateResult
from omoi_os.services.tickets import NewTicket, TicketService

NEXT: Final = """\
Try it on your own work: `omoi review .` in a git working tree with a coverage report measures the change \
against main, and `omoi serve` offers the same over HTTP (see /docs there). Both keep their data in ./.omoi; \
this demo leaves nothing behind."""


def demo() -> int:
    """Review three sample tickets: one passes, one is blocked, one is a liar.

    What the rules leave open is judged by the real agent on a model that plays its part by a script. It needs
    no key, no network and no set-up: the working trees and the database are made in a temporary folder and
    removed again. Exit code 0 says that all three came out as they must.
    """
    out = console()
    wrong = []
    with _workshop() as (folder, services):
        for number, name in enumerate(samples.ORDER, start=1):
            sample = samples.load(name)
            with progress(f"ticket {number} of {len(samples.ORDER)}: measuring, and asking a judge"):
                result = _review(name, folder, services)
            _print(out, f"{number} of {len(samples.ORDER)}", sample, result)
            if not _as_it_must(sample, result):
                wrong.append(name)
    if wrong:
        out.print(
            f"{', '.join(wrong)}: the review did not find what it must; this is a bug of omoi.", style="red"
        )
        return Exit.BLOCKED
    out.print(f"All {len(samples.ORDER)} came out as they must.", style="bold")
    out.print(NEXT)
    return Exit.PASSED


@contextmanager
def _workshop() -> Iterator[tuple[Path, Services]]:
    """A folder and a database of its own, whatever the operator's settings say; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="omoi-demo-") as name, scripted_judge() as server:
        folder = Path(name).resolve()
        settings = read_settings(
            database_url=None,
            home=folder / "home",
            workspaces=None,
            workspace_roots=".",
            policy=folder / "omoi.yaml",
            prompts=None,
            judge_model=MODEL,
            judge_api_key=KEY,
            judge_base_url=server.url,
            judge_host=None,
        )
        (folder / "omoi.yaml").write_text("version: 1\n")
        with opened(settings) as services:
            yield folder, services


def _review(name: str, folder: Path, services: Services) -> PhaseGateResult:
    sample = samples.load(name)
    tree = folder / name
    samples.build(name, tree)
    tickets = TicketService(services.db, workspace_roots=[folder])
    ticket = tickets.create(NewTicket(sample.title, phase_id=Phase.IMPLEMENTATION, workspace=tree))
    task = services.queue.enqueue_task(ticket.id, ticket.phase_id, "implement_feature", sample.title)
    services.queue.assign_task(task.id, sample.agent)
    services.queue.complete_task(task.id, sample.agent, sample.result)
    return services.gates.validate_gate(ticket.id, Phase.IMPLEMENTATION)


def _as_it_must(sample: Sample, result: PhaseGateResult) -> bool:
    findings = (result.validation_result or {}).get("findings", [])
    reasons = sorted(finding["code"] for finding in findings if finding["outcome"] != Outcome.PASS)
    return result.gate_status == sample.answer and reasons == sample.reasons


def _print(out: Console, place: str, sample: Sample, result: PhaseGateResult) -> None:
    out.print(Rule(Text(f"{place}: {sample.title}", "bold"), align="left", style="dim"))
    out.print(Text(f"{sample.agent} says: “{sample.says}”"))
    out.print()
    print_verdict(out, result)
    out.print()
