"""Small git repositories for tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder`, with nobody's configuration."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{
            f"GIT_{who}_{what}": f"{what}@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def repository(folder: Path, files: Mapping[str, str]) -> None:
    """A repository whose branch main has one commit with `files`."""
    git(folder, "init", "-q", "-b", "main")
    commit(folder, files)


def commit(folder: Path, files: Mapping[str, str], *, branch: str | None = None) -> None:
    """Commit `files`, on a new branch where one is named."""
    if branch is not None:
        git(folder, "checkout", "-q", "-b", branch)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "work")
