"""The small process that has the parsers loaded and forks one child for each document.

Responsible for starting children quickly, killing them on request and telling how they ended; not
for reading anything itself.  Invariant: it stays single-threaded (so that forking is safe), never
touches a document, and dies with the daemon and takes every child with it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from hivekeep.documents import child
from hivekeep.documents.wire import decode_job
from hivekeep.sandbox import limits, paths
from hivekeep.sandbox.confine import leave_network

_LONGEST_COMMAND = 1 << 17


class Host:
    """The loop: commands come over ``control``, each job with two descriptors of its own.

    The first is the child's connection, over the second the host says in one line of JSON how the
    child ended.
    """

    def __init__(
        self, control: socket.socket, idle_seconds: float, required: tuple[str, ...] = ()
    ) -> None:
        self._control = control
        self._idle_seconds = idle_seconds
        self._required = required
        self._jobs: dict[int, tuple[int, int]] = {}
        self._wake, self._wake_write = os.pipe()
        for descriptor in (self._wake, self._wake_write):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def run(self) -> None:
        """Serve until the daemon closes its end or nothing was asked for a while."""
        while True:
            waiting = None if self._jobs else self._idle_seconds
            watched: list[Any] = [self._control, self._wake]
            ready, _, _ = select.select(watched, [], [], waiting)
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if self._control in ready:
                message, descriptors, _, _ = socket.recv_fds(self._control, _LONGEST_COMMAND, 2)
                if not message:
                    return
                self._obey(json.loads(message), descriptors)
            if not ready:
                return

    def _obey(self, command: dict[str, Any], descriptors: list[int]) -> None:
        if "job" in command:
            self._start(command["job"], *descriptors)
            return
        for pid, (job, _) in self._jobs.items():
            if job == command["kill"]:
                # Not reaped yet, so the number cannot belong to another process.
                os.kill(pid, signal.SIGKILL)

    def _start(self, fields: dict[str, Any], channel: int, status: int) -> None:
        host = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            _report(status, {"signal": 0, "code": 255, "peak": 0, "why": str(error)})
            os.close(channel)
            return
        if pid:
            os.close(channel)
            self._jobs[pid] = (fields["id"], status)
            return
        try:
            self._forget(status)
            child.serve(decode_job(fields), socket.socket(fileno=channel), host, self._required)
        finally:
            os._exit(0)

    def _forget(self, status: int) -> None:
        """In a child: let go of everything that belongs to the host and to other children."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        others = (descriptor for _, descriptor in self._jobs.values())
        for descriptor in (self._wake, self._wake_write, status, *others):
            os.close(descriptor)

    def _reap(self) -> None:
        while self._jobs:
            pid, ended, usage = os.wait4(-1, os.WNOHANG)
            if not pid:
                return
            _, status = self._jobs.pop(pid)
            number = os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else 0
            code = os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else 0
            unit = 1 if sys.platform == "darwin" else 1024
            _report(status, {"signal": number, "code": code, "peak": usage.ru_maxrss * unit})


def _report(status: int, fields: dict[str, Any]) -> None:
    try:
        os.write(status, json.dumps(fields).encode())
    except OSError:
        # The pool lost interest in this child; nobody else wants to know.
        return
    finally:
        os.close(status)


def main() -> None:
    """Run as ``python -m hivekeep.documents.host PARENT_PID IDLE_SECONDS [REQUIRED…]``."""
    limits.die_with_parent(int(sys.argv[1]))
    leave_network()
    # Looked up once here instead of in every child.
    paths.worker()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device, not a path of ours
        os.dup2(nothing.fileno(), 0)
    # Objects that never change need not be copied when the collector of a child touches them.
    gc.collect()
    gc.freeze()
    Host(control, float(sys.argv[2]), tuple(sys.argv[3:])).run()


if __name__ == "__main__":
    main()
