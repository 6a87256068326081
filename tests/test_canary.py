"""A secret that is looked for everywhere afterwards: rows, logs, transcripts, answers, and what a model saw.

What redaction can promise: a secret that the process was started with (the model's key, and what the
environment names as a secret) leaves it towards the provider as its own key, and in no other way, also where
an artifact or a file of the work repeats it. A secret of the work's own, that this process does not know, is
shown to the model, as the work is, and stands in the conversation's files: what looks like one (a password
in an address, a value named key or token) is taken out of whatever people and programs are shown, and
anything else is the text of whoever wrote it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import text

from omoi_os.judge.scripted import Answer, Call, Request, ScriptedModel, fails, finish, says
from omoi_os.judge.transcript import read_transcript
from omoi_os.services.database import DatabaseService
from tests.command import environment, omoi

KEY: Final = "sk-canary-key-0123456789"
TOKEN: Final = "ghp-canary-token-0123456789"
PASSWORD: Final = "canary-password-0123456789"
HEADER: Final = "canary-header-0123456789"
OWN: Final = "canary-of-the-work-0123456789"
KNOWN: Final = (KEY, TOKEN, PASSWORD)

SECRETS: Final = {
    "OMOI_JUDGE_MODEL": "openai/scripted",
    "OMOI_JUDGE_API_KEY": KEY,
    "GITHUB_TOKEN": TOKEN,
    "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={TOKEN}",
    "SOMEBODYS_DATABASE_URL": f"postgresql://u:{PASSWORD}@db/x",
    "PGPASSFILE_PASSWORD": PASSWORD,
}

JUDGE: Final = """
import json, logging, os, sys
from dataclasses import replace
from pathlib import Path
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
from omoi_os import logs
from omoi_os.domain.judging import ArtifactText, Claim, JudgeQuestion
from omoi_os.domain.phases import Phase
from omoi_os.domain.policy import JudgeCriterion, JudgePolicy
from omoi_os.domain.verdict import Finding, Outcome
from omoi_os.services.judging import AgentJudge
from omoi_os.settings import Settings

