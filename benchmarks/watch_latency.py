"""From a file that is closed to the sub-agent that starts on it, and 10,000 files at once.

Runs the real watcher, inventory, journal, policy gate, audit log and coordinator in a temporary
folder; reading and thinking take no time, because what is measured is the way to them.  The wait
that is configured (a closed file must be quiet for a moment) is part of the latency that a person
sees.  A file that begins a run and one that joins a run are measured apart.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread

from benchmarks.killing import FileSecrets
from benchmarks.setup import NoMover, NoPublisher, report
from hivekeep.audit import AuditLog
from hivekeep.daemon.gate import PolicyGate
from hivekeep.documents import file_sha256
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.documents import Block, Document
from hivekeep.domain.inference import FinishEvent, FinishReason, GenerateRequest
from hivekeep.domain.runs import InputFile, TriggerKind, Usage
from hivekeep.journal import KEY_BYTES, Event, Journal
from hivekeep.policy import PolicyHolder, PolicySources
from hivekeep.recipes import builtin_recipes
from hivekeep.secrets import KeyStore
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
async def watching(
    place: Path, clocked: Clocked, batch_seconds: float
) -> AsyncIterator[tuple[WatchConfig, Coordinator]]:
    """A watched folder whose files become runs."""
    recipe = builtin_recipes()["receipts"]
    plan = recipe.compile()
    inbox = place / "inbox"
    inbox.mkdir(parents=True)
    config = WatchConfig(
        "watch", str(inbox), "receipts", plan.recipe_hash, str(place / "out"),
        batch_seconds=batch_seconds,
    )  # fmt: skip
    numbers = iter(range(1, 10**9))
    keys = KeyStore(FileSecrets(place / "keys.json"))
    nowhere = place / "none"
    audit = AuditLog.open(place / "audit", keys)
    gate = PolicyGate(PolicyHolder(PolicySources(nowhere, nowhere, nowhere)), audit)
    with (
        closing(audit),
        Journal(place / "journal.db", key=bytes(KEY_BYTES), clock=time.time) as journal,
        Inventory(place / "inventory.db", clock=time.time) as inventory,
    ):
        ports = Ports(
            reader=InstantReader(), engine=InstantEngine(), gate=gate,
            publisher=NoPublisher(), mover=NoMover(), monotonic=time.monotonic,
            new_id=lambda: f"bench{next(numbers):04d}", observe=clocked.observe,
        )  # fmt: skip
        coordinator = Coordinator(journal, ports, Limits())

        async def on_batch(batch: Batch) -> None:
            # What the daemon's service asks before it submits a batch.
            for action in (
                Action(ActionKind.WATCH_FOLDER, path=batch.config.folder),
                Action(ActionKind.USE_RECIPE, recipe=plan.recipe),
                Action(ActionKind.START_RUN, recipe=plan.recipe, count=len(batch.files)),
                Action(ActionKind.USE_MODEL, model=plan.model),
            ):
                await gate.require(action)
            inputs = tuple(InputFile(str(f.path), f.sha256, f.size) for f in batch.files)
            await coordinator.submit(
                RunRequest(plan, inputs, "", TriggerKind.WATCH, str(place / "out"),
                           watch=config.id, batch=batch.id, batch_seconds=config.batch_seconds)
            )  # fmt: skip

        service = WatchService(
            inventory, on_batch, is_own_output=lambda _path: False, hash_file=file_sha256
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(coordinator.serve)
            tasks.start_soon(service.run)
            await anyio.lowlevel.checkpoint()
            await service.add(config)
            yield config, coordinator
            tasks.cancel_scope.cancel()


def drop(inbox: Path, name: str, clocked: Clocked) -> None:
    """Write a file of its own content and note when it was closed."""
    path = inbox / name
    clocked.closed[str(path)] = time.monotonic()
    path.write_text(name)
    clocked.closed[str(path)] = time.monotonic()


async def one_by_one(place: Path, files: int, batch_seconds: float) -> Clocked:
    """Each file alone, the next one once an agent has started on it."""
    clocked = Clocked()
    async with watching(place, clocked, batch_seconds) as (config, _):
        for number in range(files):
            drop(Path(config.folder), f"single-{number}.txt", clocked)
            await clocked.until(number + 1, 60)
    return clocked


async def all_at_once(place: Path, files: int) -> tuple[Clocked, int]:
    """All files as fast as they can be written, and the number of runs they became."""
    clocked = Clocked()
    usual = WatchConfig("", "", "", "", "").batch_seconds
    async with watching(place, clocked, usual) as (config, coordinator):

        def write() -> None:
            for number in range(files):
                drop(Path(config.folder), f"burst-{number}.txt", clocked)

        await anyio.to_thread.run_sync(write)
        await clocked.until(files, 900)
        return clocked, len(coordinator.records)


def show(name: str, latencies: list[float]) -> float:
    """Print the distribution of one series; its 99th percentile in seconds."""
    alone = sorted(latencies)
    p50, p99 = statistics.median(alone), alone[min(len(alone) - 1, int(len(alone) * 0.99))]
    waits = WatchConfig("", "", "", "", "").closed_seconds
    print(
        f"{name}, n={len(alone)}: close to start {p50:.3f} s median, {p99:.3f} s p99, "
        f"{alone[-1]:.3f} s at most; {waits} s of it configured"
    )
    return p99


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--singles", type=int, default=100)
    parser.add_argument("--burst", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hivekeep-watch-") as scratch:
        beginning = anyio.run(one_by_one, Path(scratch) / "begin", options.singles, 0.0)
        joining = anyio.run(one_by_one, Path(scratch) / "join", options.singles, 60.0)
        begin = time.monotonic()
        burst, runs = anyio.run(all_at_once, Path(scratch) / "all", options.burst)
        took = time.monotonic() - begin
    p99 = max(
        show("a file that begins a run", beginning.latencies()),
        show("a file that joins a run", joining.latencies()),
    )
    missed = options.burst - len(burst.started)
    print(
        f"{options.burst} files at once: {missed} missed, first after "
        f"{min(burst.latencies()):.2f} s, all started after {took:.1f} s, in {runs} runs"
    )
    report(
        "watch_latency", p99, "s", "<= 0.25 s p99, none missed",
        holds=p99 <= GOAL_SECONDS and missed == 0,
        against=f"the quiet time that is configured; burst of {options.burst}: {missed} missed",
        n=2 * options.singles,
    )  # fmt: skip


if __name__ == "__main__":
    main()
