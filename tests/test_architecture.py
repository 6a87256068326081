"""What loads when: a help text, a server or a test must not wait for an agent's libraries."""

from __future__ import annotations

import subprocess
import sys

# Seconds and hundreds of megabytes; only the judge and the worker need them.
HEAVY = {"openhands", "litellm", "dbos"}
NOT_FOR_HELP = HEAVY | {
    "fastapi",
    "sqlalchemy",
    "alembic",
    "lxml",
    "psycopg",
    "pydantic",
    "tiktoken",
    "uvicorn",
}


def loaded_by(statements: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after `statements`."""
    program = f"import sys\n{statements}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_server_loads_no_agent_and_no_engine() -> None:
    modules = loaded_by("import omoi_os.api.app")
    assert "fastapi" in modules  # else the question was put wrongly
    assert not modules & HEAVY


def test_the_commands_load_no_agent_and_no_engine() -> None:
    assert not loaded_by("import omoi_os.cli, omoi_os.cli.review, omoi_os.cli.serve") & HEAVY


def test_what_runs_agents_loads_them_with_the_first_run_only() -> None:
    modules = loaded_by("import omoi_os.services.agent_executor, omoi_os.judge.scripted")
    assert not modules & HEAVY


def test_help_loads_no_server_no_database_and_no_reader() -> None:
    # What `omoi --help` runs, in a process that can be asked afterwards.
    statements = (
        "from omoi_os.cli import main\n"
        "sys.argv = ['omoi', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )
    assert not loaded_by(statements) & NOT_FOR_HELP
