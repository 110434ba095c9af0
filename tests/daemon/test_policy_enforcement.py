"""A policy that changes while work is under way stops what it now denies, and nothing else."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.swarm.scripted import World, coordinator, request

from hivekeep.daemon.changes import Changes
from hivekeep.daemon.enforcement import Enforcement
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.inference import FinishEvent, GenerateRequest
from hivekeep.domain.runs import AgentState, RunState
from hivekeep.journal import KEY_BYTES, Event, Journal, encode
from hivekeep.policy import PolicyHolder, PolicySources
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import Kind, RunRecord, apply, create

pytestmark = pytest.mark.anyio
GOOD = "Number A-1\nTotal 10.00"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Slow(World):
    """A world whose model answers nothing until it is told to."""

    asked: int = 0

    def __post_init__(self) -> None:
        self.go_on = anyio.Event()

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        self.asked += 1
        await self.go_on.wait()
        return await World.complete(self, request)


@dataclass
class Desk:
    """A daemon's worth of parts around one policy file."""

    policy: Path
    output: Path
    world: Slow
    changes: Changes
    coordinator: Coordinator
    enforcement: Enforcement

    def write(self, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        self.policy.write_text(text, encoding="utf-8")

    async def started(self, *names: str) -> RunRecord:
        """A run all of whose agents wait for the model."""
        self.world.texts = dict.fromkeys(names, GOOD)
        record = await self.coordinator.submit(request(self.output, list(names)))
        await self.until(lambda: self.world.asked == len(names))
        return record

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(60):
            while not condition():
                await self.changes.wait(self.changes.version, at_most=0.05)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.db", key=bytes(KEY_BYTES), clock=time.time) as opened:
        yield opened


@asynccontextmanager
async def desk(tmp_path: Path, journal: Journal) -> AsyncIterator[Desk]:
    world, changes = Slow(), Changes()
    managed = tmp_path / "managed"
    managed.mkdir(mode=0o755)
    sources = PolicySources(managed, tmp_path / "none", owners=frozenset({0, os.getuid()}))
    chosen = coordinator(world, journal, observe=lambda _event: changes.notify())
    enforcement = Enforcement(
        PolicyHolder(sources), chosen, changes,
        use_of=lambda plan, _policy: Action(ActionKind.USE_RECIPE, recipe=plan.recipe),
        resolve=lambda path: path,
    )  # fmt: skip
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(chosen.serve)
        tasks.start_soon(enforcement.serve)
        await anyio.wait_all_tasks_blocked()
        output = tmp_path / "out"
        output.mkdir()
        yield Desk(managed / "10.json", output, world, changes, chosen, enforcement)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ({"models": {"allowed": ["other"]}}, "models.allowed"),
        ({"recipes": {"allowed": ["other"]}}, "recipes.allowed"),
        ({"files": {"output_folders": ["/elsewhere"]}}, "files.output_folders"),
        ({"runs": {"max_documents": 1}}, "runs.max_documents"),
        ("{", "policy.invalid"),
    ],
)
async def test_a_run_that_may_not_go_on_is_stopped(
    tmp_path: Path, journal: Journal, content: Any, rule: str
) -> None:
    async with desk(tmp_path, journal) as here:
        record = await here.started("a", "b")
        here.write(content)
        await here.until(lambda: record.state.ended)
        assert record.state is RunState.FAILED
        assert record.error is not None
        assert record.error["rule"] == rule
        assert here.world.done["audit run.withdraw"] == 1
        assert not here.coordinator.busy
        assert here.world.published == []


async def test_one_agent_is_stopped_and_the_others_go_on(tmp_path: Path, journal: Journal) -> None:
    async with desk(tmp_path, journal) as here:
        record = await here.started("a", "b", "c")
        here.write({"files": {"denied_folders": ["/inbox/b"]}})
        stopped, *_ = [a for a in record.agents.values() if a.input.path == "/inbox/b"]
        await here.until(lambda: stopped.state.ended)
        assert stopped.state is AgentState.FAILED
        assert stopped.failure is not None
        assert stopped.failure.reason == "policy_denied"
        assert not record.state.ended
        here.world.go_on.set()
        await here.until(lambda: record.state.ended)
        assert record.state is RunState.FINISHED
        states = sorted(agent.state.value for agent in record.agents.values())
        assert states == ["done", "done", "failed"]


async def test_what_the_policy_does_not_touch_goes_on(tmp_path: Path, journal: Journal) -> None:
    async with desk(tmp_path, journal) as here:
        record = await here.started("a")
        here.write(
            {
                "files": {"denied_folders": ["/elsewhere"]},
                "approvals": {"required_for": ["read_file", "start_run", "use_model"]},
            }
        )
        await here.enforcement.check()
        here.world.go_on.set()
        await here.until(lambda: record.state.ended)
        assert record.state is RunState.FINISHED


async def test_a_run_that_is_resumed_against_the_policy_is_stopped_again(
    tmp_path: Path, journal: Journal
) -> None:
    async with desk(tmp_path, journal) as here:
        record = await here.started("a")
        here.write({"watch": {"allowed": True}, "models": {"allowed": []}})
        await here.until(lambda: record.state.ended)
        await here.coordinator.resume(record.id)
        await here.until(lambda: record.state is RunState.FAILED and not here.coordinator.busy)
        here.policy.unlink()
        here.world.go_on.set()
        await here.coordinator.resume(record.id)
        await here.until(lambda: record.state is RunState.FINISHED)


async def test_a_run_that_takes_longer_than_allowed_is_stopped(
    tmp_path: Path, journal: Journal
) -> None:
    async with desk(tmp_path, journal) as here:
        record = await here.started("a")
        assert record.begun is not None
        begun = record.begun
        here.enforcement.clock = lambda: begun + 119.0
        here.write({"runs": {"max_minutes": 2}})
        await here.enforcement.check()
        assert not record.state.ended
        here.enforcement.clock = lambda: begun + 120.0
        await here.until(lambda: record.state.ended)
        assert record.state is RunState.FAILED
        assert record.error is not None
        assert record.error["rule"] == "runs.max_minutes"
        assert "2 minutes" in record.error["what"]
        assert not here.coordinator.busy


def test_pauses_and_the_time_after_a_crash_do_not_count() -> None:
    def event(kind: Kind, at: float, **payload: Any) -> Event:
        return Event(1, "r", "", kind, at, payload)

    made = request(Path("/out"), ["a"])
    record = create(event(Kind.RUN_CREATED, 0.0, request=encode(made)))
    assert record.minutes(600.0) == 0
    for kind, at in (
        (Kind.RUN_STARTED, 0.0), (Kind.RUN_PAUSED, 60.0), (Kind.RUN_STARTED, 6000.0),
        (Kind.AGENT_SPAWNED, 6060.0), (Kind.RUN_STARTED, 9000.0),
    ):  # fmt: skip
        apply(record, event(kind, at, role="task", title=""))
    assert record.minutes(9060.0) == 3
    apply(record, event(Kind.RUN_CANCELLED, 9120.0))
    assert record.minutes(99999.0) == 4
