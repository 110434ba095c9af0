"""Files of a watched folder that arrive while a run is at work there join it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from hivekeep.deliverables import ReportPublisher
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.budgets import Budget, RunLimits
from hivekeep.domain.errors import PolicyDeniedError
from hivekeep.domain.runs import RunState, TriggerKind
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import Kind, RunRecord, RunRequest, fold
from hivekeep.swarm.ports import Limits
from hivekeep.swarm.recording import record_run
from hivekeep.swarm.replay import replay
from tests.swarm.scripted import SimulatedKillError, World, plan, request
from tests.swarm.served import GOOD, Served, open_journal

pytestmark = pytest.mark.anyio

NAMES = [f"f{number}" for number in range(9)]
LONG = 60.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def batch(folder: Path, names: list[str], seconds: float = 0.3, **more: Any) -> RunRequest:
    """What a watched folder asks for; files are told apart by their content."""
    made = request(folder, names, watch="w1", batch="+".join(names), batch_seconds=seconds, **more)
    inputs = tuple(replace(item, sha256=f"{NAMES.index(Path(item.path).name):064x}")
                   for item in made.inputs)  # fmt: skip
    return replace(made, trigger=TriggerKind.WATCH, inputs=inputs)


class Holding(World):
    """A world whose model answers only after ``let_go``."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(NAMES, GOOD))
        self.held = anyio.Event()

    async def complete(self, request: Any) -> Any:
        await self.held.wait()
        return await super().complete(request)

    def let_go(self) -> None:
        self.held.set()


def documents(record: RunRecord) -> list[str]:
    return [Path(agent.input.path).name for agent in record.documents()]


def begun(record: RunRecord) -> set[str]:
    return {Path(agent.input.path).name for agent in record.documents() if agent.steps}


async def test_files_that_come_while_a_run_is_at_work_join_it_and_start_at_once(
    tmp_path: Path,
) -> None:
    world = Holding()
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            record = await coordinator.submit(batch(tmp_path, NAMES[:1]))
            await served.until(lambda: begun(record) == set(NAMES[:1]))
            assert await coordinator.submit(batch(tmp_path, NAMES[1:3])) is record
            assert await coordinator.submit(batch(tmp_path, NAMES[3:5])) is record
            await served.until(lambda: begun(record) == set(NAMES[:5]))
            world.let_go()
            await served.rest(record)
        assert record.state is RunState.FINISHED
        assert record.counts() == {"done": 5}
        assert documents(record) == NAMES[:5] == [Path(i.path).name for i in record.request.inputs]
        assert len(world.published) == 1
        assert world.done["audit run.join"] == 2
        assert fold(list(journal.events())) == {record.id: record}


async def test_a_result_waits_for_files_that_come_right_after(tmp_path: Path) -> None:
    world = World(dict.fromkeys(NAMES, GOOD))
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            record = await coordinator.submit(batch(tmp_path, NAMES[:1], LONG))
            await served.until(lambda: record.counts() == {"done": 1})
            assert await coordinator.submit(batch(tmp_path, NAMES[1:2], LONG)) is record
            await served.until(lambda: record.counts() == {"done": 2})
            await anyio.wait_all_tasks_blocked()
            assert record.state is RunState.RUNNING
    assert not world.published


async def test_a_run_that_has_delivered_takes_in_no_more(tmp_path: Path) -> None:
    world = World(dict.fromkeys(NAMES, GOOD))
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            first = await coordinator.submit(batch(tmp_path, NAMES[:2], 0.01))
            await served.rest(first)
            second = await coordinator.submit(batch(tmp_path, NAMES[2:4], 0.01))
            await served.rest(second)
    assert [documents(first), documents(second)] == [NAMES[:2], NAMES[2:4]]
    assert len(world.published) == 2


async def test_a_batch_that_is_delivered_again_finds_the_run_that_it_joined(
    tmp_path: Path,
) -> None:
    world = Holding()
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            record = await coordinator.submit(batch(tmp_path, NAMES[:1]))
            for _ in range(3):
                assert await coordinator.submit(batch(tmp_path, NAMES[1:2])) is record
            world.let_go()
            await served.rest(record)
            assert await coordinator.submit(batch(tmp_path, NAMES[1:2])) is record
            assert await coordinator.submit(batch(tmp_path, NAMES[:1])) is record
    assert documents(record) == NAMES[:2]


