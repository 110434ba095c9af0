"""Limits that every POSIX system has, and a Python audit hook as the last line.

Responsible for bounds on memory, time, files and processes, and for a child's end with its parent;
not for what may be opened.  Invariant: a limit is only ever lowered.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any

from hivekeep.sandbox import system
from hivekeep.sandbox.model import Confinement

if sys.platform != "win32":
    import resource

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN = frozenset({
    "os.exec", "os.fork", "os.forkpty", "os.link", "os.mkdir", "os.posix_spawn", "os.remove",
    "os.rename", "os.rmdir", "os.spawn", "os.symlink", "os.system", "os.truncate", "pty.spawn",
    "socket.__new__", "socket.bind", "socket.connect", "socket.getaddrinfo",
    "socket.gethostbyname", "socket.sendto", "subprocess.Popen", "urllib.Request",
})  # fmt: skip


def die_with_parent(parent: int) -> None:
    """Be killed when the parent process ``parent`` dies, also if it was killed itself."""
    with suppress(OSError):
        system.prctl(system.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)


def limit_resources(keep: Confinement) -> None:
    """Bound what this process and its children use, as ``keep`` says."""
    if sys.platform == "win32":
        return
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, keep.file_size)
    _limit(resource.RLIMIT_AS, keep.memory)
    _limit(resource.RLIMIT_CPU, keep.cpu_seconds)
    _limit(resource.RLIMIT_NOFILE, keep.open_files)
    if not keep.threads and not keep.processes:
        _limit(resource.RLIMIT_NPROC, 0)
    elif keep.processes:
        _limit(resource.RLIMIT_NPROC, keep.processes)


def forbid_side_effects() -> None:
    """Make Python refuse new sockets, processes and writable files in this process, for good."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FORBIDDEN or (event == "open" and _writes(arguments)):
            raise PermissionError(f"A confined process may not do this: {event}.")

    sys.addaudithook(refuse)


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & _WRITING)


def _limit(kind: int, value: int) -> None:
    if sys.platform == "win32":
        return
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # The soft processor limit must come first: its signal says why the process ended.
        soft = max(bound - 1, 1) if kind == resource.RLIMIT_CPU else bound
        resource.setrlimit(kind, (soft, bound))
