"""Takes away from a process what reading a document does not need.

Responsible for the operating system's own limits, with a Python audit hook as a second line; not
for deciding what the limits are.  Invariant: each step that this system refuses is skipped, never
fatal, because the process boundary and the kill stay in any case.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Any

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN = frozenset({
    "os.exec", "os.fork", "os.forkpty", "os.link", "os.mkdir", "os.posix_spawn", "os.remove",
    "os.rename", "os.rmdir", "os.spawn", "os.symlink", "os.system", "os.truncate", "pty.spawn",
    "socket.__new__", "socket.bind", "socket.connect", "socket.getaddrinfo",
    "socket.gethostbyname", "socket.sendto", "subprocess.Popen", "urllib.Request",
})  # fmt: skip


def leave_network() -> None:
    """Move this single-threaded process into an empty network namespace, where Linux allows it."""
    if _syscall("unshare", _CLONE_NEWNET) != 0:
        _syscall("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)


def drop_privileges() -> None:
    """Give up capabilities on the host and the ability to gain any. Call it after opening files."""
    _syscall("unshare", _CLONE_NEWUSER)
    _syscall("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent process ``parent`` dies, also if it was killed itself."""
    _syscall("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def limit_resources(*, memory: int, cpu_seconds: int, processes: bool = False) -> None:
    """Bound address space (bytes) and processor time; forbid writing files and core dumps.

    New processes and threads are forbidden too unless ``processes`` is true.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_AS, memory)
    _limit(resource.RLIMIT_CPU, cpu_seconds)
    if not processes:
        _limit(resource.RLIMIT_NPROC, 0)


def forbid_side_effects() -> None:
    """Make Python refuse new sockets, processes and writable files in this process, for good."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FORBIDDEN or (event == "open" and _writes(arguments)):
            raise PermissionError(f"A reader process may not do this: {event}.")

    sys.addaudithook(refuse)


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & _WRITING)


def _limit(kind: int, value: int) -> None:
    try:
        _, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # The soft processor limit must come first: its signal says why the process ended.
        soft = max(bound - 1, 1) if kind == resource.RLIMIT_CPU else bound
        resource.setrlimit(kind, (soft, bound))
    except (OSError, ValueError):
        return


def _syscall(name: str, *arguments: int) -> int:
    """A libc function by name; -1 where it does not exist, which is every system but Linux."""
    if not sys.platform.startswith("linux"):
        return -1
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    return -1 if function is None else int(function(*arguments))
