"""The bundled samples: small projects, each with an agent's work on it and the reports of a real run.

Their files end in `.txt`, so that no test runner, linter or review takes them for a part of this project.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Final

import msgspec

from omoi_os.errors import OmoiError

FOLDER: Final = Path(__file__).resolve().parent.parent / "samples"
ORDER: Final = ("rate-limiter", "invoice-rounding", "short-links")

_SUFFIX: Final = ".txt"
_MAIN: Final = "main"
# The operator's own configuration (hooks, signing, line endings) must not change what is built.
_GIT_ENVIRONMENT: Final = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Sample",
    "GIT_AUTHOR_EMAIL": "sample@example.org",
    "GIT_AUTHOR_DATE": "2026-01-15T09:00:00+00:00",
    "GIT_COMMITTER_NAME": "Sample",
    "GIT_COMMITTER_EMAIL": "sample@example.org",
    "GIT_COMMITTER_DATE": "2026-01-15T09:00:00+00:00",
    "LC_ALL": "C",
}


class SampleArtifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One entry of the task's result: where the evidence stands, and what the agent claims about it."""

    type: str
    path: str | None = None
    content: dict[str, Any] | None = None


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ticket with its work, and what its review must find.

    Attributes:
        says: What the agent wrote when it called the task completed.
        branch: Where the agent worked.
        answer: The gate status that the review must reach.
        reasons: The codes of all findings that are not met, sorted.
    """

    title: str
    agent: str
    says: str
    branch: str
    answer: str
    reasons: list[str]
    artifacts: list[SampleArtifact]

    @property
    def result(self) -> dict[str, Any]:
        """The task's result as the agent handed it in."""
        return {"summary": self.says, "artifacts": [msgspec.to_builtins(item) for item in self.artifacts]}


class GitMissing(OmoiError):
    """The samples are git working trees, and there is no git on the PATH; install it."""

    code = "git_missing"


class GitFailed(OmoiError):
    """Git could not build a sample's working tree."""

    code = "git_failed"


def load(name: str) -> Sample:
    """The sample called `name`, one of `ORDER`."""
    return msgspec.toml.decode((FOLDER / name / "sample.toml").read_bytes(), type=Sample)


def build(name: str, tree: Path, *, reports: bool = True) -> None:
    """Make the sample's working tree in the new folder `tree`: main, the agent's branch, and the reports."""
    sample = load(name)
    begin(f"{name}/base", tree, sample.branch)
    copy(f"{name}/change", tree)
    _commit(tree, sample.title)
    if reports:
        copy(f"{name}/reports", tree)


def begin(base: str, tree: Path, branch: str) -> None:
    """Make a working tree in the new folder `tree` with the files of `base` on main, on `branch`."""
    tree.mkdir()
    copy(base, tree)
    _git(tree, "init", "--quiet", "--template=", "--initial-branch", _MAIN)
    _commit(tree, "The state before the work")
    _git(tree, "checkout", "--quiet", "-b", branch)


def copy(folder: str, tree: Path) -> None:
    """Put the files of a folder of `FOLDER` in the place of those that stand in `tree`."""
    for path, content in files(folder).items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def files(folder: str) -> dict[str, bytes]:
    """The files of a folder of `FOLDER`, by their paths in a working tree."""
    source = FOLDER / folder
    return {
        path.relative_to(source).as_posix().removesuffix(_SUFFIX): path.read_bytes()
        for path in sorted(source.rglob(f"*{_SUFFIX}"))
    }


def _commit(tree: Path, message: str) -> None:
    _git(tree, "add", "--all")
    _git(tree, "commit", "--quiet", "--message", message)


def _git(tree: Path, *arguments: str) -> None:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(tree), **_GIT_ENVIRONMENT}
    command = ["git", *arguments]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise GitMissing from None
    if done.returncode:
        complaint = done.stderr.decode("utf-8", "replace").strip()
        raise GitFailed(f"`git {arguments[0]}` failed while a sample was built: {complaint[:300]}")