logs.configure(json_lines=True)
leak = Path("work/leak.md").read_text()
measured = Finding("tests", Outcome.PASS, "x", f"said {leak}", "nothing")
question = JudgeQuestion(
    Phase.DESIGN, f"title {leak}", leak, (JudgeCriterion("one", "It is written down what is done."),),
    (ArtifactText("design_document", f"It is written what is done. {leak}", problem=f"cut at {leak}"),),
    context=leak, measured=(measured,), claims=(Claim("claim_1", leak),),
)
judge = AgentJudge.opened(Settings())
opinion = judge.opinion(question, Path("work").resolve(), JudgePolicy())
import structlog
structlog.get_logger().info("judged", opinion=opinion.feedback, model=str(judge.model), api_key="x")
print(json.dumps(opinion.as_dict()), repr(opinion), repr(judge), repr(Settings()))
"""


def everything() -> str:
    return " ".join((*KNOWN, f"token={OWN}", f"postgresql://u:{OWN}@db/x"))


def judged(folder: Path, script: object) -> tuple[subprocess.CompletedProcess[str], list[Request]]:
    """A judge in a process of its own, whose environment and whose work hold every secret."""
    (folder / "work").mkdir()
    (folder / "work" / "leak.md").write_text(everything())
    with ScriptedModel(script) as model:  # type: ignore[arg-type]
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", JUDGE],
            cwd=folder,
            env=environment(**SECRETS, OMOI_JUDGE_BASE_URL=model.url),
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
    return done, model.requests


def talks(request: Request) -> Answer:
    """Reads the leak, repeats every secret in prose, in arguments, in quotes, and is echoed in headers."""
    answers = {
        0: says(f"I know {everything()}", Call("read_file", {"path": "leak.md"})),
        1: says(None, Call("search_files", {"text": TOKEN})),
        2: says(None, Call("bash", {"command": everything()})),
    }
    answer = answers.get(request.turn) or submitted(request)
    return Answer(answer.chunks, answer.status, {"x-echo": f"{KEY} {HEADER}", "set-cookie": f"a={HEADER}"})


def submitted(request: Request) -> Answer:
    code = request.text().split("in `review`: ")[1].split(".")[0]
    why = {"no_quote_because": f"looked for {everything()}", "reasoning": f"It says {everything()}."}
    if "Your answers are recorded" in request.text():
        return says(
            None, finish(stage_2={"review": code, "claims": [{"claim": "claim_1", "answer": "false", **why}]})
        )
    return says(
        None, finish(stage_1={"review": code, "answers": [{"criterion": "one", "answer": "not_met", **why}]})
    )


def echoes(status: int) -> Answer:
    """All that a provider can know: the key, and what it was shown."""
    answer = fails(status, f"Incorrect API key provided: {KEY}; token={OWN} postgresql://u:{OWN}@db/x")
    return Answer(answer.chunks, answer.status, {"x-echo": f"{KEY} {HEADER}"})


def kept(folder: Path) -> dict[str, str]:
    """Every file that was written beside the work."""
    files = (
        path for path in folder.rglob("*") if path.is_file() and "work" not in path.relative_to(folder).parts
    )
    return {str(path): path.read_text(errors="replace") for path in files}


def leaks(where: str, secrets: tuple[str, ...] = KNOWN) -> list[str]:
    return [secret for secret in secrets if secret in where]


@pytest.fixture(scope="module")
def review(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str], list[Request]]:
    folder = tmp_path_factory.mktemp("canary")
    done, requests = judged(folder, talks)
    assert done.returncode == 0, done.stderr
    return folder, done, requests


type Review = tuple[Path, subprocess.CompletedProcess[str], list[Request]]


def test_the_key_goes_to_the_provider_as_its_key_and_nothing_else_does(review: Review) -> None:
    _, _, requests = review
    assert len(requests) == 5
    for request in requests:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert not leaks(str({**request.headers, "Authorization": ""}))
        ours = [message for message in request.messages if message["role"] in {"system", "user", "tool"}]
        assert leaks(json.dumps(ours)) == []


def test_no_answer_and_no_log_holds_a_secret(review: Review) -> None:
    _, done, _ = review
    assert '"outcome": "accepted"' in done.stdout
    assert leaks(done.stdout, (*KNOWN, HEADER, OWN)) == []
    assert leaks(done.stderr, (*KNOWN, HEADER, OWN)) == []


def test_no_transcript_holds_a_secret_of_the_process(review: Review) -> None:
    folder, _, _ = review
    files = kept(folder)
    assert any(path.endswith("base_state.json") for path in files)
    for path, content in files.items():
        # What the model itself said with the key in it was cleaned on its way in.
        assert leaks(content, (KEY, HEADER)) == [], path


def test_the_transcript_for_people_holds_none_at_all(review: Review) -> None:
    folder, _, _ = review
    [conversation] = (folder / ".omoi" / "transcripts").iterdir()
    shown = json.dumps(read_transcript(conversation, *KNOWN).as_dict())
    assert "read_file" in shown
    assert leaks(shown, (*KNOWN, HEADER, OWN)) == []


@pytest.mark.parametrize("status", [401, 500])
def test_an_error_that_echoes_everything_is_told_without_it(
    tmp_path: Path, db_service: DatabaseService, status: int
) -> None:
    database = db_service.engine.url.render_as_string(hide_password=False)
    case = {
        "id": "1",
        "phase": "design",
        "artifacts": [{"type": "design_document", "content": f"It is written down. {everything()}"}],
        "labels": {"decided": "met"},
    }
    (tmp_path / "cases.jsonl").write_text(json.dumps(case))
    with ScriptedModel(lambda _: echoes(status)) as model:
        done = omoi(
            "judge",
            "calibrate",
            "cases.jsonl",
            cwd=tmp_path,
            OMOI_DATABASE_URL=database.replace("postgresql+psycopg", "postgresql"),
            **SECRETS,
            OMOI_JUDGE_BASE_URL=model.url,
        )
    assert model.requests
    assert done.returncode in {0, 3}, done.stderr
    assert leaks(done.stdout + done.stderr, (*KNOWN, HEADER, OWN)) == []
    files = {path: content for path, content in kept(tmp_path).items() if not path.endswith("cases.jsonl")}
    assert files
    for path, content in files.items():
        assert leaks(content) == [], path
        assert OWN not in content or "transcripts" in path, path
    with db_service.engine.connect() as connection:
        for table in connection.scalars(text("select tablename from pg_tables where schemaname = 'public'")):
            rows = str(connection.execute(text(f"select * from {table}")).all())
            assert leaks(rows, (*KNOWN, HEADER, OWN)) == [], table
