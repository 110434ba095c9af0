"""The local engine: one worker process per loaded model, started when work comes.

Responsible for the worker's life (start, crash, hang, idle end) and for matching its messages to
requests; inference itself happens in the worker.  Invariant: a worker's death costs at most the
tokens it was computing; every request is tried again or fails with the reason.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import anyio
import psutil
from anyio.abc import Process, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.memory import MemoryObjectSendStream

from hivekeep.domain.errors import EngineError, JournalError
from hivekeep.domain.inference import EngineEvent, FailEvent, FinishEvent, GenerateRequest
from hivekeep.engine.protocol import EngineState, EngineStatus
from hivekeep.engine.worker.wire import (
    Beat,
    Cancel,
    Fatal,
    Ready,
    WorkerMessage,
    command_line,
    parse_message,
)

_LONGEST_LINE = 64 * 1024 * 1024
_KEPT_ENVIRONMENT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV",
)  # fmt: skip


class ModelFiles(Protocol):
    """Where models are, which is the model store's business."""

    def resolve(self, name: str) -> Path:
        """The verified file of an installed model."""
        ...

    def memory(self, name: str) -> int:
        """Bytes of memory the model needs with a modest context."""
        ...


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How a worker is run.

    ``slots`` sequences of ``context`` tokens each; ``threads`` 0 means one per usable processor.
    A worker without work ends after ``idle_seconds``.  One that says nothing for ``hang_seconds``
    while it has work is killed.  A request is given to at most ``attempts`` workers.
    """

    slots: int = 8
    context: int = 8192
    threads: int = 0
    idle_seconds: float = 300.0
    hang_seconds: float = 180.0
    load_seconds: float = 300.0
    attempts: int = 3


@dataclass(slots=True)
class _Pending:
    """A request that has not ended: who listens, and how many workers have had it."""

    request: GenerateRequest
    listener: MemoryObjectSendStream[EngineEvent]
    attempts: int = 0


@dataclass(slots=True)
class _Worker:
    """The worker of one model, and the requests that were given to it."""

    model: str
    pending: dict[str, _Pending] = field(default_factory=dict)
    process: Process | None = None
    state: EngineState = EngineState.UNLOADED
    beat: Beat = field(default_factory=lambda: Beat(0, 0, 0.0))
    heard: float = 0.0
    wake: anyio.Event = field(default_factory=anyio.Event)
    fatal: Fatal | None = None


class LocalEngine:
    """The engine on this machine; use it as an async context manager.

    :param files: finds model files by name.
    :param on_change: called whenever ``status`` may have changed.
    """

    def __init__(
        self,
        files: ModelFiles,
        settings: EngineSettings | None = None,
        *,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._files = files
        self._settings = settings or EngineSettings()
        self._on_change = on_change
        self._workers: dict[str, _Worker] = {}
        self._restarts = 0
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            for worker in self._workers.values():
                _kill(worker)

    async def generate(self, requests: Sequence[GenerateRequest]) -> AsyncIterator[EngineEvent]:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        send, receive = anyio.create_memory_object_stream[EngineEvent](math.inf)
        open_requests = {request.id for request in requests}
        for request in requests:
            self._submit(_Pending(request, send))
        try:
            while open_requests:
                event = await receive.receive()
                if isinstance(event, FinishEvent | FailEvent):
                    open_requests.discard(event.request)
                yield event
        finally:
            for request in requests:
                if request.id in open_requests:
                    self._give_up(request)
            send.close()
            receive.close()

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        events = self.generate([request])
        try:
            async for event in events:
                if isinstance(event, FinishEvent):
                    return event
                if isinstance(event, FailEvent):
                    raise EngineError(event.what, why=event.why, next_step=event.next_step)
        finally:
            await events.aclose()  # type: ignore[attr-defined]
        raise EngineError("The engine ended without an answer.")

    def status(self) -> EngineStatus:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        loaded = [w for w in self._workers.values() if w.state is not EngineState.UNLOADED]
        if not loaded:
            return EngineStatus(restarts=self._restarts)
        worker = max(loaded, key=lambda w: w.heard)
        active = min(worker.beat.active, len(worker.pending))
        return EngineStatus(
            state=worker.state,
            model=worker.model,
            active=active,
            waiting=len(worker.pending) - active,
            tokens_per_second=worker.beat.tokens_per_second if worker.pending else 0.0,
            rss=_rss(worker),
            restarts=self._restarts,
        )

    def worker_pids(self) -> list[int]:
        """The processes of loaded models."""
        return [w.process.pid for w in self._workers.values() if w.process is not None]

    def _submit(self, pending: _Pending) -> None:
        if self._tasks is None:
            raise RuntimeError("LocalEngine is not open")
        model = pending.request.model
        worker = self._workers.get(model)
        if worker is None:
            worker = self._workers[model] = _Worker(model)
            self._tasks.start_soon(self._serve, worker, name=f"engine {model}")
        worker.pending[pending.request.id] = pending
        worker.wake.set()

    def _give_up(self, request: GenerateRequest) -> None:
        worker = self._workers.get(request.model)
        if worker and worker.pending.pop(request.id, None) and worker.process:
            worker.wake.set()
            self._cancelled(worker, request.id)

    def _cancelled(self, worker: _Worker, request: str) -> None:
        stdin = worker.process.stdin if worker.process else None
        if stdin is None or self._tasks is None:
            return

        async def send() -> None:
            try:
                await stdin.send(command_line(Cancel(request)))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                return  # the worker is gone, and the request with it

        self._tasks.start_soon(send)

    async def _serve(self, worker: _Worker) -> None:
        """Keep a worker alive while there is work for it, over crashes."""
        try:
            while worker.pending:
                try:
                    await self._one_life(worker)
                except EngineError as error:
                    self._fail_all(worker, error)
        finally:
            _kill(worker)
            worker.state = EngineState.UNLOADED
            self._workers.pop(worker.model, None)
            self._on_change()

    async def _one_life(self, worker: _Worker) -> None:
        """Start a worker process, serve through it, and sort out what its end means."""
        path = self._files.resolve(worker.model)
        self._check_memory(worker.model)
        worker.state, worker.fatal = EngineState.LOADING, None
        worker.heard = time.monotonic()
        self._on_change()
        settings = self._settings
        threads = settings.threads or len(os.sched_getaffinity(0))
        command = [
            sys.executable, "-m", "hivekeep.engine.worker", str(path), "--slots",
            str(settings.slots), "--context", str(settings.context), "--threads", str(threads),
        ]  # fmt: skip
        try:
            worker.process = await anyio.open_process(command, stderr=None, env=_environment())
        except OSError as error:
            raise EngineError("The engine worker could not be started.", why=str(error)) from error
        idle = False
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, worker)
                await self._listen(worker)
                idle = not worker.pending
                tasks.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            _kill(worker)
            raise
        finally:
            code = await _reap(worker)
        if idle and not worker.pending:
            return
        if worker.fatal:
            raise EngineError(
                worker.fatal.what, why=worker.fatal.why, next_step=worker.fatal.next_step
            )
        self._restarts += 1
        if worker.state is EngineState.LOADING:
            # It died before it could be given anything: that counts for all who wait.
            for pending in worker.pending.values():
                pending.attempts += 1
        self._after_crash(worker, _cause(code))

    async def _listen(self, worker: _Worker) -> None:
        """Pass messages on until the worker ends."""
        assert worker.process is not None
        assert worker.process.stdout is not None
        lines = BufferedByteReceiveStream(worker.process.stdout)
        while True:
            try:
                line = await lines.receive_until(b"\n", _LONGEST_LINE)
                message = parse_message(line)
            except (anyio.IncompleteRead, anyio.ClosedResourceError, anyio.BrokenResourceError):
                return
            except (ValueError, JournalError, anyio.DelimiterNotFound):
                _kill(worker)
                return
            worker.heard = time.monotonic()
            self._handle(worker, message)

    def _handle(self, worker: _Worker, message: WorkerMessage) -> None:
        match message:
            case Ready():
                worker.state = EngineState.READY
                worker.wake.set()
            case Beat():
                worker.beat = message
            case Fatal():
                worker.fatal = message
            case _:
                pending = worker.pending.get(message.request)
                if pending is None:
                    return
                pending.listener.send_nowait(message)
                if isinstance(message, FinishEvent | FailEvent):
                    del worker.pending[message.request]
                    worker.wake.set()
        self._on_change()

    async def _watch(self, worker: _Worker) -> None:
        """Hand requests over, and end a worker that hangs or has had nothing to do for long."""
        given: set[str] = set()
        while True:
            left = self._time_left(worker)
            if left <= 0:
                # Idle for long, or silent for long: either way this process is done.
                _kill(worker)
                return
            with anyio.move_on_after(left) as timeout:
                await worker.wake.wait()
            if timeout.cancelled_caught:
                continue
            worker.wake = anyio.Event()
            if worker.state is EngineState.READY:
                given &= worker.pending.keys()
                await self._hand_over(worker, given)

    def _time_left(self, worker: _Worker) -> float:
        """Seconds until the worker has been idle, or silent with work, for too long."""
        limit = self._settings.idle_seconds
        if worker.state is EngineState.LOADING:
            limit = self._settings.load_seconds
        elif worker.pending:
            limit = self._settings.hang_seconds
        return worker.heard + limit - time.monotonic()

    async def _hand_over(self, worker: _Worker, given: set[str]) -> None:
        assert worker.process is not None
        assert worker.process.stdin is not None
        for name, pending in list(worker.pending.items()):
            if name in given:
                continue
            if not given:
                worker.heard = time.monotonic()
            given.add(name)
            pending.attempts += 1
            try:
                await worker.process.stdin.send(command_line(pending.request))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                return  # the listener notices the end and decides

    def _check_memory(self, model: str) -> None:
        needed, free = self._files.memory(model), psutil.virtual_memory().available
        if needed > free:
            raise EngineError(
                f"There is not enough memory for the model '{model}'.",
                why=f"It needs about {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free.",
                next_step="Close other programs, or choose a smaller model.",
            )

    def _after_crash(self, worker: _Worker, cause: str) -> None:
        worker.state = EngineState.UNLOADED
        worker.process = None
        for name, pending in list(worker.pending.items()):
            if pending.attempts >= self._settings.attempts:
                del worker.pending[name]
                pending.listener.send_nowait(
                    FailEvent(
                        name,
                        "The engine worker died while it worked on this request.",
                        f"{cause} This happened {pending.attempts} times.",
                        "Try a smaller model, or 'hivekeep doctor'.",
                    )
                )

    def _fail_all(self, worker: _Worker, error: EngineError) -> None:
        for name, pending in list(worker.pending.items()):
            pending.listener.send_nowait(FailEvent(name, error.what, error.why, error.next_step))
        worker.pending.clear()


def _kill(worker: _Worker) -> None:
    if worker.process is not None and worker.process.returncode is None:
        try:
            worker.process.kill()
        except ProcessLookupError:
            return


async def _reap(worker: _Worker) -> int:
    assert worker.process is not None
    with anyio.CancelScope(shield=True):
        with anyio.move_on_after(5):
            await worker.process.wait()
        _kill(worker)
        code = await worker.process.wait()
        await worker.process.aclose()
    worker.process = None
    return code


def _cause(code: int) -> str:
    if code == -9:
        return "It was killed, by the system for want of memory or because it hung."
    if code < 0:
        return f"It was ended by signal {-code}."
    return f"It ended with status {code}."


def _environment() -> dict[str, str]:
    """What a worker may see of our environment: nothing that could hold a secret or a proxy."""
    return {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}


def _rss(worker: _Worker) -> int:
    if worker.process is None:
        return 0
    try:
        return int(psutil.Process(worker.process.pid).memory_info().rss)
    except psutil.Error:
        return 0
