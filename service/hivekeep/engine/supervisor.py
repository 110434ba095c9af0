"""One model's workers, one after another: load, serve, outgrow, crash, hang, end when idle.

Responsible for a worker's life and for what its end means to the requests it had; inference happens
in the worker.  Invariant: a worker's death costs at most the tokens it was computing; every request
is tried again or fails with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import anyio

from hivekeep.domain.errors import EngineError, HivekeepError
from hivekeep.domain.inference import (
    EngineEvent,
    FailEvent,
    FinishEvent,
    GenerateRequest,
    RestartEvent,
    TokenEvent,
)
from hivekeep.engine.memory import ModelFacts, Shape, model_facts
from hivekeep.engine.process import WorkerProcess, cause_of_death
from hivekeep.engine.protocol import EngineState
from hivekeep.engine.settings import EngineSettings, Tuning
from hivekeep.engine.streaming import Listener, tell
from hivekeep.engine.vitals import Vitals
from hivekeep.engine.worker.wire import Beat, Cancel, Fatal, Outgrown, Ready, WorkerMessage

# A worker that seems hung is looked at again after so many seconds.
_SECOND_LOOK = 0.5
# Waking up later than this means that the machine stood still: overloaded, or suspended.
_LATE = 2.0
# A grown context is a multiple of this many tokens.
_STEP = 1024


@dataclass(slots=True)
class Pending:
    """A request that has not ended: who listens, and how many workers have had it."""

    request: GenerateRequest
    listener: Listener
    deadline: float
    attempts: int = 0
    streamed: bool = False
    outgrown: bool = False

    def tell(self, event: EngineEvent) -> None:
        """Pass an event on."""
        self.streamed = self.streamed or isinstance(event, TokenEvent)
        tell(self.listener, event)

    def restart(self) -> None:
        """Its next answer begins anew."""
        if self.streamed:
            self.streamed = False
            self.tell(RestartEvent(self.request.id))


class Surroundings(Protocol):
    """What a supervisor needs from the engine around it."""

    def resolve(self, model: str) -> Path:
        """The model's file."""
        ...

    async def tuning(self, model: str, path: Path) -> Tuning:
        """What suits the model on this machine."""
        ...

    async def shape(
        self, owner: Supervisor, facts: ModelFacts, wanted: Shape, tuning: Tuning
    ) -> Shape:
        """What fits into memory now.

        :raises EngineError: if nothing does.
        """
        ...

    def changed(self) -> None:
        """Something that a status shows has changed."""
        ...


