"""The pool's side of the one OCR process: start it when needed, hand it one picture at a time.

Responsible for the process's lifetime and for turns; not for budgets of documents.  Invariant: an
answer always belongs to the picture that was sent, because a process whose turn was broken off is
killed and never asked again.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio

from hivekeep.documents.allowance import Allowance
from hivekeep.documents.transport import Peer, PeerGoneError, receive_frame, send, start_peer
from hivekeep.documents.wire import Frame, Recognized, WireError, decode_recognized, pack

_MODULE = "hivekeep.documents.ocr_process"
_LONGEST_RECOGNITION = 60.0


class OcrClient:
    """Recognises pictures; callers wait for their turn.

    :param idle_seconds: how long the process may wait for work before it ends.
    """

    def __init__(
        self, idle_seconds: float, required: Callable[[], Sequence[str]] = lambda: ()
    ) -> None:
        self._idle_seconds = idle_seconds
        self._required = required
        self._peer: Peer | None = None
        self._turn = anyio.Lock()
        self._usual_seconds = 2.0

    @property
    def pid(self) -> int | None:
        """The process id of the running OCR process."""
        return self._peer.process.pid if self._peer is not None and self._peer.alive else None

    @property
    def usual_seconds(self) -> float:
        """What a picture takes lately, in seconds."""
        return self._usual_seconds

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until nobody else is using the process, and until it runs."""
        async with self._turn:
            if self._peer is None or not self._peer.alive:
                await self._stop()
                self._peer = await start_peer(
                    _MODULE,
                    idle_seconds=self._idle_seconds,
                    kind=socket.SOCK_STREAM,
                    required=self._required(),
                )
            yield

    async def recognize(self, pixels: bytes) -> Recognized:
        """Read the picture in the payload of a ``RECOGNIZE`` frame. Call it within :meth:`turn`."""
        peer = self._peer
        if peer is None:
            raise RuntimeError("recognize() is called within turn() only")
        found: Recognized | None = None
        try:
            with Allowance(_LONGEST_RECOGNITION) as time:
                await send(peer.socket, pack(Frame.RECOGNIZE, pixels))
                kind, payload = await receive_frame(peer.socket)
                if kind is not Frame.RECOGNIZED:
                    raise WireError("unexpected frame")
                found = decode_recognized(payload)
        except (PeerGoneError, WireError):
            return Recognized(why="the process that reads pictures failed")
        finally:
            if found is None:
                await self._stop()
        if found is None:
            return Recognized(why="reading a picture took too long")
        self._usual_seconds = 0.5 * (self._usual_seconds + time.used)
        return found

    async def stop(self) -> None:
        """Kill the process."""
        async with self._turn:
            await self._stop()

    async def _stop(self) -> None:
        if self._peer is not None:
            await self._peer.stop()
            self._peer = None
