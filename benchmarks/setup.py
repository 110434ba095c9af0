"""What several measurements share: where the corpus is, a swarm without policy, the last line.

Responsible for composing the real reader, engine and coordinator for a measurement.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from hivekeep.daemon.main import StoreFiles
from hivekeep.daemon.profile import Profile
from hivekeep.documents import ReaderPool, file_sha256
from hivekeep.domain.actions import Action
from hivekeep.domain.documents import ReadLimits
from hivekeep.domain.fields import Plan
from hivekeep.domain.report import RunReport
from hivekeep.domain.runs import InputFile, TriggerKind
from hivekeep.engine.local import EngineSettings, LocalEngine
from hivekeep.engine.store import ModelStore
from hivekeep.journal import KEY_BYTES, Journal
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import RunRecord, RunRequest
from hivekeep.swarm.ports import Completer, Limits, Ports

ROOT = Path(__file__).resolve().parent.parent


def corpus() -> Path:
    """The shared evaluation corpus, beside the checkout or at ``$HIVEKEEP_SHARED``."""
    return Path(os.environ.get("HIVEKEEP_SHARED", ROOT.parent / "shared")).resolve() / "corpus"


def report(
    name: str, value: float, unit: str, goal: str, *, holds: bool, against: str, n: int
) -> None:
    """The one line of JSON that every measurement ends with."""
    line = {
        "name": name, "value": round(value, 4), "unit": unit, "goal": goal, "holds": holds,
        "against": against, "n": n,
    }  # fmt: skip
    print(json.dumps(line))


class OpenGate:
    """Allows everything and records nothing: what is measured is reading and thinking."""

    async def require(self, action: Action, *, run: str, agent: str) -> str:
        """Allow."""
        return "benchmark"

    async def record(
        self, action: str, *, run: str, agent: str, subject: str, outcome: str, **detail: Any
    ) -> None:
        """Forget."""


class NoPublisher:
    """Publishes nothing."""

    def prepare(self, report: RunReport, folder: Path) -> list[dict[str, Any]]:
        """Nothing to prepare."""
        return []

    def publish(self, prepared: dict[str, Any]) -> Path:
        """Never called."""
        raise AssertionError(prepared)


class NoMover:
    """Moves nothing."""

    def prepare(self, kind: str, source: Path, target: Path, sha256: str) -> dict[str, Any]:
        """Never called."""
        raise AssertionError(source)

    def perform(self, prepared: dict[str, Any]) -> Path:
        """Never called."""
        raise AssertionError(prepared)


@dataclass(frozen=True)
class Swarm:
    """A running coordinator with what it was made of."""

    coordinator: Coordinator
    engine: LocalEngine
    readers: ReaderPool

    async def run(self, plan: Plan, files: Sequence[Path], *, say: bool = True) -> RunRecord:
        """Process ``files`` and return the finished record."""
        inputs = tuple(InputFile(str(path), *file_sha256(path)) for path in files)
        request = RunRequest(plan, inputs, plan.title, TriggerKind.COMMAND, output="/nonexistent")
        record = await self.coordinator.submit(request)
        ended = -1
        while not record.state.ended:
            now = sum(agent.state.ended for agent in record.agents.values())
            if say and now != ended:
                ended = now
                print(f"\r{now}/{len(files)} documents", end="", flush=True)
            await anyio.sleep(0.2)
        if say:
            print()
        return record


@asynccontextmanager
async def swarm(
    journal: Path,
    *,
    workers: int = 2,
    settings: EngineSettings | None = None,
    wrap: Callable[[LocalEngine], Completer] = lambda engine: engine,
) -> AsyncIterator[Swarm]:
    """The real parts, composed without policy, audit and deliverables.

    :param wrap: puts something between the swarm and the engine, such as the answer cache.
    """
    store = ModelStore(Profile.models())
    numbers = iter(range(1, 10**9))
    with Journal(journal, key=bytes(KEY_BYTES), clock=time.time) as events:
        engine = LocalEngine(StoreFiles(store), settings)
        async with engine, ReaderPool(ReadLimits(), workers=workers) as readers:
            ports = Ports(
                reader=readers, engine=wrap(engine), gate=OpenGate(), publisher=NoPublisher(),
                mover=NoMover(), monotonic=time.monotonic,
                new_id=lambda: f"bench{next(numbers):04d}",
            )  # fmt: skip
            coordinator = Coordinator(events, ports, Limits())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(coordinator.serve)
                await anyio.lowlevel.checkpoint()
                yield Swarm(coordinator, engine, readers)
                tasks.cancel_scope.cancel()
