"""A scripted coordinator that serves, and waiting for what its runs come to."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from hivekeep.daemon.changes import Changes
from hivekeep.journal import KEY_BYTES, Journal
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import RunRecord, RunRequest, fold
from tests.swarm.scripted import SimulatedKillError, World
from tests.swarm.scripted import coordinator as scripted

GOOD = "Number A-1\nTotal 10.00"


class Served:
    """One process's coordinator; use ``running`` for its life."""

    def __init__(self, world: World, journal: Journal, **more: Any) -> None:
        self._changes = Changes()
        self.coordinator: Coordinator = scripted(
            world, journal, observe=lambda _event: self._changes.notify(), **more
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Coordinator]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.coordinator.serve)
            await anyio.wait_all_tasks_blocked()
            yield self.coordinator
            tasks.cancel_scope.cancel()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for journaled events until ``condition`` holds."""
        with anyio.fail_after(60):
            while True:
                since = self._changes.version
                if condition():
                    return
                await self._changes.wait(since, at_most=60)

    async def rest(self, record: RunRecord) -> RunRecord:
        """Wait until nothing of a run is under way."""
        await self.until(lambda: record.state.at_rest)
        while self.coordinator.busy:
            await anyio.lowlevel.checkpoint()
        return record


def open_journal(folder: Path) -> Journal:
    """The journal of one profile; opened again it is the same one."""
    return Journal(folder / "journal.db", key=bytes(KEY_BYTES), clock=time.time)


async def finish(
    folder: Path, world: World, request: RunRequest, **more: Any
) -> tuple[RunRecord, Coordinator]:
    """A run from its request until it rests, in one life."""
    with open_journal(folder) as journal:
        served = Served(world, journal, **more)
        async with served.running() as coordinator:
            record = await coordinator.submit(request)
            await served.rest(record)
    return record, coordinator


async def survive(
    folder: Path, world: World, request: RunRequest, seed: int, **more: Any
) -> tuple[RunRecord, int]:
    """A run whose process is killed at random effects until it is through; and how often it was.

    A step whose result was journaled before a kill must still be there after it.
    """
    generator = random.Random(seed)
    before: set[str] = set()
    for life in itertools.count():
        assert life < 120
        countdown = itertools.count(generator.randrange(1, 7), -1)

        def maybe_kill(name: str, countdown: itertools.count[int] = countdown) -> None:
            if next(countdown) <= 0:
                raise SimulatedKillError(name)

        world.on_effect = maybe_kill
        with open_journal(folder) as journal:
            served = Served(world, journal, **more)
            try:
                async with served.running() as coordinator:
                    if not coordinator.records:
                        await coordinator.submit(request)
                    (record,) = coordinator.records.values()
                    await served.rest(record)
                    return record, life
            except BaseExceptionGroup as group:
                _, other = group.split(SimulatedKillError)
                assert other is None, other
            (kept,) = fold(list(journal.events())).values()
            done = {
                f"{agent.id}/{key}"
                for agent in kept.agents.values()
                for key, step in agent.steps.items()
                if step.done
            }
            assert before <= done
            before = done
    raise AssertionError
