"""The built wheel, installed into an empty environment, does the main job far from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from omoi_os.embedded.processes import server_processes
from tests.evidence_texts import lcov

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CHECKOUT = Path(__file__).resolve().parent.parent
UV = os.environ.get("UV", "uv")
WHOLE_FOLDERS = ("migrations", "prompts")

CODE = "def half(number):\n    return number / 2\n"
CHANGED = (
    "def half(number):\n    whole, rest = divmod(number, 2)\n    return whole if not rest else number / 2\n"
)
TEST = "from src.half import half\n\n\ndef test_an_odd_number_is_halved():\n    assert half(3) == 1.5\n"
EXTENDED = f"{TEST}\n\ndef test_an_even_number_stays_whole():\n    assert str(half(4)) == '2'\n"


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with the wheel in it.

    Attributes:
        variables: What a process may know: nothing of the checkout, of its environment or of settings.
    """

    programs: Path
    variables: Mapping[str, str]

    def run(self, program: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = [str(self.programs / program), *arguments]
        return subprocess.run(
            command, cwd=cwd, env=dict(self.variables), capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source archive, and with the wheel that was built from it alone."""
    folder = tmp_path_factory.mktemp("dist")
    _uv("build", "--out-dir", str(folder), str(CHECKOUT))
    return folder


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Path]:
    with TemporaryDirectory(prefix="omoi-wheel-") as folder:
        # Root's server runs as another user. If that one may not enter, the programs are copied to the
        # temp directory for good; pytest's own folders are closed to it.
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def installed(distributions: Path, elsewhere: Path) -> Installed:
    environment, pins = elsewhere / "environment", elsewhere / "pins.txt"
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    pins.write_text("\n".join(project["tool"]["uv"]["constraint-dependencies"]))
    programs = environment / "bin"
    _uv("venv", "--python", sys.executable, str(environment))
    wheel = str(_one(distributions, "*.whl"))
    _uv("pip", "install", "--python", str(programs / "python"), "--constraints", str(pins), wheel)
    kept = [entry for entry in os.environ["PATH"].split(os.pathsep) if not _in_checkout(Path(entry))]
    return Installed(programs, {"PATH": os.pathsep.join(kept), "HOME": str(elsewhere)})


@pytest.fixture
def tree(workspace: Path) -> Path:
    """A git working tree in which code has changed since the last commit, with a coverage report."""
    for name, text in (("src/half.py", CODE), ("tests/test_half.py", TEST)):
        (workspace / name).parent.mkdir()
        (workspace / name).write_text(text)
    _git(workspace, "init", "--initial-branch=main")
    _git(workspace, "add", ".")
    _git(workspace, "commit", "--message=Halve numbers")
    (workspace / "src/half.py").write_text(CHANGED)
    (workspace / "lcov.info").write_text(lcov(9, 10, "src/half.py"))
    return workspace


@pytest.fixture
def empty_folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "empty"
    folder.mkdir()
    yield folder
    assert server_processes(folder / ".omoi" / "pg") == set()


def test_the_wheel_holds_the_package_and_its_resources_and_nothing_else(distributions: Path) -> None:
    with zipfile.ZipFile(_one(distributions, "*.whl")) as wheel:
        names = wheel.namelist()
    strangers = [name for name in names if not name.startswith(("omoi_os/", "omoi_os-"))]
    assert not strangers
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".gitkeep"))]
    bundled = {name.removeprefix("omoi_os/_bundled/") for name in names if "_bundled" in name}
    assert bundled == {"alembic.ini", *(name for folder in WHOLE_FOLDERS for name in _files(folder))}


def test_the_source_archive_holds_no_tests_and_no_lock_file(distributions: Path) -> None:
    with tarfile.open(_one(distributions, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "alembic.ini"} <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "tools/", "uv.lock"))]


def test_resources_come_from_the_installed_wheel(installed: Installed, empty_folder: Path) -> None:
    program = (
        "import json, omoi_os; from omoi_os.resources import resource;"
        "print(json.dumps([str(resource(name)) for name in ('migrations', 'prompts', 'alembic.ini')]"
        " + [omoi_os.__file__]))"
    )
    done = installed.run("python", "-c", program, cwd=empty_folder)
    assert done.returncode == 0, done.stderr
    paths = [Path(path) for path in json.loads(done.stdout)]
    assert all(path.is_relative_to(installed.programs.parent) for path in paths)


def test_a_context_is_summed_up_without_a_network(installed: Installed, empty_folder: Path) -> None:
    program = (
        "import socket\n"
        "def refuse(*_): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from omoi_os.services.context_summarizer import ContextSummarizer\n"
        "context = {'decisions': ['keep one store'] * 9, 'notes': ['n ' * 9999]}\n"
        "print(ContextSummarizer().summarize(context, 60))"
    )
    done = installed.run("python", "-c", program, cwd=empty_folder)
    assert done.returncode == 0, done.stderr
    first, second, last, *_ = done.stdout.splitlines()
    assert first == "- decision: keep one store"
    assert second.endswith("… [cut]")
    assert last == "(left out: 0 of 2; cut: 1)"


def test_a_change_with_its_test_passes_where_only_the_wheel_is(
    installed: Installed, tree: Path, empty_folder: Path
) -> None:
    (tree / "tests/test_half.py").write_text(EXTENDED)
    done, verdict = _review(installed, tree, empty_folder)
    assert (done.returncode, verdict.get("gate_status")) == (0, "passed"), done.stderr
    assert [path.name for path in empty_folder.iterdir()] == [".omoi"]


def test_the_same_change_without_its_test_is_blocked(
    installed: Installed, tree: Path, empty_folder: Path
) -> None:
    done, verdict = _review(installed, tree, empty_folder)
    assert (done.returncode, verdict.get("gate_status")) == (1, "failed"), done.stderr
    assert len(verdict["blocking_reasons"]) == 1


def test_the_demo_tells_its_story_where_only_the_wheel_is(installed: Installed, empty_folder: Path) -> None:
    done = installed.run("omoi", "demo", cwd=empty_folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "All of it came out as it must" in done.stdout
    assert list(empty_folder.iterdir()) == []


def _review(
    installed: Installed, tree: Path, cwd: Path
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = installed.run("omoi", "review", str(tree), "--phase", "implementation", "--json", cwd=cwd)
    return done, json.loads(done.stdout or "{}")


def _uv(*arguments: str) -> None:
    done = subprocess.run([UV, "--quiet", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=A Person", "-c", "user.email=person@example.org"]
    nobodys = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", *identity, *arguments]
    subprocess.run(command, cwd=folder, env=nobodys, check=True, capture_output=True)


def _one(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def _in_checkout(path: Path) -> bool:
    return path.resolve().is_relative_to(CHECKOUT)


def _files(folder: str) -> Iterator[str]:
    for path in (CHECKOUT / folder).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(CHECKOUT).as_posix()
