"""Frames over Unix sockets, for the asynchronous and for the blocking side.

Responsible for moving whole frames and for starting the processes at the other end; not for what
is in the frames.  Invariant: a length is checked against the kind of its frame before any memory
is taken for it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import Process

from hivekeep.documents.wire import HEADER, Frame, WireError, longest

_CHUNK = 1 << 20
# Only what a process needs to start; no proxy settings, keys or tokens of the user's session.
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH")


_PACKAGES = str(Path(__file__).resolve().parents[2])


class PeerGoneError(Exception):
    """The process at the other end closed the connection or died."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A process that was started, and our end of the socket that is its standard input."""

    process: Process
    socket: socket.socket

    @property
    def alive(self) -> bool:
        """Whether the process has not ended, as far as is known."""
        return self.process.returncode is None

    async def stop(self) -> None:
        """Kill the process and wait until it is gone."""
        self.socket.close()
        with anyio.CancelScope(shield=True):
            if self.alive:
                with contextlib.suppress(ProcessLookupError):
                    self.process.kill()
            await self.process.wait()


async def start_peer(
    module: str, *, idle_seconds: float, kind: socket.SocketKind, required: Sequence[str] = ()
) -> Peer:
    """Run ``python -m module`` with a socket as its standard input; it ends by itself when idle.

    :param required: protections without which it must not work.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    ours.setblocking(False)
    environment = {key: os.environ[key] for key in _KEPT_ENVIRONMENT if key in os.environ}
    environment["PYTHONPATH"] = _PACKAGES
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    environment["ORT_DISABLE_TELEMETRY"] = "1"
    environment["OMP_NUM_THREADS"] = "1"
    with theirs:
        try:
            process = await anyio.open_process(
                # -P: nothing may be imported from a working directory full of foreign files.
                [
                    *(sys.executable, "-P", "-m", module, str(os.getpid()), str(idle_seconds)),
                    *required,
                ],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    return Peer(process, ours)


async def receive_frame(connection: socket.socket) -> tuple[Frame, bytes]:
    """The next frame from a non-blocking socket.

    :raises PeerGoneError: at the end of the stream, also in the middle of a frame.
    :raises WireError: if the frame is of no known kind or too long.
    """
    kind, length = HEADER.unpack(await _receive(connection, HEADER.size))
    if length > longest(kind):
        raise WireError("a frame is too long")
    return Frame(kind), await _receive(connection, length)


async def _receive(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        try:
            chunk = connection.recv(min(size - len(data), _CHUNK))
        except BlockingIOError:
            await anyio.wait_readable(connection)
            continue
        except OSError as error:
            raise PeerGoneError from error
        if not chunk:
            raise PeerGoneError
        data += chunk
    return bytes(data)


async def send(connection: socket.socket, data: bytes) -> None:
    """Send all of ``data`` over a non-blocking socket.

    :raises PeerGoneError: if the other side is gone.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[connection.send(view[:_CHUNK]) :]
        except BlockingIOError:
            await anyio.wait_writable(connection)
        except OSError as error:
            raise PeerGoneError from error


def receive_frame_blocking(connection: socket.socket) -> tuple[Frame, bytes]:
    """The next frame from a blocking socket; raises like :func:`receive_frame`."""
    kind, length = HEADER.unpack(_receive_blocking(connection, HEADER.size))
    if length > longest(kind):
        raise WireError("a frame is too long")
    return Frame(kind), _receive_blocking(connection, length)


def _receive_blocking(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(min(size - len(data), _CHUNK))
        if not chunk:
            raise PeerGoneError
        data += chunk
    return bytes(data)
