"""From a file that is closed to the sub-agent that starts on it, and 10,000 files at once.

Runs the real watcher, inventory, journal and coordinator in a temporary folder; reading and
thinking take no time, because what is measured is the way to them.  The wait that is configured (a
file must be quiet for a moment, and a batch waits for more files) is part of the latency that a
person sees; what Hivekeep adds to it is shown on its own.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread

from benchmarks.setup import NoMover, NoPublisher, OpenGate, report
from hivekeep.documents import file_sha256
from hivekeep.domain.documents import Block, Document
from hivekeep.domain.inference import FinishEvent, FinishReason, GenerateRequest
from hivekeep.domain.runs import InputFile, TriggerKind, Usage
from hivekeep.journal import KEY_BYTES, Event, Journal
from hivekeep.recipes import builtin_recipes
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import Kind, RunRequest
from hivekeep.swarm.ports import Limits, Ports
from hivekeep.triggers import Batch, Inventory, WatchConfig, WatchService

GOAL_SECONDS = 0.25


@dataclass
class Clocked:
    """When each file was closed, and when an agent's first step on it was journaled."""

    closed: dict[str, float] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    wanted: int = 0
    enough: anyio.Event = field(default_factory=anyio.Event)

    def observe(self, event: Event) -> None:
        """Note the first intent of an agent."""
        if event.kind == Kind.STEP_INTENDED and event.agent:
            path = event.payload["intent"].get("path")
            if path not in self.closed:
                return
            self.started.setdefault(path, time.monotonic())
            if len(self.started) >= self.wanted:
                self.enough.set()

    async def until(self, count: int, seconds: float) -> None:
        """Wait until ``count`` files were started, or the time is up."""
        self.wanted, self.enough = count, anyio.Event()
        with anyio.move_on_after(seconds):
            await self.enough.wait()

    def latencies(self) -> list[float]:
        """Seconds from close to start, for each file that was started."""
        return [self.started[path] - at for path, at in self.closed.items() if path in self.started]


class InstantReader:
    """Every document says one line."""

    async def read(self, path: Path, *, expected_sha256: str = "") -> Document:
        """At once."""
        block = Block(0, 1, f"Invoice number {path.stem}")
        return Document(path.name, "text/plain", expected_sha256, 1, 1, (block,))


class InstantEngine:
    """Answers null to everything, at once."""

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """At once."""
        return FinishEvent(request.id, "{}", FinishReason.STOP, Usage(1, 0, 1), 0.0)


@asynccontextmanager
async def watching(place: Path, clocked: Clocked) -> AsyncIterator[WatchConfig]:
    """A watched folder whose files become runs."""
    recipe = builtin_recipes()["receipts"]
    plan = recipe.compile()
    inbox = place / "inbox"
    inbox.mkdir(parents=True)
    config = WatchConfig("watch", str(inbox), "receipts", plan.recipe_hash, str(place / "out"))
    numbers = iter(range(1, 10**9))
    with (
        Journal(place / "journal.db", key=bytes(KEY_BYTES), clock=time.time) as journal,
        Inventory(place / "inventory.db", clock=time.time) as inventory,
    ):
        ports = Ports(
            reader=InstantReader(), engine=InstantEngine(), gate=OpenGate(),
            publisher=NoPublisher(), mover=NoMover(), monotonic=time.monotonic,
            new_id=lambda: f"bench{next(numbers):04d}", observe=clocked.observe,
        )  # fmt: skip
        coordinator = Coordinator(journal, ports, Limits())

        async def on_batch(batch: Batch) -> None:
            inputs = tuple(InputFile(str(f.path), f.sha256, f.size) for f in batch.files)
            await coordinator.submit(
                RunRequest(plan, inputs, "", TriggerKind.WATCH, str(place / "out"),
                           watch=config.id, batch=batch.id)
            )  # fmt: skip

        service = WatchService(
            inventory, on_batch, is_own_output=lambda _path: False, hash_file=file_sha256
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(coordinator.serve)
            tasks.start_soon(service.run)
            await anyio.lowlevel.checkpoint()
            await service.add(config)
            yield config
            tasks.cancel_scope.cancel()


def drop(inbox: Path, name: str, clocked: Clocked) -> None:
    """Write a file of its own content and note when it was closed."""
    path = inbox / name
    clocked.closed[str(path)] = time.monotonic()
    path.write_text(name)
    clocked.closed[str(path)] = time.monotonic()


async def one_by_one(place: Path, files: int) -> Clocked:
    """Each file alone, the next one once an agent has started on it."""
    clocked = Clocked()
    async with watching(place, clocked) as config:
        for number in range(files):
            drop(Path(config.folder), f"single-{number}.txt", clocked)
            await clocked.until(number + 1, 60)
    return clocked


async def all_at_once(place: Path, files: int) -> Clocked:
    """All files as fast as they can be written."""
    clocked = Clocked()
    async with watching(place, clocked) as config:

        def write() -> None:
            for number in range(files):
                drop(Path(config.folder), f"burst-{number}.txt", clocked)

        await anyio.to_thread.run_sync(write)
        await clocked.until(files, 900)
    return clocked


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--singles", type=int, default=20)
    parser.add_argument("--burst", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hivekeep-watch-") as scratch:
        singles = anyio.run(one_by_one, Path(scratch) / "one", options.singles)
        begin = time.monotonic()
        burst = anyio.run(all_at_once, Path(scratch) / "all", options.burst)
        took = time.monotonic() - begin
    config = WatchConfig("", "", "", "", "")
    configured = config.settle_seconds + config.batch_seconds
    alone = sorted(singles.latencies())
    p50, p99 = statistics.median(alone), alone[min(len(alone) - 1, int(len(alone) * 0.99))]
    missed = options.burst - len(burst.started)
    print(f"one file at a time, n={len(alone)}: close to start {p50:.3f} s median, {p99:.3f} s p99")
    print(f"  of which configured: quiet {config.settle_seconds} s, batch {config.batch_seconds} s")
    print(f"  added by Hivekeep: {p50 - configured:.3f} s median, {p99 - configured:.3f} s p99")
    print(f"{options.burst} files at once: {missed} missed, all started after {took:.1f} s")
    report(
        "watch_latency", p99, "s", "<= 0.25 s p99, none missed",
        holds=p99 <= GOAL_SECONDS and missed == 0,
        against=f"configured wait {configured:.1f} s; burst of {options.burst}: {missed} missed",
        n=len(alone),
    )  # fmt: skip


if __name__ == "__main__":
    main()
