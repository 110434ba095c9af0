"""Tries every protection in a child of its own and reports which of them held.

Run as ``python -m hivekeep.sandbox.probe``; prints a JSON object of protection and the reason why
it does not hold, empty if it does.  Invariant: each trial ends in an attempt to break it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hivekeep.sandbox import landlock, limits, namespaces, seatbelt, seccomp, system, windows
from hivekeep.sandbox.confine import confine, drop_privileges, leave_network
from hivekeep.sandbox.model import Confinement, Protection

_LONGEST = 400


def main() -> None:
    """Print what holds."""
    print(json.dumps({name: _in_child(trial) for name, trial in _TRIALS.items()}))  # noqa: T201


def _in_child(trial: Callable[[], str]) -> str:
    """What ``trial`` says, from a process that does not come back."""
    if not hasattr(os, "fork"):
        return _said(trial)
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        with suppress(OSError):
            os.write(theirs, _said(trial).encode()[:_LONGEST] or b"\0")
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    if not said:
        return "its trial ended without a word"
    return said.decode(errors="replace").strip("\0")


def _said(trial: Callable[[], str]) -> str:
    try:
        return trial()
    except OSError as error:
        return f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")


def _landlock() -> str:
    drop_privileges()
    landlock.restrict(["/usr"])
    try:
        os.listdir("/")  # noqa: PTH208 - only whether it is refused
    except PermissionError:
        return ""
    return "a folder outside could still be read"


def _seccomp() -> str:
    drop_privileges()
    seccomp.install(seccomp.Filter(own_pid=os.getpid()))
    try:
        socket.socket().close()
    except PermissionError:
        return ""
    return "a socket could still be opened"


def _network() -> str:
    """Any of two ways is enough: no interface to send through, or no socket to send by."""
    if leave_network() and [name for _, name in socket.if_nameindex()] == ["lo"]:
        return ""
    held = confine(Confinement(processes=1))
    try:
        socket.socket().close()
    except PermissionError:
        return "" if held else "a socket was refused by something else"
    return "a socket could still be opened"


def _no_new_privileges() -> str:
    drop_privileges()
    return "" if system.prctl(system.PR_GET_NO_NEW_PRIVS) else "the kernel did not keep it"


def _resource_limits() -> str:
    limits.limit_resources(Confinement(memory=1 << 28, open_files=64))
    try:
        bytearray(1 << 29)
    except MemoryError:
        return ""
    return "more memory than allowed could be had"


def _seatbelt() -> str:
    seatbelt.apply(Confinement())
    try:
        Path("/etc/hosts").read_bytes()
    except PermissionError:
        return ""
    return "a file outside could still be read"


_TRIALS: dict[Protection, Callable[[], str]] = {
    Protection.LANDLOCK: _landlock,
    Protection.SECCOMP: _seccomp,
    Protection.NO_NETWORK: _network,
    Protection.NAMESPACES: namespaces.try_room,
    Protection.NO_NEW_PRIVILEGES: _no_new_privileges,
    Protection.RESOURCE_LIMITS: _resource_limits,
    Protection.SEATBELT: _seatbelt,
    Protection.RESTRICTED_TOKEN: windows.try_token,
    Protection.JOB_OBJECT: windows.try_job,
}

if __name__ == "__main__":
    main()
