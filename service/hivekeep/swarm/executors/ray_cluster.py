"""The daemon's side of a Ray cluster.

Responsible for the process that speaks with it, for handing over work and for the errors when the
cluster is not there; what may travel is policy's to say, and is asked before by the agents.
Invariant: token authentication and TLS are always on, Ray's usage reports always off, and a result
is only ever taken from the task that was asked for.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from hivekeep.domain.documents import Document
from hivekeep.domain.errors import DocumentError, EngineError, HivekeepError
from hivekeep.domain.fields import Plan
from hivekeep.domain.values import DocumentResult
from hivekeep.files import open_file
from hivekeep.journal import decode, encode
from hivekeep.swarm.answers import Answer
from hivekeep.swarm.executors.frames import LENGTH, MOST, pack, unpack
from hivekeep.swarm.executors.settings import ClusterSettings
from hivekeep.swarm.verification import Context

_CONNECT_SECONDS = 120.0


@dataclass(slots=True)
class _Waiting:
    done: anyio.Event = field(default_factory=anyio.Event)
    answer: dict[str, Any] = field(default_factory=dict)


class RayExecutor:
    """Reads and checks on a cluster; ``serve`` keeps the connection while it is wanted.

    Use it inside ``serve``'s task group; the process starts with the first piece of work.
    """

    def __init__(
        self, settings: ClusterSettings, *, connect_seconds: float = _CONNECT_SECONDS
    ) -> None:
        self._settings, self._connect_seconds = settings, connect_seconds
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._process: Process | None = None
        self._starting = anyio.Lock()
        self._sending = anyio.Lock()
        self._started, self._to_receive = anyio.create_memory_object_stream[Process](1)

    @property
    def cluster(self) -> str:
        """The cluster that documents travel to, as policy knows it."""
        return self._settings.cluster

    async def serve(self) -> None:
        """Receive answers until cancelled; then the process ends."""
        try:
            async for process in self._to_receive:
                await self._receive(process)
        finally:
            if self._process is not None:
                await _end(self._process)

    async def read(self, path: Path, *, expected_sha256: str = "") -> Document:
        """The blocks of the document at ``path``, read on a node.

        :raises DocumentError: if it cannot be read, or is not the one that was expected.
        :raises EngineError: if the cluster cannot be reached.
        """
        try:
            data = await anyio.to_thread.run_sync(_content, path)
        except OSError as error:
            raise DocumentError(
                f"'{path.name}' cannot be opened.", reason="unreadable", why=f"{error.strerror}."
            ) from error
        digest = await anyio.to_thread.run_sync(lambda: hashlib.sha256(data).hexdigest())
        if expected_sha256 and digest != expected_sha256:
            raise DocumentError(
                f"'{path.name}' changed after the run began.", reason="changed",
                next_step="Process it again.",
            )  # fmt: skip
        value = await self._ask("read", name=path.name, data=base64.b64encode(data).decode("ascii"))
        document = decode(Document, value)
        if document.sha256 != digest:
            raise _lost(self.cluster, "the node read another file")
        return document

    async def check(
        self,
        plan: Plan,
        document: Document,
        first: Answer,
        second: Answer | None = None,
        *,
        context: Context | None = None,  # noqa: ARG002 - a node makes its own
    ) -> DocumentResult:
        """The checked values of one document.

        :raises EngineError: if the cluster cannot be reached.
        """
        value = await self._ask(
            "check", plan=encode(plan), document=encode(document), answer=encode(first),
            second=encode(second) if second else None,
        )  # fmt: skip
        return decode(DocumentResult, value)

    async def _ask(self, task: str, **more: Any) -> Any:
        await self._connect()
        return await self._send(task, **more)

    async def _send(self, task: str, **more: Any) -> Any:
        from hivekeep.swarm.executors.ray_tasks import failure_of

        process = self._process
        if process is None or process.stdin is None:
            raise _lost(self.cluster, "the connection ended")
        number, waiting = next(self._numbers), _Waiting()
        self._waiting[number] = waiting
        try:
            frame = pack({"id": number, "task": task, **more})
            # Shielded: half a message would garble all that follow.
            with anyio.CancelScope(shield=True):
                async with self._sending:
                    await process.stdin.send(frame)
            await waiting.done.wait()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise _lost(self.cluster, "the connection ended") from error
        finally:
            self._waiting.pop(number, None)
        answer = waiting.answer
        if "lost" in answer:
            raise _lost(self.cluster, answer["lost"])
        if "error" in answer:
            raise failure_of(answer["error"])
        return answer["value"]

    async def _connect(self) -> None:
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return
            command = [
                sys.executable, "-m", "hivekeep.swarm.executors.ray_process",
                self._settings.address,
            ]  # fmt: skip
            self._process = process = await anyio.open_process(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None,
                env=self._settings.environment(),
            )  # fmt: skip
            hello = await self._first_answer(process)
            if "ready" not in hello:
                await _end(process)
                raise _lost(self.cluster, str(hello.get("lost", "it does not answer")))
            await self._started.send(process)
            from hivekeep.swarm.executors.ray_tasks import versions

            wanted, found = versions()["value"], await self._send("versions")
            if found != wanted:
                process.kill()
                raise _lost(self.cluster, f"its nodes have {found}, this machine has {wanted}")

    async def _first_answer(self, process: Process) -> dict[str, Any]:
        with anyio.move_on_after(self._connect_seconds):
            assert process.stdout is not None
            self._stream = BufferedByteReceiveStream(process.stdout)
            try:
                return await self._next()
            except (anyio.EndOfStream, anyio.IncompleteRead):
                return {"lost": "its process ended at once; is the extra 'ray' installed?"}
        return {"lost": f"no answer within {self._connect_seconds:.0f} s"}

    async def _receive(self, process: Process) -> None:
        try:
            while True:
                answer = await self._next()
                if waiting := self._waiting.get(answer["id"]):
                    waiting.answer = answer
                    waiting.done.set()
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.ClosedResourceError):
            await _end(process)
            for waiting in self._waiting.values():
                waiting.answer = {"lost": "the connection ended"}
                waiting.done.set()

    async def _next(self) -> dict[str, Any]:
        (length,) = LENGTH.unpack(await self._stream.receive_exactly(LENGTH.size))
        return unpack(await self._stream.receive_exactly(min(length, MOST)))


def _content(path: Path) -> bytes:
    """The file at a resolved path, exactly as policy has judged it."""
    with os.fdopen(open_file(str(path)), "rb") as file:
        return file.read()


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    # Shielded: a process that nobody waits for stays in the system's table.
    with anyio.CancelScope(shield=True):
        await process.aclose()


def _lost(cluster: str, why: str) -> HivekeepError:
    return EngineError(
        f"The Ray cluster '{cluster}' did not do this work.",
        why=f"{why.rstrip('.')}.",
        next_step="Look after the cluster, then 'hivekeep runs resume RUN --retry-failed'; or run "
        "it here: --executor local.",
    )
