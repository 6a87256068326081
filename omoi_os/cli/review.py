"""`omoi review`: may this working tree leave its phase?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from omoi_os.cli.exits import exit_for
from omoi_os.cli.opening import opened, read_settings
from omoi_os.cli.show import console, print_plain, print_verdict, progress, visible
from omoi_os.errors import InvalidInput
from omoi_os.services.review import Review, ReviewRequest, read_phase


def review(
    path: Path = Path(),
    /,
    *,
    phase: Annotated[str, Parameter(name=["--phase", "-p"])] = "implementation",
    base: str | None = None,
    evidence: Annotated[list[str], Parameter(name=["--evidence", "-e"], negative="")] | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    judge: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Review a working tree: may the work leave its phase?

    Evidence is found by the names that tools give it (coverage.xml, lcov.info, junit*.xml,
    docs/*requirements*.md), and the change is taken from git. Nothing in the tree is executed.
    The verdict is recorded in the database.

    Parameters
    ----------
    path
        The working tree.
    phase
        requirements, design, implementation, testing or deployment.
    base
        Commit to compare with, instead of the merge base with the main branch.
    evidence
        TYPE=PATH: read this file of the working tree as that artifact, instead of what would be found.
        Can be repeated.
    force
        Measure anew even if nothing changed since the last verdict.
    judge
        Have an agent judge what the rules leave open (OMOI_JUDGE_MODEL), whatever the policy says.
    as_json
        Print the verdict as JSON.
    """
    if base == "":
        raise InvalidInput("--base: name a branch, a tag or a commit")
    request = ReviewRequest(path, read_phase(phase), _given(path, evidence or []), base, force, judge)
    with opened(read_settings()) as services, progress(f"measuring {path.name or 'this folder'}"):
        reviewed = services.reviews.review(request)
    if as_json:
        print_plain(json.dumps(_as_json(reviewed), indent=2))
    else:
        _print(reviewed)
    return exit_for(reviewed.result.gate_status)


def _given(workspace: Path, evidence: list[str]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    for item in evidence:
        type_, separator, name = item.partition("=")
        if not separator or not type_ or not name:
            raise InvalidInput(
                f"--evidence {item!r}: write TYPE=PATH, such as test_coverage=build/coverage.xml"
            )
        # A mistyped name must not read as work that was not done.
        if "\0" not in name and not (workspace.expanduser() / name).exists():
            raise InvalidInput(f"--evidence {item!r}: there is no such file in the working tree")
        given.setdefault(type_, []).append(name)
    return given


def _print(reviewed: Review) -> None:
    out = console()
    print_verdict(out, reviewed.result)
    for type_, paths in reviewed.passed_over.items():
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        names = visible(", ".join(paths[:3]))
        out.print(Text(f"{visible(type_)}: not read: {names}{more} (choose with --evidence)", "dim"))
    out.print(f"Recorded as result {reviewed.result.id}.", style="dim")


def _as_json(reviewed: Review) -> dict[str, Any]:
    result = reviewed.result
    details = result.validation_result or {}
    return {
        "gate_status": result.gate_status,
        "exit_code": int(exit_for(result.gate_status)),
        "code": details.get("code"),
        "phase_id": result.phase_id,
        "ticket_id": result.ticket_id,
        "result_id": result.id,
        "validated_at": result.validated_at.isoformat() if result.validated_at else None,
        "blocking_reasons": result.blocking_reasons or [],
        "findings": details.get("findings", []),
        "judge": details.get("judge"),
        "waivers": details.get("waivers", []),
        "convergence": details.get("convergence"),
        "inputs": details.get("inputs"),
        "policy_digest": details.get("policy"),
        "passed_over": {type_: list(paths) for type_, paths in reviewed.passed_over.items()},
    }