@pytest.mark.parametrize(
    ("first", "second", "limits"),
    [
        ({}, {"watch": "w2"}, Limits()),
        ({}, {"plan": plan(recipe_hash="cd" * 32)}, Limits()),
        ({}, {"output": "/elsewhere"}, Limits()),
        ({"watch": ""}, {"watch": ""}, Limits()),
        ({"batch_seconds": 0.0}, {"batch_seconds": 0.0}, Limits()),
        ({}, {}, Limits(steps=24)),
    ],
    ids=["folder", "recipe", "output", "no folder", "no gathering", "too many steps"],
)
async def test_what_does_not_belong_together_stays_apart(
    first: dict[str, Any], second: dict[str, Any], limits: Limits, tmp_path: Path
) -> None:
    world = Holding()
    with open_journal(tmp_path) as journal:
        served = Served(world, journal, limits=limits)
        async with served.running() as coordinator:
            one = await coordinator.submit(replace(batch(tmp_path, NAMES[:2]), **first))
            other = await coordinator.submit(replace(batch(tmp_path, NAMES[2:4]), **second))
    assert one is not other
    assert [documents(one), documents(other)] == [NAMES[:2], NAMES[2:4]]


async def test_a_run_that_used_half_of_its_budget_takes_in_no_more(tmp_path: Path) -> None:
    world = World(dict.fromkeys(NAMES, GOOD))
    chosen = plan(limits=RunLimits(run=Budget(tokens=400)))
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            first = await coordinator.submit(batch(tmp_path, NAMES[:1], LONG, chosen=chosen))
            await served.until(lambda: first.counts() == {"done": 1})
            second = await coordinator.submit(batch(tmp_path, NAMES[1:2], LONG, chosen=chosen))
            assert second is first
            await served.until(lambda: first.counts() == {"done": 2})
            third = await coordinator.submit(batch(tmp_path, NAMES[2:3], LONG, chosen=chosen))
    assert third is not first


async def test_policy_bounds_how_large_a_run_may_grow(tmp_path: Path) -> None:
    world = Holding()

    async def require(action: Action, *, run: str, agent: str) -> str:
        if action.kind is ActionKind.START_RUN and action.count > 3:
            raise PolicyDeniedError("Too many.", rule="runs.max_documents")
        return "test.rule"

    world.require = require  # type: ignore[method-assign]
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            first = await coordinator.submit(batch(tmp_path, NAMES[:2]))
            assert await coordinator.submit(batch(tmp_path, NAMES[2:3])) is first
            second = await coordinator.submit(batch(tmp_path, NAMES[3:4]))
            assert await coordinator.submit(batch(tmp_path, NAMES[4:5])) is second
    assert [len(documents(run)) for run in (first, second)] == [3, 2]


@pytest.mark.parametrize("stop", [Coordinator.pause, Coordinator.cancel])
async def test_nothing_joins_a_run_that_a_person_stopped_or_resumed(
    stop: Any, tmp_path: Path
) -> None:
    world = Holding()
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            first = await coordinator.submit(batch(tmp_path, NAMES[:1]))
            await stop(coordinator, first.id)
            second = await coordinator.submit(batch(tmp_path, NAMES[1:2]))
            await coordinator.cancel(second.id)
            await coordinator.resume(first.id)
            third = await coordinator.submit(batch(tmp_path, NAMES[2:3]))
            world.let_go()
            await served.rest(first)
            await served.rest(third)
    assert [documents(run) for run in (first, second, third)] == [[name] for name in NAMES[:3]]


