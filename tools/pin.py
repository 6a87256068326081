# /// script
# requires-python = ">=3.12"
# ///
"""Pin the exact version of every package, transitive ones too, in pyproject.toml.

    uv run tools/pin.py            pin what has no pin yet, drop what is no longer used, move nothing else
    uv run tools/pin.py --upgrade  take the newest version of everything that the dependencies allow
    uv run tools/pin.py --check    write nothing; exit code 1 if the first command would change the file

The header above gives this script an environment of its own: it is needed most when the project's cannot
be resolved.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Final

PROJECT: Final = Path(__file__).resolve().parent.parent / "pyproject.toml"
RUNTIME: Final = "constraint-dependencies"
BUILD: Final = "build-constraint-dependencies"

type Names = tuple[str, ...]


class Unresolvable(Exception):
    """The dependencies and the pins contradict each other, or no package index answers."""


@dataclass(frozen=True, slots=True)
class Pins:
    """Requirements such as "rich==15.0.0", sorted.

    Attributes:
        runtime: What a run, the tests and the tools install.
        build: What makes the wheel.
    """

    runtime: Names = ()
    build: Names = ()

    @classmethod
    def of(cls, pyproject: str) -> Pins:
        """The pins that the text of a pyproject.toml holds."""
        table = tomllib.loads(pyproject)["tool"]["uv"]
        return cls(tuple(table[RUNTIME]), tuple(table[BUILD]))

    def written_into(self, pyproject: str) -> str:
        """The text of a pyproject.toml with these pins in place of its own; nothing else is touched."""
        return _with_list(_with_list(pyproject, RUNTIME, self.runtime), BUILD, self.build)


def _with_list(pyproject: str, name: str, entries: Names) -> str:
    array = "\n".join((f"{name} = [", *(f'    "{entry}",' for entry in entries), "]"))
    # A function, because a replacement text would have its backslashes read.
    replaced, times = re.subn(rf"^{name} = \[\n(?:    .*\n)*\]$", lambda _: array, pyproject, flags=re.M)
    if times != 1:
        raise SystemExit(f"pyproject.toml needs one list `{name} = [` with a line per entry")
    return replaced


def resolve(pyproject: str) -> Pins:
    """What a resolution for all platforms and Pythons gives; the pins in `pyproject` are in force."""
    project = tomllib.loads(pyproject)
    build = {
        "project": {
            "name": "build",
            "version": "0",
            "requires-python": project["project"]["requires-python"],
            "dependencies": project["build-system"]["requires"],
        },
        "tool": {"uv": {RUNTIME: project["tool"]["uv"][BUILD]}},
    }
    return Pins(_lock(pyproject), _lock(_toml(build)))


def _lock(pyproject: str) -> Names:
    """The packages of a fresh lock file; it is made elsewhere, so that an old one has no say."""
    # `uv run` puts the path of uv itself there.
    uv = os.environ.get("UV", "uv")
    with tempfile.TemporaryDirectory(prefix="omoi-pin-") as folder:
        Path(folder, "pyproject.toml").write_text(pyproject, encoding="utf-8")
        command = [uv, "lock", "--quiet", "--project", folder, "--python", sys.executable]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unresolvable(done.stderr.strip())
        lock = tomllib.loads(Path(folder, "uv.lock").read_text(encoding="utf-8"))
    return _pins(lock["package"])


def _pins(packages: Sequence[dict[str, Any]]) -> Names:
    published = [package for package in packages if "registry" in package["source"]]
    return tuple(sorted(map(_pin, published)))


def _pin(package: dict[str, Any]) -> str:
    """Only a package that has several versions carries markers: the Pythons and platforms of this one."""
    pin = f"{package['name']}=={package['version']}"
    match package.get("resolution-markers", []):
        case []:
            return pin
        case [marker]:
            return f"{pin} ; {marker}"
        case markers:
            return f"{pin} ; " + " or ".join(f"({marker})" for marker in markers)


def _toml(tables: dict[str, dict[str, Any]]) -> str:
    """Just enough TOML for a pyproject with strings, lists of strings and one level of nesting."""
    lines: list[str] = []
    for name, table in tables.items():
        nested = {key: value for key, value in table.items() if isinstance(value, dict)}
        lines.append(f"[{name}]")
        lines += [f"{key} = {value!r}" for key, value in table.items() if key not in nested]
        lines.append(_toml({f"{name}.{key}": value for key, value in nested.items()}))
    return "\n".join(lines)


def differences(present: Pins, resolved: Pins) -> list[str]:
    """One line per pin that is missing, unused or another version than the resolution has."""
    lines: list[str] = []
    for have, need in zip(astuple(present), astuple(resolved), strict=True):
        lines += [f"missing: {pin}" for pin in _without(need, have)]
        lines += [f"unused: {pin}" for pin in _without(have, need)]
        if have != need and set(have) == set(need):
            lines.append("the pins are not sorted, or one is there twice")
    return lines


def _without(pins: Iterable[str], others: Iterable[str]) -> list[str]:
    return sorted(set(pins) - set(others))


def check(pyproject: str) -> int:
    """Say what is wrong with the pins; the exit code."""
    try:
        wrong = differences(Pins.of(pyproject), resolve(pyproject))
    except Unresolvable as error:
        print(error, "The pins of pyproject.toml cannot be installed together.", sep="\n", file=sys.stderr)
        return 1
    if not wrong:
        return 0
    print(*wrong, sep="\n", file=sys.stderr)
    print("The pins do not match the dependencies: run `uv run tools/pin.py`.", file=sys.stderr)
    return 1


def write(pyproject: str, *, upgrade: bool) -> int:
    """Write the pins; the exit code."""
    try:
        resolved = resolve(Pins().written_into(pyproject) if upgrade else pyproject)
    except Unresolvable as error:
        advice = "Delete the pins that have to move and run this again, or take --upgrade."
        print(error, advice, sep="\n", file=sys.stderr)
        return 1
    PROJECT.write_text(resolved.written_into(pyproject), encoding="utf-8")
    print(*differences(Pins.of(pyproject), resolved), sep="\n")
    print(f"pinned {len(resolved.runtime)} packages, and {len(resolved.build)} that build the wheel")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Pin the exact version of every package.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="write nothing; exit code 1 on a difference")
    mode.add_argument("--upgrade", action="store_true", help="take the newest version of everything")
    options = parser.parse_args()
    pyproject = PROJECT.read_text(encoding="utf-8")
    return check(pyproject) if options.check else write(pyproject, upgrade=options.upgrade)


if __name__ == "__main__":
    sys.exit(main())
