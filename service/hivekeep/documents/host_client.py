"""The pool's side of the fork server: start it when needed, start and end children through it.

Responsible for the lifetime of the host process; not for what children say.  Invariant: a child
that was started is either known to have ended or its host is dead.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from hivekeep.documents.transport import Peer, PeerGoneError, start_peer
from hivekeep.documents.wire import Job, encode_job

_MODULE = "hivekeep.documents.host"
_KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended: by which signal, or with which code, and its peak memory in bytes."""

    signal: int
    code: int
    peak: int
    why: str = ""


class Child:
    """A process that reads one document. ``channel`` carries its frames."""

    def __init__(self, id_: int, peer: Peer, channel: socket.socket, status: socket.socket) -> None:
        self.channel = channel
        self._id = id_
        self._peer = peer
        self._status = status
        self._ended = False

    async def ending(self) -> Ending:
        """Wait for the child to end.

        :raises PeerGoneError: if the host died, and the child with it.
        """
        try:
            line = self._status.recv(4096)
        except BlockingIOError:
            await anyio.wait_readable(self._status)
            line = self._status.recv(4096)
        if not line:
            raise PeerGoneError
        self._ended = True
        fields: dict[str, Any] = json.loads(line)
        return Ending(**fields)

    async def end(self) -> None:
        """Kill the child if it still lives, and wait until it is gone."""
        self.channel.close()
        with anyio.CancelScope(shield=True), self._status:
            if self._ended or not self._peer.alive:
                return
            with anyio.move_on_after(_KILL_SECONDS):
                try:
                    await _command(self._peer.socket, {"kill": self._id})
                    await self.ending()
                except (PeerGoneError, OSError):
                    return
                return
            # A host that does not answer would leave a hostile child running.
            await self._peer.stop()


class HostClient:
    """Starts children; the host process is started lazily and replaced when it is gone."""

    def __init__(
        self, idle_seconds: float, required: Callable[[], Sequence[str]] = lambda: ()
    ) -> None:
        self._idle_seconds = idle_seconds
        self._required = required
        self._peer: Peer | None = None
        self._lock = anyio.Lock()

    @property
    def pid(self) -> int | None:
        """The process id of the running host."""
        return self._peer.process.pid if self._peer is not None and self._peer.alive else None

    async def start(self, job: Job) -> Child:
        """Start a child for ``job``.

        :raises PeerGoneError: if the host died just now; trying again starts another.
        """
        channel, its_channel = socket.socketpair()
        status, its_status = socket.socketpair()
        with its_channel, its_status:
            try:
                channel.setblocking(False)
                status.setblocking(False)
                peer = await self._running()
                descriptors = [its_channel.fileno(), its_status.fileno()]
                await _send(peer.socket, encode_job(job), descriptors)
            except BaseException as error:
                channel.close()
                status.close()
                if isinstance(error, PeerGoneError):
                    await self.stop()
                raise
        return Child(job.id, peer, channel, status)

    async def stop(self) -> None:
        """Kill the host and with it every child."""
        async with self._lock:
            if self._peer is not None:
                await self._peer.stop()
                self._peer = None

    async def _running(self) -> Peer:
        async with self._lock:
            if self._peer is not None and not self._peer.alive:
                await self._peer.stop()
                self._peer = None
            if self._peer is None:
                self._peer = await start_peer(
                    _MODULE,
                    idle_seconds=self._idle_seconds,
                    kind=socket.SOCK_SEQPACKET,
                    required=self._required(),
                )
            return self._peer


async def _command(control: socket.socket, fields: dict[str, Any]) -> None:
    await _send(control, json.dumps(fields).encode(), [])


async def _send(control: socket.socket, message: bytes, descriptors: list[int]) -> None:
    send: Callable[[], int] = (
        (lambda: socket.send_fds(control, [message], descriptors))
        if descriptors
        else (lambda: control.send(message))
    )
    while True:
        try:
            send()
        except BlockingIOError:
            await anyio.wait_writable(control)
        except OSError as error:
            raise PeerGoneError from error
        else:
            return
