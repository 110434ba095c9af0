"""The local engine: answers requests with models on this machine.

Responsible for which models are in memory at the same time and for what may be loaded; the life of
each model's worker is the supervisor's.  Invariant: a model is loaded only if it is predicted to
fit into the memory that is free.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import anyio
import psutil
from anyio.abc import TaskGroup

from hivekeep.domain.errors import EngineError
from hivekeep.domain.inference import EngineEvent, FinishEvent, GenerateRequest
from hivekeep.domain.runs import Usage
from hivekeep.domain.saying import say
from hivekeep.engine.memory import ModelFacts, Shape, fit, names_that_fit, predict
from hivekeep.engine.protocol import EngineState, EngineStatus
from hivekeep.engine.settings import EngineSettings, Tuning, default_tuning
from hivekeep.engine.streaming import Listener, events_of, only_answer
from hivekeep.engine.supervisor import Pending, Supervisor
from hivekeep.engine.tally import Tally

__all__ = ["EngineSettings", "LocalEngine", "ModelFiles"]


class ModelFiles(Protocol):
    """Where models are, which is the model store's business."""

    def resolve(self, name: str) -> Path:
        """The verified file of an installed model."""
        ...

    def installed(self) -> Sequence[tuple[str, int]]:
        """Every installed model with the bytes of memory it needs with a modest context."""
        ...


class Tuner(Protocol):
    """Knows what suits a model on this machine."""

    async def tuning(self, model: str, path: Path) -> Tuning:
        """What was measured, or what is assumed."""
        ...


class _Defaults:
    async def tuning(self, model: str, path: Path) -> Tuning:  # noqa: ARG002
        return default_tuning()


class LocalEngine:
    """The engine on this machine; use it as an async context manager.

    :param files: finds model files by name.
    :param on_change: called whenever ``status`` may have changed.
    :param tuner: says how a model is run best here.
    :param free_memory: bytes of memory that are free now.
    """

    def __init__(
        self,
        files: ModelFiles,
        settings: EngineSettings | None = None,
        *,
        on_change: Callable[[], None] = lambda: None,
        tuner: Tuner | None = None,
        free_memory: Callable[[], int] = lambda: int(psutil.virtual_memory().available),
    ) -> None:
        self._files = files
        self._settings = settings or EngineSettings()
        self._on_change = on_change
        self._tuner = tuner or _Defaults()
        self._free_memory = free_memory
        self._supervisors: dict[tuple[str, str], Supervisor] = {}
        self._ended = anyio.Event()
        self._restarts = 0
        self._tally = Tally()
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
        return await self._tasks.__aexit__(kind, error, trace)

    def generate(self, requests: Sequence[GenerateRequest]) -> AsyncIterator[EngineEvent]:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        return events_of(requests, lambda _: self, self._tally)

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        return await only_answer(self.generate([request]))

    def status(self) -> EngineStatus:
        """See :class:`hivekeep.engine.protocol.Engine`."""
        loaded = [s for s in self._supervisors.values() if s.state is not EngineState.UNLOADED]
        restarts = self._restarts + sum(s.restarts for s in self._supervisors.values())
        if not loaded:
            return EngineStatus(restarts=restarts, usage=self._tally.runs())
        first = max(loaded, key=lambda s: (len(s.pending), s.last_used))
        active = sum(min(s.beat.active, len(s.pending)) for s in loaded)
        return EngineStatus(
            state=first.state,
            model=first.model,
            active=active,
            waiting=sum(len(s.pending) for s in loaded) - active,
            tokens_per_second=sum(s.beat.tokens_per_second for s in loaded if s.pending),
            rss=sum(s.process.rss() for s in loaded if s.process),
            restarts=restarts,
            slots=first.shape.slots if first.shape else 0,
            context=first.shape.context if first.shape else 0,
            usage=self._tally.runs(),
        )

    def usage(self, run: str) -> dict[str, Usage]:
        """What each agent of a recent run has used."""
        return self._tally.agents(run)

    # What ``events_of`` needs; see ``Backend``.

    def submit(self, request: GenerateRequest, listener: Listener) -> None:
        """Take a request on."""
        if self._tasks is None:
            raise RuntimeError("LocalEngine is not open")
        seconds = request.deadline_seconds
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        key = (request.model, request.adapter)
        supervisor = self._supervisors.get(key)
        if supervisor is None:
            supervisor = Supervisor(*key, self._settings, self)
            self._supervisors[key] = supervisor
            self._tasks.start_soon(self._supervise, supervisor, name=f"engine {request.model}")
        supervisor.submit(Pending(request, listener, deadline))

    def give_up(self, request: GenerateRequest) -> None:
        """Nobody waits for the answer any more."""
        supervisor = self._supervisors.get((request.model, request.adapter))
        cancel = supervisor.forget(request.id) if supervisor else None
        if cancel is not None and self._tasks is not None:
            self._tasks.start_soon(cancel)

    def worker_pids(self) -> list[int]:
        """The processes of loaded models."""
        return [s.process.pid for s in self._supervisors.values() if s.process is not None]

    # What supervisors need; see ``Surroundings``.

    def resolve(self, model: str) -> Path:
        """The model's file."""
        return self._files.resolve(model)

    async def tuning(self, model: str, path: Path) -> Tuning:
        """What suits the model on this machine."""
        return await self._tuner.tuning(model, path)

    async def shape(
        self, owner: Supervisor, facts: ModelFacts, wanted: Shape, tuning: Tuning
    ) -> Shape:
        """What fits into memory now, ending idle workers and waiting for busy ones if need be.

        :raises EngineError: if the model does not fit although no other one is loaded.
        """
        if tuning.offload and self._settings.gpu_layers != 0:
            # The weights are the graphics processor's memory to hold; it refuses what it cannot.
            return wanted
        while True:
            free = self._free_memory()
            found = fit(facts, wanted, free)
            if found is not None:
                return found
            others = [s for s in self._supervisors.values() if s is not owner and s.process]
            if not others:
                raise self._too_large(owner.model, facts, free)
            for other in others:
                other.dismiss()
            await self._ended.wait()

    def changed(self) -> None:
        """Something that ``status`` shows has changed."""
        self._on_change()

    def _too_large(self, model: str, facts: ModelFacts, free: int) -> EngineError:
        needed = predict(facts, Shape(1, min(2048, facts.context))).total
        candidates = [entry for entry in self._files.installed() if entry[0] != model]
        fitting = names_that_fit(candidates, free)
        next_step = "Close other programs, or pull a smaller model: hivekeep models list"
        if fitting:
            next_step = f"Close other programs, or use a model that fits: {', '.join(fitting)}."
        return EngineError(
            say(
                "error.memory_now",
                "There is not enough memory for the model '{model}'.",
                model=model,
            ),
            why=say(
                "why.memory_now",
                "It needs at least {needed} GB; {free} GB are free.",
                needed=f"{needed / 1e9:.1f}",
                free=f"{free / 1e9:.1f}",
            ),
            next_step=next_step,
        )

    async def _supervise(self, supervisor: Supervisor) -> None:
        try:
            await supervisor.serve()
        finally:
            del self._supervisors[supervisor.model, supervisor.adapter]
            self._restarts += supervisor.restarts
            self._ended.set()
            self._ended = anyio.Event()
            self._on_change()
