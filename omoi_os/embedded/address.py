"""Where clients find the server, and whether it answers there."""

from __future__ import annotations

import os
import re
import socket
import stat
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, urlencode

from omoi_os.embedded.account import Account
from omoi_os.errors import EmbeddedDatabaseError

DATABASE = "omoi"
ROLE = "omoi"
PORT = "5432"  # only a part of the socket's name; said everywhere, since PGPORT may say something else
_SOCKET = f".s.PGSQL.{PORT}"
_LONGEST_FOLDER = 103 - len(f"/{_SOCKET}")  # a socket's name has at most 107 bytes, on macOS 103
# Comma and colon divide the hosts of a URL; a name with anything unusual gets an alias instead of quoting.
_PLAIN = re.compile(r"/[A-Za-z0-9._+/-]*")
_PROBE_SECONDS = 5


def socket_folder(data_dir: Path) -> Path:
    """A name for the data directory that fits into a socket's name: itself, or a symbolic link to it."""
    if len(os.fsencode(data_dir)) <= _LONGEST_FOLDER and _PLAIN.fullmatch(str(data_dir)):
        return data_dir
    alias = _alias(data_dir)
    if not _points_at(alias, data_dir):
        with suppress(FileExistsError):  # another process made it at the same moment
            alias.symlink_to(data_dir)
    if not _points_at(alias, data_dir):
        raise EmbeddedDatabaseError(
            f"{alias} must be our link to {data_dir}, and something else is there. Remove it.",
            path=str(alias),
        )
    return alias


def remove_alias(data_dir: Path) -> None:
    alias = _alias(data_dir)
    if alias.is_symlink() and _points_at(alias, data_dir):
        alias.unlink(missing_ok=True)


def database_url(folder: Path, account: Account) -> str:
    """A SQLAlchemy URL. `requirepeer` makes every later connection, too, refuse a socket of another user."""
    query = urlencode({"host": str(folder), "port": PORT, "requirepeer": account.name}, quote_via=quote)
    return f"postgresql+psycopg://{ROLE}@/{DATABASE}?{query}"


def complaint(folder: Path, account: Account) -> str | None:
    """Why the server does not answer a real query now; None if it does."""
    import psycopg  # noqa: PLC0415 - 265 ms, which `omoi --help` must not pay

    try:
        with psycopg.connect(
            host=str(folder),
            port=PORT,
            user=ROLE,
            dbname=DATABASE,
            requirepeer=account.name,
            connect_timeout=_PROBE_SECONDS,
            autocommit=True,
        ) as connection:
            connection.execute("select 1")
    except psycopg.Error as error:
        return str(error).strip()
    return None


def is_heard(folder: Path) -> bool:
    """Whether somebody listens on the socket, be it to say "starting up" or "too many connections"."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_PROBE_SECONDS)
        try:
            client.connect(str(folder / _SOCKET))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except TimeoutError:  # a full queue has a listener, too
            return True
    return True


def remove_leftovers(data_dir: Path) -> None:
    """Removes what a dead server left: PostgreSQL gives up when a pid in there is alive again."""
    for name in ("postmaster.pid", _SOCKET, f"{_SOCKET}.lock"):
        (data_dir / name).unlink(missing_ok=True)


def _alias(data_dir: Path) -> Path:
    name = f"omoi-pg-{os.geteuid()}-{sha256(os.fsencode(data_dir)).hexdigest()[:16]}"
    temporary = Path(tempfile.gettempdir()) / name
    return temporary if len(os.fsencode(temporary)) <= _LONGEST_FOLDER else Path("/tmp") / name  # noqa: S108


def _points_at(alias: Path, data_dir: Path) -> bool:
    # In a sticky folder nobody can replace a link that is ours; one that is not ours may be a trap.
    try:
        found = alias.lstat()
    except FileNotFoundError:
        return False
    ours = stat.S_ISLNK(found.st_mode) and found.st_uid == os.geteuid()
    return ours and alias.readlink() == data_dir
