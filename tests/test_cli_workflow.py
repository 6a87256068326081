"""`omoi ticket` and `omoi task`, as people and scripts meet them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omoi_os.bootstrap import Services
from omoi_os.embedded import EmbeddedPostgres
from omoi_os.models.phases import Phase
from omoi_os.services.phase_service import Move
from omoi_os.services.tickets import NewTicket
from tests.command import omoi
from tests.evidence_texts import REQUIREMENTS

type Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, postgres: EmbeddedPostgres, services: Services) -> Run:
    def run(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return omoi(*arguments, cwd=tmp_path, OMOI_DATABASE_URL=postgres.ensure(), **more)

    return run


def said(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_a_ticket_goes_from_new_to_design(run: Run, tmp_path: Path) -> None:
    ticket = run("ticket", "new", "Reset passwords", "--priority", "high").stdout.strip()
    moved = run("ticket", "move", ticket, "requirements", "--reason", "begin")
    assert (moved.returncode, moved.stdout) == (0, "Moved from backlog to requirements.\n")
    closed = run("ticket", "move", ticket, "design")
    assert closed.returncode == 1
    assert "NOT MOVED" in closed.stdout
    assert "requirements_document" in closed.stdout
    result = tmp_path / "result.json"
    document = {"type": "requirements_document", "content": REQUIREMENTS}
    result.write_text(json.dumps({"artifacts": [document]}))
    for _ in range(2):
        task = said(run("task", "claim", "--agent", "ada", "--json"))["task"]
        done = said(run("task", "complete", task["id"], "--agent", "ada", "--result", result, "--json"))
        assert done["status"] == "completed"
    assert said(run("ticket", "move", ticket, "design", "--json"))["current_phase"] == Phase.DESIGN
    history = said(run("ticket", "history", ticket, "--json"))["history"]
    assert [item["transition_reason"] for item in history] == ["begin", ""]
    assert history[0]["transitioned_by"].startswith("cli")


def test_a_closed_gate_says_the_same_in_json(run: Run, services: Services) -> None:
    ticket = services.tickets.create(NewTicket("x", phase_id=Phase.REQUIREMENTS)).id
    answer = said(run("ticket", "move", ticket, "design", "--json"), 1)
    assert (answer["moved"], answer["gate_status"], answer["exit_code"]) == (False, "failed", 1)
    assert answer["blocking_reasons"]


def test_only_the_operator_forces_and_history_shows_it(run: Run, services: Services) -> None:
    ticket = services.tickets.create(NewTicket("x", phase_id=Phase.REQUIREMENTS)).id
    assert run("ticket", "move", ticket, "testing").returncode == 4
    silent = run("ticket", "move", ticket, "testing", "--force")
    assert (silent.returncode, "reason" in silent.stderr) == (2, True)
    assert "(forced)" in run("ticket", "move", ticket, "testing", "--force", "--reason", "hotfix").stdout
    assert "FORCED: hotfix" in run("ticket", "history", ticket).stdout
    assert said(run("ticket", "history", ticket, "--json"))["history"][0]["forced"] is True


def test_a_blocked_ticket_says_why_and_what_is_left_of_where_it_came_from(
    run: Run, services: Services
) -> None:
    ticket = services.tickets.create(NewTicket("x", phase_id=Phase.DESIGN)).id
    task = services.queue.enqueue_task(ticket, Phase.DESIGN, "write_design", None).id
    assert "nobody takes it" not in run("task", "show", task).stdout
    services.phases.move(ticket, Move(Phase.BLOCKED, "the customer is away", "ada"))
    held = " ".join(run("task", "show", task).stdout.split())
    assert f"nobody takes it its ticket is blocked; `omoi ticket move {ticket} design` goes on" in held
    shown = run("ticket", "show", ticket).stdout
    assert "the customer is away" in shown
    assert task in shown
    status = run("gate", "status", ticket)
    assert (status.returncode, "design_document" in status.stdout) == (5, True), status
    asked = said(run("gate", "request", ticket, "--json"), 8)
    assert asked["phase_id"] == Phase.DESIGN


def test_each_command_of_a_gate_says_what_it_does(run: Run) -> None:
    lines = run("gate", "--help", COLUMNS="200").stdout.splitlines()
    listed = {line.split()[1]: line.split()[2:-1] for line in lines if line.startswith("│ ")}
    assert {"request", "wait", "cancel", "history", "status"} <= listed.keys()
    assert all(listed.values()), listed


def test_lists_show_what_there_is_and_how_to_go_on(run: Run, services: Services) -> None:
    assert "There is no ticket" in run("ticket", "list").stdout
    ids = [services.tickets.create(NewTicket(f"ticket {number}")).id for number in range(3)]
    shown = run("ticket", "list", "--limit", "2").stdout
    assert ids[2] in shown
    assert ids[0] not in shown
    assert "--cursor" in shown
    first = said(run("ticket", "list", "--limit", "2", "--json"))
    rest = said(run("ticket", "list", "--cursor", first["next_cursor"], "--json"))
    assert [item["id"] for item in first["tickets"] + rest["tickets"]] == ids[::-1]
    assert rest["next_cursor"] is None
    assert "There is no such task" in run("task", "list", "--status", "running").stdout


def test_a_narrow_terminal_cuts_no_id_and_loses_no_column(run: Run, services: Services) -> None:
    ticket = services.tickets.create(NewTicket("Reset [passwords]", "first line\nsecond \x1b[31mline")).id
    task = services.queue.enqueue_task(ticket, "testing", "write_tests", "Write tests").id
    services.phases.move(ticket, Move(Phase.BLOCKED, "legal has to look at it", "ada"))
    for columns in ("40", "80", "120"):
        listed = run("ticket", "list", COLUMNS=columns).stdout
        assert ticket in listed
        assert "Reset [passwords]" in listed
        assert task in run("task", "list", COLUMNS=columns).stdout
        assert "legal has to look at it" in run("ticket", "history", ticket, COLUMNS=columns).stdout
    shown = run("ticket", "show", ticket).stdout
    assert "first line" in shown
    assert "\n                 second \\x1b[31mline" in shown  # below the first one, and no field of its own


def test_a_ticket_that_begins_in_a_work_phase_has_its_tasks(run: Run) -> None:
    ticket = run("ticket", "new", "x", "--phase", "testing").stdout.strip()
    tasks = said(run("task", "list", "--ticket", ticket, "--json"))["tasks"]
    assert [task["task_type"] for task in tasks] == ["run_tests", "write_tests"]


def test_a_long_list_of_tasks_says_how_to_see_the_rest(run: Run, services: Services) -> None:
    ticket = services.tickets.create(NewTicket("x", phase_id=Phase.TESTING)).id
    for number in range(21):
        services.queue.enqueue_task(ticket, "testing", f"work {number}", None)
    shown = run("ticket", "show", ticket).stdout
    assert "work 20" in shown
    assert f"omoi task list --ticket {ticket} --phase testing" in shown


def test_a_claim_keeps_to_the_phase_that_the_agent_registered_for(run: Run, services: Services) -> None:
    ticket = services.tickets.create(NewTicket("x")).id
    services.queue.enqueue_task(ticket, "design", "draw", None)
    tester = services.agents.register("worker", phase_id="testing").id
    assert said(run("task", "claim", "--agent", tester, "--json"), 8) == {"task": None}
    drawn = said(run("task", "claim", "--agent", tester, "--phase", "design", "--json"))
    assert drawn["task"]["task_type"] == "draw"


def test_a_task_is_shown_with_what_it_waits_for(run: Run, services: Services) -> None:
    ticket = services.tickets.create(NewTicket("x")).id
    first = services.queue.enqueue_task(ticket, "testing", "write_tests", "write \x1b[31mthem")
    second = services.queue.enqueue_task(ticket, "testing", "run_tests", None, dependencies=[first.id])
    shown = run("task", "show", second.id).stdout
    assert "waits for" in shown
    assert first.id in shown
    assert "\x1b" not in run("task", "show", first.id).stdout
    listed = run("task", "list", "--ticket", ticket).stdout
    assert listed.index("run_tests") < listed.index("write_tests")  # the newest first
    assert said(run("task", "show", second.id, "--json"))["depends_on"] == [first.id]


def test_nothing_to_claim_is_its_own_exit_code(run: Run) -> None:
    none = run("task", "claim", "--agent", "ada")
    assert (none.returncode, none.stdout) == (8, "No task is ready.\n")
    assert said(run("task", "claim", "--agent", "ada", "--json"), 8) == {"task": None}


def test_a_task_is_given_back_by_the_one_who_has_it(run: Run, services: Services) -> None:
    ticket = services.tickets.create(NewTicket("x")).id
    task = services.queue.enqueue_task(ticket, "testing", "write_tests", None).id
    run("task", "claim", "--agent", "ada")
    assert run("task", "release", task, "--agent", "bob").returncode == 4
    released = said(run("task", "release", task, "--agent", "ada", "--reason", "home", "--json"))
    assert (released["status"], released["retry_count"]) == ("pending", 0)


def test_failing_cancelling_and_retrying(run: Run, services: Services) -> None:
    ticket = services.tickets.create(NewTicket("x")).id
    task = services.queue.enqueue_task(ticket, "testing", "write_tests", None).id
    failed = said(run("task", "fail", task, "--error", "timeout of the disk", "--json"))
    assert (failed["status"], failed["retry_count"]) == ("pending", 1)
    lost = said(run("task", "fail", task, "--error", "no disk", "--permanent", "--json"))
    assert (lost["status"], lost["error_message"]) == ("failed", "Permanent error: no disk")
    assert task in run("task", "retry", task).stdout
    assert "Task cancelled: not wanted" in run("task", "cancel", task, "--reason", "not wanted").stdout
    assert run("task", "cancel", task).returncode == 4


def test_an_agent_that_lost_its_task_cannot_complete_it(run: Run, services: Services) -> None:
    ticket = services.tickets.create(NewTicket("x")).id
    task = services.queue.enqueue_task(ticket, "testing", "write_tests", None).id
    services.queue.claim_next_task("bob")
    refused = run("task", "complete", task, "--agent", "ada")
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "Another agent has this task" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ticket", "show", "nobody"), "there is no ticket 'nobody'"),
        (("ticket", "new", ""), "needs a title"),
        (("ticket", "new", "x", "--phase", "nowhere"), "there is no phase"),
        (("ticket", "new", "x", "--workspace", "missing"), "is not a folder"),
        (("ticket", "list", "--cursor", "x"), "cursor"),
        (("ticket", "list", "--limit", "0"), "--limit"),
        (("ticket", "list", "--limit=-5"), "--limit"),
        (("task", "list", "--limit", "99999999999999999999"), "--limit"),
        (("task", "show", "nobody"), "there is no task 'nobody'"),
        (("task", "list", "--status", "asleep"), "is not one of"),
        (("task", "complete", "x", "--result", "missing.json"), "missing.json"),
        (("task", "complete", "x", "--result", "-"), "--result -: it is not JSON"),  # stdin is empty here
        (("task", "fail", "x", "--error", " "), "what went wrong"),
        (("task", "claim", "--agent", " "), "name the agent"),
    ],
)
def test_a_mistake_is_one_sentence(run: Run, arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("text", ["[1]", "{", '{"a": NaN}', '{"a": 1, "a": 2}', '{"a": "\\u0000"}'])
def test_a_result_that_cannot_be_stored_is_refused(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    done = run("task", "complete", "x", "--result", "result.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
