"""The process between the daemon and foreign code: builds the room, goes in, and starts the code.

Run as ``python -m hivekeep.sandbox.launch PARENT STATUS_FD [ORDER_FD]``.  The order is JSON on that
descriptor, or on standard input, which the code then does not get; what holds, or why nothing was
started, is said on the status descriptor.  Responsible for the order of steps on Linux.
Invariant: the foreign program is started only after every protection that
the order requires holds.

Three processes: this one (outside, so that killing it kills all), the first process of the new
namespace (which only waits), and the code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from hivekeep.sandbox import landlock, limits, namespaces, seccomp, system
from hivekeep.sandbox.model import Confinement, Protection

_FAILED = 125


def main() -> None:
    """Obey the order and end as the code ended."""
    parent, status = int(sys.argv[1]), int(sys.argv[2])
    limits.die_with_parent(parent)
    if len(sys.argv) > 3:
        with os.fdopen(int(sys.argv[3])) as orders:
            order = json.load(orders)
    else:
        order = json.load(sys.stdin)
        with open(os.devnull) as nothing:  # noqa: PTH123 - a device
            os.dup2(nothing.fileno(), 0)
    os.set_inheritable(status, False)
    held = {Protection.RESOURCE_LIMITS}
    try:
        # Before the user namespace: the number of processes then counts inside it alone.
        limits.limit_resources(_keep(order))
        with suppress(OSError):
            namespaces.leave_everything(network=_network(order))
            held |= {Protection.NAMESPACES, *([] if _network(order) else [Protection.NO_NETWORK])}
        first = os.fork()
        if not first:
            _first(order, status, held)
        _, ended = os.waitpid(first, 0)
    except OSError as error:
        _say(status, {"error": f"{error.strerror} ({error.filename})"})
        os._exit(_FAILED)
    code = os.waitstatus_to_exitcode(ended)
    os._exit(code if code >= 0 else 128 - code)


def _first(order: dict[str, Any], status: int, held: set[Protection]) -> None:
    """The first process of the namespace: enter the room, start the code, wait for it."""
    try:
        with suppress(OSError):
            system.prctl(system.PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if Protection.NAMESPACES in held:
            namespaces.enter(namespaces.Room(tuple(order["read"]), order["work"], order["scratch"]))
        else:
            os.chdir(order["work"])
        pid = os.fork()
        if not pid:
            _code(order, status, held)
        os.close(status)
        while True:
            ended_pid, ended = os.wait()
            if ended_pid == pid:
                code = os.waitstatus_to_exitcode(ended)
                os._exit(code if code >= 0 else 128 - code)
    except OSError as error:
        _say(status, {"error": f"{error.strerror} ({error.filename})"})
    finally:
        os._exit(_FAILED)


def _code(order: dict[str, Any], status: int, held: set[Protection]) -> None:
    """Give up the rest, say what holds, and become the code."""
    try:
        roomy = Protection.NAMESPACES in held
        work = namespaces.WORK if roomy else order["work"]
        with suppress(OSError):
            system.prctl(system.PR_SET_NO_NEW_PRIVS, 1)
            held.add(Protection.NO_NEW_PRIVILEGES)
        scratch = "/tmp" if roomy else work  # noqa: S108 - the room's own
        # A room holds only what may be read; without one the folder of packages has to be seen.
        read = ("/",) if roomy else (*order["read"], *order["packages"])
        with suppress(OSError):
            writable = (work, scratch, os.devnull)
            landlock.restrict(read, writable, execute=True, network=_network(order))
            held.add(Protection.LANDLOCK)
        with suppress(OSError):
            # Without a process namespace it must not leave the group that is killed in the end.
            keep = seccomp.Filter(
                programs=True, processes=True, threads=True, sessions=roomy, modes=roomy,
                sockets=_network(order),
            )  # fmt: skip
            seccomp.install(keep)
            held |= {Protection.SECCOMP, *([] if _network(order) else [Protection.NO_NETWORK])}
        if missing := sorted(set(order["required"]) - held):
            _say(status, {"error": f"not to be had here: {', '.join(missing)}"})
            os._exit(_FAILED)
        _say(status, {"held": sorted(held)})
        environment = {**order["environment"], "HOME": work, "TMPDIR": scratch}
        os.execve(order["command"][0], order["command"], environment)  # noqa: S606 - the purpose
    except OSError as error:
        _say(status, {"error": f"{error.strerror} ({error.filename})"})
    finally:
        os._exit(_FAILED)


def _network(order: dict[str, Any]) -> bool:
    """Whether the code keeps the machine's network; never unless the order says so."""
    return order.get("network") is True


def _keep(order: dict[str, Any]) -> Confinement:
    return Confinement(
        processes=order["processes"], threads=True, memory=order["memory"],
        cpu_seconds=order["cpu_seconds"], file_size=order["file_size"],
    )  # fmt: skip


def _say(status: int, fields: dict[str, Any]) -> None:
    with suppress(OSError):
        os.write(status, json.dumps(fields).encode())


if __name__ == "__main__":
    main()
