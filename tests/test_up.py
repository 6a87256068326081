"""`omoi up`: a server and workers in one command, which end with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.command import COMMAND, environment, omoi, servers_under

MODEL = {"OMOI_WORKER_MODEL": "openai/scripted", "OMOI_WORKER_API_KEY": "no-key-is-needed"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("options", "takes"), [([], "takes reviews ("), (["--execute"], "takes reviews and tasks (")]
)
def test_its_worker_takes_what_was_asked_for_and_ends_with_it(
    tmp_path: Path, options: list[str], takes: str
) -> None:
    process = subprocess.Popen(
        [*COMMAND, "up", "--port", "0", *options],
        cwd=tmp_path,
        env=environment(OMOI_DRAIN_SECONDS="1", **MODEL),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = ""
    with process:
        assert process.stderr is not None
        try:
            while takes not in said and (line := process.stderr.readline()):
                said += line
        finally:
            process.terminate()
        said += process.stderr.read()
    assert takes in said
    assert "worker: finishing what it has begun" in said
    assert "worker_ended" not in said
    assert servers_under(tmp_path) == []


def test_agents_without_a_model_are_refused_before_anything_is_started(tmp_path: Path) -> None:
    done = omoi("up", "--execute", cwd=tmp_path)
    assert done.returncode == 2
    assert "OMOI_WORKER_MODEL" in done.stderr
    assert list(tmp_path.iterdir()) == []
