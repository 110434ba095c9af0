"""Measuring how fast an installed model runs here, when a person asks for it.

Responsible for one measurement at a time and for what is told of it; measuring happens in processes
of their own.  Invariant: nothing is measured while runs are under way, which would slow them down
and give figures that say nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import anyio
from anyio.to_thread import run_sync

from hivekeep.daemon.gate import PolicyGate
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import HivekeepError, UsageError
from hivekeep.domain.saying import say
from hivekeep.engine.calibration import Calibrations, Rates, choose
from hivekeep.engine.hardware import limits_measured_apart
from hivekeep.engine.memory import model_facts
from hivekeep.engine.settings import default_tuning
from hivekeep.engine.store import ModelStore

MEASURING, DONE, FAILED = "measuring", "done", "failed"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement. ``at`` is when it began, in seconds since the epoch.

    ``kept`` says whether the engine uses it: not if other programs used the processors meanwhile.
    ``limits`` are the tokens a second that this machine's memory and arithmetic allow.
    """

    state: str
    at: float
    rates: Rates | None = None
    kept: bool = False
    limits: dict[str, float] | None = None
    error: dict[str, str] | None = None


class ModelBench:
    """The measurements that were asked for since the daemon's start.

    :param busy: whether runs are under way.
    :param changed: called when there is something new to be seen.
    """

    def __init__(
        self,
        store: ModelStore,
        calibrations: Calibrations,
        gate: PolicyGate,
        *,
        busy: Callable[[], bool],
        changed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._store, self._calibrations, self._gate = store, calibrations, gate
        self._busy, self._changed, self._clock = busy, changed, clock
        self._found: dict[str, Measurement] = {}
        self._wanted_in, self._wanted = anyio.create_memory_object_stream[str](1)

    async def serve(self) -> None:
        """Measure what is asked for, one model after the other, until cancelled."""
        async for name in self._wanted:
            await self._measure(name)

    async def start(self, name: str) -> dict[str, Any]:
        """Begin to measure; ``view`` tells how it goes.

        :raises HivekeepError: if the model is not here or not allowed.
        :raises UsageError: if runs are under way or another model is being measured.
        """
        entry = self._store.entry(name)
        await run_sync(self._store.resolve, name)
        await self._gate.require(
            Action(ActionKind.USE_MODEL, model=name, model_sha256=entry.sha256)
        )
        if self._busy():
            raise UsageError(
                say("error.busy", "A run is under way."),
                why=say(
                    "why.disturbed",
                    "It would be slowed down, and what is measured would say nothing.",
                ),
                next_step=say("next.measure_later", "Measure when it has ended."),
            )
        if any(found.state == MEASURING for found in self._found.values()):
            raise UsageError(
                say("error.measuring", "A model is being measured."),
                next_step=say("next.wait_measured", "Wait a minute until that is done."),
            )
        await self._gate.record("model.measure", subject=name, outcome="started")
        self._found[name] = Measurement(MEASURING, self._clock())
        self._wanted_in.send_nowait(name)
        self._changed()
        return {"name": name, "state": MEASURING}

    def view(self, name: str, path: Path) -> dict[str, Any] | None:
        """What is known of a model's speed here; ``None`` if it was never measured. Blocks."""
        found = self._found.get(name)
        if found is None:
            rates = self._calibrations.known(name, path)
            found = Measurement(DONE, 0.0, rates, kept=True) if rates else None
        if found is None:
            return None
        tuning = asdict(choose(found.rates)) if found.rates else None
        return {**asdict(found), "tuning": tuning}

    async def _measure(self, name: str) -> None:
        begun = self._found[name]
        try:
            self._found[name] = await run_sync(self._figures, name, begun)
        except HivekeepError as error:
            self._found[name] = replace(begun, state=FAILED, error=error.as_dict())
        finally:
            self._changed()

    def _figures(self, name: str, begun: Measurement) -> Measurement:
        path = self._store.resolve(name)
        measured = self._calibrations.measure(name, path)
        limits, facts = limits_measured_apart(default_tuning().threads), model_facts(path)
        allowed = {
            "decode": limits.decode(facts.weights),
            "prefill": limits.prefill(facts.parameters),
        }
        return replace(begun, state=DONE, rates=measured.rates, kept=measured.kept, limits=allowed)
