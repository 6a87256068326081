"""Two ways to open a path beneath a directory without following a link anywhere.

`by_kernel` is one openat2(2) call. `by_component` opens each directory from its parent and is for
systems that lack the call. Both return a descriptor or raise OSError, with the same errno for links.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Callable, Sequence

# O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

_TRIES = 16
_OPENAT2 = 437  # the same number on every architecture since Linux 5.6
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08

type Opener = Callable[[int, Sequence[str]], int]
type Syscall = Callable[..., int]


class _How(ctypes.Structure):
    """`struct open_how` of openat2(2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def kernel_opener(syscall: Syscall) -> Opener:
    """Open by one openat2 call, repeated a few times while other processes rename around it."""

    def by_kernel(root: int, parts: Sequence[str]) -> int:
        how = _How(FILE_FLAGS, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
        path = ctypes.c_char_p(os.fsencode("/".join(parts)))
        size = ctypes.c_size_t(ctypes.sizeof(how))
        for _ in range(_TRIES):
            opened = syscall(ctypes.c_long(_OPENAT2), ctypes.c_int(root), path, ctypes.byref(how), size)
            code = ctypes.get_errno()
            # EAGAIN: the kernel saw a rename and could not tell whether it stayed beneath the root.
            if opened >= 0 or code not in {errno.EAGAIN, errno.EINTR}:
                break
        if opened < 0:
            raise OSError(code, os.strerror(code))
        return opened

    return by_kernel


def by_component(root: int, parts: Sequence[str]) -> int:
    """The same promise without openat2: no component may be a link, each is opened from its parent."""
    *folders, name = parts
    current = root
    try:
        for folder in folders:
            below = _open_folder(current, folder)
            if current != root:
                os.close(current)
            current = below
        return os.open(name, FILE_FLAGS, dir_fd=current)
    finally:
        if current != root:
            os.close(current)


def _open_folder(parent: int, name: str) -> int:
    try:
        return os.open(name, FOLDER_FLAGS, dir_fd=parent)
    except NotADirectoryError:
        # Linux says this of a link, too, when O_DIRECTORY is set; the reason should name the link.
        if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        raise


def _load_syscall() -> Syscall:
    if not sys.platform.startswith("linux"):
        return lambda *_: -1
    function = ctypes.CDLL(None, use_errno=True).syscall
    function.restype = ctypes.c_long
    return function


by_kernel = kernel_opener(_load_syscall())


def opener_for(root: int, kernel: Opener = by_kernel) -> Opener:
    """Ask the kernel once. Old kernels answer ENOSYS, older container profiles EPERM, others differ."""
    try:
        os.close(kernel(root, ["."]))
    except OSError:
        return by_component
    return kernel
