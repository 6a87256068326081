"""The policy in force, and the file that it comes from.

Never from the work under review: who can change what is asked of them has passed already.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omoi_os.domain.phases import parse_phase
from omoi_os.domain.policy import PhasePolicy, Policy, built_in, read_policy
from omoi_os.errors import PolicyInvalid
from omoi_os.services.policy_yaml import MAX_BYTES, MAX_PROBLEMS, read_yaml
from omoi_os.settings import Settings

POLICY_FILE: Final = "omoi.yaml"
_MOST_LINKS: Final = 40


@dataclass(frozen=True, slots=True)
class PolicyService:
    """Answers what is asked, for as long as a process runs.

    Attributes:
        source: The file that the policy was read from; None for the built-in one.
    """

    policy: Policy
    source: Path | None = None

    @classmethod
    def opened(cls, settings: Settings) -> PolicyService:
        """The service on the operator's policy.

        Raises:
            PolicyInvalid: The file cannot be used.
        """
        return cls(load_policy(settings), policy_path(settings))

    def of(self, phase_id: str, reviewed: Path | None = None) -> PhasePolicy:
        """What is asked in a phase, of the work in `reviewed`.

        Raises:
            PolicyInvalid: The policy file lies in the folder that is reviewed.
            UnknownPhase, PhaseHasNoGate: The message lists what can be named.
        """
        if self.source is not None and reviewed is not None:
            refuse_reviewed(self.source, reviewed)
        return self.policy.of(parse_phase(phase_id))


def load_policy(settings: Settings, reviewed: Path | None = None) -> Policy:
    """The operator's policy, or the built-in one where there is no file.

    Args:
        reviewed: The folder that is to be reviewed under this policy.

    Raises:
        PolicyInvalid: The file cannot be used, or lies in `reviewed`.
    """
    path = policy_path(settings)
    if path is None:
        return built_in()
    if reviewed is not None:
        refuse_reviewed(path, reviewed)
    return read_policy_file(path)


def policy_path(settings: Settings) -> Path | None:
    """The file that the settings name, or omoi.yaml in the current folder; None where there is none."""
    if settings.policy is not None:
        return settings.policy.expanduser().absolute()
    usual = Path(POLICY_FILE).absolute()
    # A link that leads nowhere is a policy that is missing, and not the absence of one.
    return usual if usual.exists() or usual.is_symlink() else None


def refuse_reviewed(path: Path, reviewed: Path) -> None:
    """Raise PolicyInvalid where the file, or a link on the way to it, lies under `reviewed`."""
    root = reviewed.expanduser().resolve()
    for hop in _hops(path):
        if hop.is_relative_to(root):
            raise PolicyInvalid(
                f"{path}: the policy lies in the folder that is reviewed, where the work could change it; "
                "keep a copy elsewhere and name it in OMOI_POLICY",
                path=str(path),
            )


def _hops(path: Path) -> list[Path]:
    """Where the path leads, link by link; folders on the way are resolved."""
    hops: list[Path] = []
    while len(hops) < _MOST_LINKS:
        path = path.parent.resolve() / path.name
        hops.append(path)
        if not path.is_symlink():
            break
        path = path.parent / path.readlink()
    return [*hops, path.resolve()]


def read_policy_file(path: Path) -> Policy:
    """The policy in a file.

    Raises:
        PolicyInvalid: One line for each thing that is wrong, as `file:line: what; what to write instead`.
    """
    return parse_policy(_read(path), str(path))


def parse_policy(raw: bytes, name: str) -> Policy:
    """The policy in the text of a file that is called `name`; raises as `read_policy_file`."""
    content = read_yaml(raw)
    problems = list(content.problems)
    if content.value is not None:
        policy = read_policy(content.value)
        if isinstance(policy, Policy):
            if not problems:
                return policy
        else:
            # What a line is said to be in YAML comes first: an empty value is also one of a wrong type.
            told = {line for line, _ in problems}
            problems += [
                (line, problem.text) for problem in policy if (line := content.line_of(problem)) not in told
            ]
    elif not problems:
        problems.append((1, "the file is empty; write version: 1 in the first line"))
    raise _invalid(name, problems)


def _invalid(name: str, problems: list[tuple[int, str]]) -> PolicyInvalid:
    lines = [f"{name}:{line}: {text}" for line, text in sorted(set(problems))]
    if (more := len(lines) - MAX_PROBLEMS) > 0:
        lines[MAX_PROBLEMS:] = [f"{name}: and {more:,} more"]
    return PolicyInvalid("\n".join(lines), problems=lines)


def _read(path: Path) -> bytes:
    # Without O_NONBLOCK, opening a pipe in the place of the file would wait for its writer.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        raise PolicyInvalid(
            f"{path}: the policy cannot be read ({reason}); name a file in OMOI_POLICY, or write one with "
            "`omoi init`"
        ) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PolicyInvalid(f"{path}: this is no file; name a policy file in OMOI_POLICY")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
