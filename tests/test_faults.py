"""Named points at which a process fails when its environment says so, and only then."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import omoi_os
from omoi_os import faults
from omoi_os.faults import POINTS, VARIABLE, FaultInjected
from tests.command import environment

PROGRAM = (
    "from omoi_os import faults\nfor n in range(3): faults.reached('take.before_commit', 'r')\nprint('done')"
)


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.arm("")


def run(fault: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(**{VARIABLE: fault}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_nothing_happens_where_nothing_was_asked_for() -> None:
    for point in POINTS:
        faults.reached(point)
    assert run("").stdout == "done\n"


def test_a_process_is_killed_at_the_passage_that_its_environment_names() -> None:
    killed = run("take.before_commit=kill:3")
    assert killed.returncode == -signal.SIGKILL
    assert "fault_injected" in killed.stdout + killed.stderr
    assert run("take.before_commit=kill:4").stdout == "done\n"


@pytest.mark.parametrize("fault", ["nowhere=kill", "take=kill", "take.before_commit=explode"])
def test_a_fault_that_names_nothing_keeps_a_process_from_starting(fault: str) -> None:
    assert run(fault).returncode != 0


def test_an_error_is_raised_at_one_passage_or_at_each() -> None:
    faults.arm("take.before_commit=raise:2")
    faults.reached("take.before_commit")
    with pytest.raises(FaultInjected):
        faults.reached("take.before_commit")
    faults.reached("take.before_commit")
    faults.arm("take.before_commit=raise:*")
    for _ in range(3):
        with pytest.raises(FaultInjected):
            faults.reached("take.before_commit")


def test_a_fault_can_be_about_one_review_alone() -> None:
    faults.arm("take.before_commit@r1=raise:*")
    faults.reached("take.before_commit", "r2")
    faults.reached("take.before_commit")
    with pytest.raises(FaultInjected):
        faults.reached("take.before_commit", "r1")


def test_each_commit_that_is_named_has_its_points_in_the_code() -> None:
    folder = Path(omoi_os.__file__).parent
    code = "\n".join(path.read_text() for path in folder.rglob("*.py") if path.name != "faults.py")
    rows = set(re.findall(r'reached\("(\w+)\.before_commit"', code)) & set(
        re.findall(r'reached\("(\w+)\.after_commit"', code)
    )
    # These two are named by what comes of a transaction.
    named_late = {"record", "put_off", "advance", "fix", "block"}
    assert rows | named_late == set(faults.ROWS)
    assert set(re.findall(r'@_step\("(\w+)"', code)) == set(faults.STEPS)
