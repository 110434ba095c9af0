"""The few system calls that Python has no function for, with errors as exceptions.

Responsible for calling libc correctly on Linux; not for what the calls are good for.  Invariant:
importing this module works on every system, and calling into it elsewhere raises ``OSError``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from functools import cache
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39

CLONE_THREAD = 0x00010000
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_NAMESPACES = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC
    | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
)  # fmt: skip

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

LINUX = sys.platform == "linux"
MACHINE = platform.machine()


@cache
def _libc() -> ctypes.CDLL:
    if not LINUX:
        raise OSError(errno.ENOSYS, "this system is not Linux")
    return ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> int:
    """A libc function that tells failure by -1.

    :raises OSError: with the error it left, or ``ENOSYS`` where there is no such function.
    """
    function = getattr(_libc(), name, None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), name)
    function.restype = ctypes.c_long
    result = int(function(*arguments))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def syscall(number: int, *arguments: Any) -> int:
    """A system call by number; integers are passed as 64 bits.

    :raises OSError: with the error the kernel gave.
    """
    wide = (ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)
    return call("syscall", ctypes.c_long(number), *wide)


def prctl(option: int, value: int = 0) -> int:
    """``prctl(2)`` with the unused arguments zero, as the kernel demands."""
    zero = ctypes.c_ulong(0)
    return call("prctl", ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero)


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags``."""
    call("unshare", ctypes.c_int(flags))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """``mount(2)``; every string may be empty."""
    text = [value.encode() or None for value in (source, target, kind)]
    call("mount", *text, ctypes.c_ulong(flags), options.encode() or None)
