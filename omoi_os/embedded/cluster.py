"""Making a data directory and starting a server in it, with PostgreSQL's own programs."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from omoi_os.embedded.account import MAJOR, Account, find_programs, reachable
from omoi_os.embedded.address import DATABASE, PORT, ROLE, remove_leftovers
from omoi_os.embedded.processes import recorded_pid, server_processes
from omoi_os.errors import EmbeddedDatabaseError

_LOG = "server.log"
_LONGEST_LOG = 1024 * 1024
_HERE = "/proc/self/cwd"
_START_SECONDS = 60  # recovery after a crash reads at most max_wal_size
_INITDB = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
_INITDB += ["--builtin-locale=C.UTF-8", f"--username={ROLE}"]
# As fast as the usual 16 MB segments in a bulk load, and a new directory takes a third less room.
_INITDB += ["--wal-segsize=4"]
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "port": PORT,
    "cluster_name": "omoi",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",  # nobody replicates an embedded server
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",  # they share memory in /dev/shm, of which Docker gives 64 MB
    "io_method": "sync",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",  # statements that fail are told to their client, and would fill the disk here
    "log_checkpoints": "off",
}


def create(data_dir: Path, account: Account, settings: Mapping[str, str]) -> None:
    """Makes the data directory with its database; it appears complete or not at all."""
    if data_dir.exists() and any(data_dir.iterdir()):
        raise EmbeddedDatabaseError(
            f"{data_dir} is not empty and not a PostgreSQL data directory. Move it away.", path=str(data_dir)
        )
    prefix = f"{data_dir.name}.new-"
    for abandoned in [path for path in data_dir.parent.iterdir() if path.name.startswith(prefix)]:
        shutil.rmtree(abandoned, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=data_dir.parent))
    try:
        _initialize(made, account, settings)
        made.rename(data_dir)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    if settings.get("fsync") != "off":
        # Without this a power cut may undo the rename, and the next start would sweep the data away.
        _sync_folder(data_dir.parent)


def check_version(data_dir: Path) -> None:
    """Refuses a directory of another major version, which needs an upgrade that we do not make."""
    found = (data_dir / "PG_VERSION").read_text().strip()
    if found != str(MAJOR):
        raise EmbeddedDatabaseError(
            f"{data_dir} was made by PostgreSQL {found or '(an empty PG_VERSION)'} and this is {MAJOR}. "
            "Export it with the old version (pg_dump), move the folder away and import it (psql).",
            path=str(data_dir),
            found=found,
        )


def start(data_dir: Path, account: Account, settings: Mapping[str, str]) -> str:
    """Starts a server where none is. Returns what PostgreSQL says if it did not come up, else nothing.

    pg_ctl gives the server a session of its own, so that neither Ctrl-C nor a closed terminal reaches it.
    """
    _own(data_dir, account)
    bound_log(data_dir, account)
    # A starter that was killed may have left a server that comes up only now; its file is no leftover.
    if recorded_pid(data_dir) not in server_processes(data_dir):
        remove_leftovers(data_dir)
    log = data_dir / _LOG
    before = log.stat().st_size if log.exists() else 0
    options = shlex.join(_options(settings))
    command = ["start", "-w", "-t", str(_START_SECONDS), "-l", _LOG, "-o", options, "-D", _here(data_dir)]
    done = _run("pg_ctl", command, data_dir, account)
    if done.returncode == 0:
        return ""
    return _last_lines(_read_from(log, before)) or _last_lines(done.stdout)


def bound_log(data_dir: Path, account: Account) -> None:
    """Empties a log that grew over 1 MiB; the server appends, so this works while it runs."""
    try:
        # The account could plant a link here and have root empty another file.
        descriptor = os.open(data_dir / _LOG, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_uid == account.uid and found.st_size > _LONGEST_LOG:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def advice(output: str) -> str:
    """The end of what a program said, and what to do about it where we know."""
    said = _last_lines(output)
    if "No space left on device" in output:
        return f"the disk is full. Free some space and try again. It said: {said}"
    return said


def _initialize(made: Path, account: Account, settings: Mapping[str, str]) -> None:
    _own(made, account)
    unsynced = ["--no-sync"] if settings.get("fsync") == "off" else []
    done = _run("initdb", [*_INITDB, *unsynced, "-D", _here(made)], made, account)
    if done.returncode != 0:
        raise EmbeddedDatabaseError(f"PostgreSQL cannot make its data directory: {advice(done.stdout)}")
    single = ["--single", "-D", _here(made), *_options(settings), "postgres"]
    done = _run("postgres", single, made, account, f"create database {DATABASE}\n")
    # A statement that fails does not end this program with an error.
    if done.returncode != 0 or "ERROR:" in done.stdout:
        raise EmbeddedDatabaseError(f"PostgreSQL cannot make its database: {advice(done.stdout)}")


def _options(settings: Mapping[str, str]) -> list[str]:
    return [part for name, value in {**_SETTINGS, **settings}.items() for part in ("-c", f"{name}={value}")]


def _here(folder: Path) -> str:
    """The folder's name for a program that runs in it; pg_ctl puts it between quotes of a shell."""
    return _HERE if Path(_HERE).exists() else str(folder)


def _run(
    name: str, arguments: list[str], folder: Path, account: Account, text: str = ""
) -> subprocess.CompletedProcess[str]:
    programs = reachable(find_programs(), account)
    other = account.is_somebody_else
    return subprocess.run(
        [str(programs / name), *arguments],
        cwd=folder,  # entered before the user changes: the account could not come here by itself
        user=account.uid if other else None,
        group=account.gid if other else None,
        extra_groups=[] if other else None,
        umask=0o077,
        # Not ours: PG* variables would redirect the server, and SQL can read its environment, keys and all.
        env={"PATH": os.defpath, "LC_ALL": "C", "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")},
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=2 * _START_SECONDS,
    )


def _own(folder: Path, account: Account) -> None:
    """Gives root's new or copied folder to the account, and closes it: PostgreSQL insists on both."""
    if account.is_somebody_else and folder.stat().st_uid == 0:
        for path in [*folder.rglob("*"), folder]:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    folder.chmod(0o700)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_from(path: Path, offset: int) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(offset, path.stat().st_size - 8192))
        return file.read(8192).decode(errors="replace")


def _last_lines(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-8:])
