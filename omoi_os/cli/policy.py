"""`omoi policy`: what is asked, and whether a file says what its author means."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter
from rich.text import Text

from omoi_os.cli.exits import Exit
from omoi_os.cli.opening import read_settings
from omoi_os.cli.show import console, print_plain, visible
from omoi_os.domain.phases import parse_phase
from omoi_os.domain.policy.difference import Direction, differences
from omoi_os.domain.policy.document import json_schema
from omoi_os.domain.policy.words import explain as in_words
from omoi_os.errors import PolicyInvalid
from omoi_os.services.policies import load_policy, policy_path, read_policy_file

app = App(name="policy", help="Check, explain and compare policies.")

_STYLES: Final = {Direction.WEAKER: "bold red", Direction.STRONGER: "green", Direction.DIFFERENT: "yellow"}


@app.command
def check(file: Path | None = None, /) -> int:
    """Check a policy file; every mistake is told with its line.

    Parameters
    ----------
    file
        The file; otherwise the one in OMOI_POLICY, or omoi.yaml in this folder.
    """
    path = file or policy_path(read_settings())
    if path is None:
        print("there is no omoi.yaml here, and OMOI_POLICY is not set: the built-in policy holds")
        return Exit.PASSED
    try:
        policy = read_policy_file(path)
    except PolicyInvalid as error:
        for line in error.message.splitlines():
            print(visible(line), file=sys.stderr)
        return Exit.USAGE
    print(f"{visible(str(path))} is a valid policy; its digest is {policy.digest}")
    return Exit.PASSED


@app.command
def explain(
    *,
    phase: Annotated[str, Parameter(name=["--phase", "-p"])],
    file: Path | None = None,
) -> int:
    """Say in plain words what a phase asks for.

    Parameters
    ----------
    phase
        requirements, design, implementation, testing or deployment.
    file
        The policy file, instead of the one that is in force here.
    """
    policy = read_policy_file(file) if file else load_policy(read_settings())
    print_plain("\n".join(visible(line) for line in in_words(policy.of(parse_phase(phase)))))
    return Exit.PASSED


@app.command
def diff(old: Path, new: Path, /) -> int:
    """Say what a new policy asks more, less or otherwise; exit code 1 if anything became weaker.

    Parameters
    ----------
    old
        The policy file before the change.
    new
        The policy file after it.
    """
    found = differences(read_policy_file(old), read_policy_file(new))
    out = console()
    for change in found:
        phase = change.phase.name.lower()
        out.print(
            Text.assemble(
                (f"{change.direction:<10}", _STYLES[change.direction]), f"{phase}: {visible(change.text)}"
            )
        )
    weaker = sum(change.direction is Direction.WEAKER for change in found)
    out.print(f"{weaker:,} of {len(found):,} changes ask for less." if found else "Both ask for the same.")
    return Exit.BLOCKED if weaker else Exit.PASSED


@app.command
def schema() -> int:
    """Print the JSON Schema of policy files, for editors."""
    print_plain(json.dumps(json_schema(), indent=2))
    return Exit.PASSED