@dataclass(slots=True, eq=False)
class Supervisor:
    """The workers of one model with one adapter (empty for none)."""

    model: str
    adapter: str
    settings: EngineSettings
    around: Surroundings
    pending: dict[str, Pending] = field(default_factory=dict)
    state: EngineState = EngineState.UNLOADED
    process: WorkerProcess | None = None
    shape: Shape | None = None
    beat: Beat = field(default_factory=lambda: Beat(0, 0, 0.0))
    restarts: int = 0
    last_used: float = 0.0
    _given: set[str] = field(default_factory=set)
    _wake: anyio.Event = field(default_factory=anyio.Event)
    _vitals: Vitals | None = None
    _fatal: Fatal | None = None
    _verdict: str = ""
    _least_context: int = 0
    _dismissed: bool = False
    _ends_well: bool = False

    def submit(self, pending: Pending) -> None:
        """Take a request on."""
        self.pending[pending.request.id] = pending
        self._wake.set()

    def forget(self, request: str) -> Callable[[], Coroutine[Any, Any, bool]] | None:
        """Drop a request; what has to be awaited to tell the worker, if it has it."""
        if self.pending.pop(request, None) is None:
            return None
        self._wake.set()
        process = self.process
        if process is None or request not in self._given:
            return None
        return lambda: process.send(Cancel(request))

    def dismiss(self) -> None:
        """End the worker as soon as it has no work, to make room for another model."""
        self._dismissed = True
        self._wake.set()

    async def serve(self) -> None:
        """Keep a worker alive while there is work for it, over crashes."""
        try:
            while self.pending:
                try:
                    await self._one_life()
                except HivekeepError as error:
                    self._fail_all(error)
        finally:
            self._set(EngineState.UNLOADED)

    async def _one_life(self) -> None:
        """Start a worker process, serve through it, and sort out what its end means."""
        self._set(EngineState.LOADING)
        self._fatal, self._verdict = None, ""
        self._dismissed = self._ends_well = False
        self._given.clear()
        self.beat = Beat(0, 0, 0.0)
        self.process = await self._start()
        self._vitals = Vitals(self.settings.patience, time.monotonic())
        begun, code = time.monotonic(), 0
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, begun)
                async for message in self.process.messages():
                    self._handle(message)
                tasks.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            self.process.kill()
            raise
        finally:
            code = await self.process.reap()
            self.process = None
        if not self._ends_well:
            self._after_death(code)

    async def _start(self) -> WorkerProcess:
        path = await anyio.to_thread.run_sync(self.around.resolve, self.model)
        facts = await anyio.to_thread.run_sync(model_facts, path)
        tuning = await self.around.tuning(self.model, path)
        if self.settings.threads:
            tuning = replace(tuning, threads=self.settings.threads)
        wanted = Shape(
            self.settings.slots or tuning.slots,
            max(self.settings.context, self._least_context),
            tuning.chunk_alone,
        )
        self.shape = await self.around.shape(self, facts, wanted, tuning)
        if self.shape.context < self._least_context:
            self._refuse_long(facts)
        return await WorkerProcess.start(
            path, self.shape, tuning, gpu_layers=self.settings.gpu_layers, adapter=self.adapter
        )

    def _refuse_long(self, facts: ModelFacts) -> None:
        """The request that asked for more context cannot be served; the others can."""
        assert self.shape is not None
        self._least_context = 0
        for name, pending in list(self.pending.items()):
            if pending.outgrown:
                del self.pending[name]
                pending.tell(
                    FailEvent(
                        name,
                        "The prompt is too long for the memory that is free.",
                        f"The model could have {facts.context} tokens, but only "
                        f"{self.shape.context} fit into memory now.",
                        "Close other programs, or lower the recipe's context_tokens.",
                    )
                )

    def _handle(self, message: WorkerMessage) -> None:
        assert self._vitals is not None
        now = self.last_used = time.monotonic()
        self._vitals.sign(now)
        match message:
            case Ready():
                self.shape = Shape(message.slots, message.context)
                self._vitals.begin(now)
                self._set(EngineState.READY)
                self._wake.set()
            case Beat():
                self.beat = message
                self._vitals.beat(now, message.batches, message.cpu)
            case Fatal():
                self._fatal = message
            case Outgrown():
                self._least_context = max(self._least_context, -(-message.tokens // _STEP) * _STEP)
                self._given.discard(message.request)
                if message.request in self.pending:
                    self.pending[message.request].outgrown = True
                self._wake.set()
            case _:
                self._pass_on(message)
        self.around.changed()

    def _pass_on(self, message: TokenEvent | FinishEvent | FailEvent) -> None:
        pending = self.pending.get(message.request)
        if pending is None:
            return
        pending.tell(message)
        if isinstance(message, FinishEvent | FailEvent):
            del self.pending[message.request]
            self._wake.set()

    async def _watch(self, begun: float) -> None:
        """Hand requests over, and end a worker that hangs, is outgrown or has nothing to do."""
        assert self.process is not None
        assert self._vitals is not None
        while True:
            now = time.monotonic()
            self._verdict = self._diagnose(now, begun)
            if self._verdict:
                # What it said may lie unread: this process may have been starved itself.
                await anyio.sleep(_SECOND_LOOK)
                self._verdict = self._diagnose(time.monotonic(), begun)
            self._ends_well = not self._verdict and self._may_end(now)
            if self._verdict or self._ends_well:
                self.process.kill()
                return
            wait = self._next_look(now, begun)
            with anyio.move_on_after(wait) as timeout:
                await self._wake.wait()
            if time.monotonic() - now - wait > _LATE:
                # Whoever looks this late cannot tell who was silent: the worker or the machine.
                self._vitals.begin(time.monotonic())
            if not timeout.cancelled_caught:
                self._wake = anyio.Event()
            if self.state is EngineState.READY and not self._outgrown():
                await self._hand_over()

    def _diagnose(self, now: float, begun: float) -> str:
        assert self._vitals is not None
        if self.state is EngineState.LOADING:
            if now - begun > self.settings.load_seconds:
                return f"It did not load within {self.settings.load_seconds:.0f} s."
            silent = now - self._vitals.heard
            return (
                f"It said nothing for {silent:.0f} s." if silent > self._loading_silence() else ""
            )
        return self._vitals.verdict(now) if self._working() else ""

    def _loading_silence(self) -> float:
        """A worker beats only once Python has started, which takes a while on a busy machine."""
        return 3 * self.settings.patience.silent

    def _working(self) -> bool:
        return bool(self._given & self.pending.keys())

    def _outgrown(self) -> bool:
        return self.shape is not None and self._least_context > self.shape.context

    def _may_end(self, now: float) -> bool:
        """Whether the worker may end: it is idle for long, outgrown, or in the way."""
        if self.state is not EngineState.READY or self._working():
            return False
        if self._outgrown():
            return True
        if self.pending:
            return False
        return self._dismissed or now - self.last_used >= self.settings.idle_seconds

    def _next_look(self, now: float, begun: float) -> float:
        assert self._vitals is not None
        if self.state is EngineState.LOADING:
            ends = (
                begun + self.settings.load_seconds,
                self._vitals.heard + self._loading_silence(),
            )
            return max(min(ends) - now, 0.0) + 0.05
        if self._working():
            return self._vitals.next_look(now)
        return max(self.last_used + self.settings.idle_seconds - now, 0.0) + 0.01

    async def _hand_over(self) -> None:
        assert self.process is not None
        assert self._vitals is not None
        self._given &= self.pending.keys()
        for name, pending in list(self.pending.items()):
            if name in self._given or name not in self.pending:
                continue
            if not self._given:
                self._vitals.begin(time.monotonic())
            self._given.add(name)
            pending.attempts += 1
            left = pending.deadline - time.monotonic()
            limited = pending.request.deadline_seconds is not None
            request = replace(pending.request, deadline_seconds=left if limited else None)
            if not await self.process.send(request):
                return  # the end of its messages decides

    def _after_death(self, code: int) -> None:
        """The worker died: its requests are tried again, but not for ever."""
        if self._fatal:
            raise EngineError(
                self._fatal.what, why=self._fatal.why, next_step=self._fatal.next_step
            )
        self.restarts += 1
        loading = self.state is EngineState.LOADING
        cause = self._verdict or cause_of_death(code)
        self._set(EngineState.UNLOADED)
        for name, pending in list(self.pending.items()):
            if loading:
                # It died before it could be given anything: that counts for all who wait.
                pending.attempts += 1
            if pending.attempts >= self.settings.attempts:
                del self.pending[name]
                pending.tell(
                    FailEvent(
                        name,
                        "The engine worker died while it worked on this request.",
                        f"{cause} This happened {pending.attempts} times.",
                        "Try a smaller model, or 'hivekeep doctor'.",
                    )
                )
            else:
                pending.restart()

    def _fail_all(self, error: HivekeepError) -> None:
        for name, pending in list(self.pending.items()):
            pending.tell(FailEvent(name, error.what, error.why, error.next_step))
        self.pending.clear()
        self._least_context = 0

    def _set(self, state: EngineState) -> None:
        self.state = state
        self.around.changed()
