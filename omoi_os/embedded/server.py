"""The server of one data directory, as seen by one of the processes that share it."""

from __future__ import annotations

import atexit
import errno
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

from omoi_os.embedded import address, cluster, locks
from omoi_os.embedded.account import Account, server_account
from omoi_os.embedded.processes import recorded_pid, server_processes, terminate
from omoi_os.errors import EmbeddedDatabaseError

_PATIENCE = 60.0  # seconds until a server that listens must answer
_DEAF = 2.0  # seconds until a server that does not listen is ended; it listens from its first moments on
_PAUSE = 0.02


_instances: WeakSet[EmbeddedPostgres] = WeakSet()


class EmbeddedPostgres:
    """A share in the server of `data_dir`: the first to ask starts it, the last to leave stops it.

    Processes and threads may hold any number of them. Beside the directory lie `<name>.lock`, held while
    somebody starts or stops the server, and `<name>.users`, in which every user has a share.

    Args:
        data_dir: Made on demand, with its parents; the server's log is `server.log` in it.
        settings: More settings of PostgreSQL. They count when this object is the one that starts the server.
    """

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        # Two names of one folder must find the same locks.
        self.data_dir = data_dir.resolve()
        self._settings = dict(settings or {})
        self._lock = self.data_dir.with_name(f"{self.data_dir.name}.lock")
        self._users = self.data_dir.with_name(f"{self.data_dir.name}.users")
        self._share: int | None = None
        self._threads = threading.Lock()
        _instances.add(self)

    def ensure(self) -> str:
        """A URL for SQLAlchemy of a server that answered just now; starts or restarts it where needed.

        The URL stays the same over restarts. It costs one connection when the server runs.

        Raises:
            EmbeddedDatabaseError: it cannot be had; the message says what to do.
        """
        with self._threads:
            try:
                return self._ensure()
            except OSError as error:
                raise _explained(error, self.data_dir) from error
            except subprocess.TimeoutExpired as error:
                raise EmbeddedDatabaseError(f"PostgreSQL does not come to an end: {error}") from error

    def release(self) -> None:
        """This process no longer needs it. The last one alive stops it; also called at exit."""
        with self._threads, suppress(OSError, EmbeddedDatabaseError):
            share = self._share
            if share is None:
                return
            self._share = None
            atexit.unregister(self.release)
            try:
                with locks.exclusive(self._lock):
                    # A newcomer takes its share before it looks for a server: either it comes first and
                    # we leave the server alone, or it waits until we have stopped it.
                    if locks.is_current(share, self._users) and locks.become_last(share):
                        self._stop()
            finally:
                locks.give_back(share)

    def stop(self) -> None:
        """Stops the server whoever uses it; those who still need it call `ensure` again."""
        self.release()
        if not self.data_dir.exists():
            return
        try:
            with locks.exclusive(self._lock):
                self._stop()
        except OSError as error:
            raise _explained(error, self.data_dir) from error

    def forget(self) -> None:
        """In a forked child: the share is the parent's. A child that needs the server calls `ensure`."""
        if self._share is not None:
            os.close(self._share)  # only our copy; an unlock would end the parent's share
        self._share = None
        self._threads = threading.Lock()

    def _ensure(self) -> str:
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        account = server_account(self.data_dir)
        self._take_share()
        folder = address.socket_folder(self.data_dir)
        if address.complaint(folder, account) is not None:
            with locks.exclusive(self._lock):
                account = self._revive(folder)
        cluster.bound_log(self.data_dir, account)
        return address.database_url(folder, account)

    def _take_share(self) -> None:
        if self._share is not None and not locks.is_current(self._share, self._users):
            locks.give_back(self._share)  # somebody removed the folder under us
            self._share = None
        if self._share is None:
            self._share = locks.take_shared(self._users)
            atexit.register(self.release)

    def _revive(self, folder: Path) -> Account:
        """Brings the server up from whatever state its directory is in; holds the lock."""
        account = server_account(self.data_dir)  # again: somebody else may have made the directory meanwhile
        if not (self.data_dir / "PG_VERSION").exists():
            cluster.create(self.data_dir, account, self._settings)
        cluster.check_version(self.data_dir)
        began = time.monotonic()
        said = ""
        while (complaint := address.complaint(folder, account)) is not None:
            waited = time.monotonic() - began
            if waited > _PATIENCE:
                raise _silent(self.data_dir, said or complaint)
            # A server in another container is heard on its socket, but its processes are not seen.
            heard, living = address.is_heard(folder), server_processes(self.data_dir)
            if not heard and not living:
                said = self._start(account)
            elif not heard and (waited > _DEAF or recorded_pid(self.data_dir) not in living):
                terminate(self.data_dir)
            time.sleep(_PAUSE)
        return account

    def _start(self, account: Account) -> str:
        said = cluster.start(self.data_dir, account, self._settings)
        if said and not server_processes(self.data_dir):
            raise EmbeddedDatabaseError(
                f"The embedded PostgreSQL in {self.data_dir} does not start: {cluster.advice(said)}",
                path=str(self.data_dir),
            )
        return said

    def _stop(self) -> None:
        if not terminate(self.data_dir):
            raise EmbeddedDatabaseError(f"The embedded PostgreSQL in {self.data_dir} does not stop.")
        address.remove_alias(self.data_dir)


def _forget_shares() -> None:
    for instance in _instances:
        instance.forget()


os.register_at_fork(after_in_child=_forget_shares)


def _silent(data_dir: Path, complaint: str) -> EmbeddedDatabaseError:
    pids = sorted(server_processes(data_dir))
    return EmbeddedDatabaseError(
        f"The embedded PostgreSQL in {data_dir} runs (processes {pids}) and did not answer for "
        f"{_PATIENCE:.0f} s: {complaint}. See server.log there; end it with `kill -INT` if it hangs.",
        path=str(data_dir),
        pids=pids,
    )


def _explained(error: OSError, data_dir: Path) -> EmbeddedDatabaseError:
    advice = {
        errno.EACCES: "You may not write there. Choose another folder, or correct its owner or mode.",
        errno.EPERM: "You may not do that there. Choose another folder, or correct its owner or mode.",
        errno.EROFS: "That file system is read-only. Choose another folder.",
        errno.ENOSPC: "The disk is full. Free some space.",
        errno.EBUSY: "The folder is a mount point. Mount the folder above it.",
        errno.EEXIST: "A file is in the place of a folder. Move it away.",
        errno.ENOTDIR: "A file is in the place of a folder. Move it away.",
    }.get(error.errno or 0, "See that the folder can be written.")
    return EmbeddedDatabaseError(
        f"The embedded PostgreSQL cannot use {data_dir}: {error}. {advice} Or set OMOI_DATABASE_URL.",
        path=str(data_dir),
    )
