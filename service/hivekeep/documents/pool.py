"""Reads documents for the daemon, each in a process of its own that may die without harm.

Responsible for turns, time limits, and for judging what a reader process says and how it ended; not
for any format.  Invariant: whatever a document does to its process, the caller gets a
:class:`Document` or a :class:`DocumentError`, and other documents are not affected.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from hivekeep.documents.allowance import Allowance
from hivekeep.documents.cleaning import clean, squeeze
from hivekeep.documents.failures import Reason, display_name, failure
from hivekeep.documents.host_client import Child, Ending, HostClient
from hivekeep.documents.ocr_client import OcrClient
from hivekeep.documents.transport import PeerGoneError, receive_frame, send
from hivekeep.documents.wire import (
    MOST_BLOCKS,
    Frame,
    Job,
    Pixels,
    Recognized,
    WireError,
    decode_blocks,
    decode_done,
    decode_failure,
    decode_pixels,
    encode_recognized,
)
from hivekeep.domain.documents import Block, Document, ReadLimits
from hivekeep.domain.errors import DocumentError

_HOST_ATTEMPTS = 3
_NO_TIME = "the time limit of the document was near"


class ReaderPool:
    """Reads at most ``workers`` documents at once, each within ``limits``.

    The processes behind it start with the first document and end after ``idle_seconds`` without
    work.  Use it as an asynchronous context manager, or call :meth:`aclose` in the end.

    :param required: names the protections without which no document may be read; asked when a
        process is started.
    """

    def __init__(
        self,
        limits: ReadLimits,
        workers: int = 2,
        *,
        idle_seconds: float = 60.0,
        required: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self._limits = limits
        self._slots = anyio.Semaphore(workers)
        self._host = HostClient(idle_seconds, required)
        self._ocr = OcrClient(idle_seconds, required)
        self._ids = itertools.count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Kill every process of the pool; reads in progress fail."""
        with anyio.CancelScope(shield=True):
            await self._host.stop()
            await self._ocr.stop()

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The helper processes that run now: the host, and the OCR process."""
        return tuple(pid for pid in (self._host.pid, self._ocr.pid) if pid is not None)

    async def read(self, path: Path, *, expected_sha256: str = "") -> Document:
        """Read one document; cancelling kills its process.

        :param expected_sha256: if given, the hex digest that the file's bytes must have.
        :raises DocumentError: with one of the reasons in :class:`Reason`.
        """
        name = display_name(path.name)
        async with self._slots:
            for _ in range(_HOST_ATTEMPTS):
                job = self._job(path, expected_sha256)
                try:
                    read = await self._attempt(job, name)
                except PeerGoneError:
                    continue
                if isinstance(read, Document):
                    return read
                raise failure(name, Reason.CRASHED, why="Its reader process drew instead.")
        raise failure(
            name,
            Reason.CRASHED,
            why="The process that starts readers ended again and again.",
            next_step="Run 'hivekeep doctor' to see whether the installation is complete.",
        )

    async def draw(self, path: Path, page: int, *, expected_sha256: str = "") -> Pixels:
        """One page (from 1) as pixels, drawn in a reader process like any other reading.

        :raises DocumentError: if it cannot be drawn, or has changed since it was read.
        """
        name = display_name(path.name)
        async with self._slots:
            for _ in range(_HOST_ATTEMPTS):
                job = replace(self._job(path, expected_sha256), page=page)
                try:
                    drawn = await self._attempt(job, name)
                except PeerGoneError:
                    continue
                if isinstance(drawn, Pixels):
                    return drawn
                break
        raise failure(name, Reason.CRASHED, why="Its page could not be drawn.")

    def _job(self, path: Path, expected_sha256: str) -> Job:
        return Job(next(self._ids), os.fspath(path.absolute()), expected_sha256, self._limits)

    async def _attempt(self, job: Job, name: str) -> Document | Pixels:
        """:raises PeerGoneError: if not this document but the host is to blame."""
        child = await self._host.start(job)
        try:
            with Allowance(job.limits.seconds) as time:
                try:
                    return await self._converse(child, name, time)
                except PeerGoneError:
                    raise _explain(name, await child.ending(), job.limits) from None
                except (WireError, ValueError) as error:
                    raise failure(
                        name, Reason.CRASHED, why=f"Its reader process answered nonsense: {error}."
                    ) from error
        finally:
            await child.end()
        raise failure(
            name, Reason.TOO_SLOW, why=f"It was stopped after {job.limits.seconds:g} seconds."
        )

    async def _converse(self, child: Child, name: str, time: Allowance) -> Document | Pixels:
        blocks: list[Block] = []
        characters = 0
        while True:
            kind, payload = await receive_frame(child.channel)
            if kind is Frame.BLOCKS:
                more = decode_blocks(payload, len(blocks))
                blocks += more
                characters += sum(len(block.text) for block in more)
                if len(blocks) > MOST_BLOCKS or characters > self._limits.max_text:
                    raise WireError("more text than it may send")
            elif kind is Frame.DONE:
                return replace(decode_done(payload, tuple(blocks)), name=name)
            elif kind is Frame.FAILED:
                raise _reworded(decode_failure(payload), name)
            elif kind is Frame.DRAWN:
                return decode_pixels(payload)
            elif kind is Frame.RECOGNIZE:
                found = await self._recognize(payload, time)
                await send(child.channel, encode_recognized(found))
            else:
                raise WireError("a frame that only we may send")

    async def _recognize(self, pixels: bytes, time: Allowance) -> Recognized:
        """OCR within the document's time; waiting behind other documents does not count."""
        time.pause()
        async with self._ocr.turn():
            time.go_on()
            if time.left < 2 * self._ocr.usual_seconds:
                return Recognized(why=_NO_TIME)
            return await self._ocr.recognize(pixels)


def _reworded(said: DocumentError, name: str) -> DocumentError:
    """A failure with our own first sentence, and the rest on one line of bounded length."""
    why, next_step = (squeeze(clean(text).text)[:500] for text in (said.why, said.next_step))
    return failure(name, Reason(said.reason), why=why, next_step=next_step)


def _explain(name: str, ending: Ending, limits: ReadLimits) -> DocumentError:
    """What it means that a child ended without a word."""
    if ending.signal == signal.SIGXCPU:
        return failure(name, Reason.TOO_SLOW, why="It used up its processor time.")
    if ending.signal and 2 * ending.peak > limits.max_memory:
        return failure(name, Reason.MEMORY, why=f"It used {ending.peak // 1024**2:,} MB.")
    if ending.signal:
        return failure(
            name, Reason.CRASHED, why=f"It ended by a signal: {signal.strsignal(ending.signal)}."
        )
    return failure(name, Reason.CRASHED, why=ending.why or f"It ended with code {ending.code}.")