async def test_a_join_under_way_is_journaled_before_the_run_comes_to_rest(tmp_path: Path) -> None:
    world = Holding()
    asked = anyio.Event()
    answer = anyio.Event()

    async def require(action: Action, *, run: str, agent: str) -> str:
        if action.kind is ActionKind.START_RUN:
            asked.set()
            await answer.wait()
        return "test.rule"

    world.require = require  # type: ignore[method-assign]
    found: list[RunRecord] = []
    with open_journal(tmp_path) as journal:
        async with Served(world, journal).running() as coordinator:
            first = await coordinator.submit(batch(tmp_path, NAMES[:1]))

            async def join() -> None:
                found.append(await coordinator.submit(batch(tmp_path, NAMES[1:2])))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(join)
                await asked.wait()
                tasks.start_soon(coordinator.cancel, first.id)
                await anyio.wait_all_tasks_blocked()
                answer.set()
    # It was not swallowed by the run that was being cancelled.
    assert first.state is RunState.CANCELLED
    assert [documents(first), documents(found[0])] == [NAMES[:1], NAMES[1:2]]


async def test_a_restart_goes_on_gathering_but_not_once_a_result_was_begun(tmp_path: Path) -> None:
    world = Holding()
    with open_journal(tmp_path) as journal:
        async with Served(world, journal).running() as coordinator:
            await coordinator.submit(batch(tmp_path, NAMES[:1]))
    world.let_go()

    def kill(name: str) -> None:
        if name == "publish":
            raise SimulatedKillError(name)

    world.on_effect = kill
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)

        async def until_killed() -> None:
            async with served.running() as coordinator:
                (record,) = coordinator.records.values()
                assert await coordinator.submit(batch(tmp_path, NAMES[1:2])) is record
                await served.rest(record)

        with pytest.raises(BaseExceptionGroup):
            await until_killed()
    world.on_effect = lambda _name: None
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            first = coordinator.record("run1")
            second = await coordinator.submit(batch(tmp_path, NAMES[2:3]))
            await served.rest(first)
            await served.rest(second)
    assert [documents(first), documents(second)] == [NAMES[:2], NAMES[2:3]]
    assert len(world.published) == 2


@pytest.mark.parametrize("seed", range(6))
async def test_kills_lose_no_file_and_do_none_twice(seed: int, tmp_path: Path) -> None:
    world = World(dict.fromkeys(NAMES, GOOD))
    chance = random.Random(seed)
    wanted = [batch(tmp_path, [name], 0.05) for name in NAMES]
    for _ in itertools.count():
        lives = itertools.count(chance.randrange(1, 9), -1)

        def maybe_kill(name: str, lives: itertools.count[int] = lives) -> None:
            if next(lives) <= 0:
                raise SimulatedKillError(name)

        world.on_effect = maybe_kill
        with open_journal(tmp_path) as journal:
            served = Served(world, journal)
            try:
                async with served.running() as coordinator:
                    runs = {id(run): run for run in [await coordinator.submit(b) for b in wanted]}
                    for run in runs.values():
                        await served.rest(run)
                    break
            except BaseExceptionGroup as group:
                _, other = group.split(SimulatedKillError)
                assert other is None, other
    assert sorted(name for run in runs.values() for name in documents(run)) == NAMES
    assert all(run.counts() == {"done": len(run.agents)} for run in runs.values())
    assert len(world.published) == len(runs) == len(set(world.published))
    with open_journal(tmp_path) as journal:
        assert twice(journal.events()) == []


def twice(events: Iterable[Any]) -> list[tuple[str, str]]:
    """Steps that were done more than once."""
    done = [(e.run + e.agent, e.payload["key"]) for e in events if e.kind == Kind.STEP_DONE]
    return [step for step in set(done) if done.count(step) > 1]


async def test_a_replay_of_a_run_that_was_joined_is_identical(tmp_path: Path) -> None:
    world = Holding()
    with open_journal(tmp_path) as journal:
        served = Served(world, journal, publisher=ReportPublisher())
        async with served.running() as coordinator:
            record = await coordinator.submit(batch(tmp_path, NAMES[:2]))
            for name in NAMES[2:6]:
                assert await coordinator.submit(batch(tmp_path, [name])) is record
            world.let_go()
            await served.rest(record)
        recording = record_run(journal, record)
    result = await replay(recording, publisher=ReportPublisher())
    assert result.identical
    assert not result.missing
    assert not result.changed
