"""Runs of many agents: what is done, what fails alone, what survives a kill."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import anyio
import pytest

from hivekeep.daemon.changes import Changes
from hivekeep.domain.actions import ActionKind
from hivekeep.domain.errors import NotFoundError, UsageError
from hivekeep.domain.runs import AgentState, RunState
from hivekeep.domain.values import FieldValue, ValueStatus
from hivekeep.journal import KEY_BYTES, Journal
from hivekeep.swarm.coordinator import Coordinator
from hivekeep.swarm.events import RunRecord, fold
from hivekeep.swarm.ports import Limits
from tests.swarm.scripted import SimulatedKillError, World, plan, request
from tests.swarm.scripted import coordinator as scripted

pytestmark = pytest.mark.anyio
GOOD = "Number A-1\nTotal 10.00"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.db", key=bytes(KEY_BYTES), clock=time.time) as opened:
        yield opened


@asynccontextmanager
async def serving(chosen: Coordinator) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(chosen.serve)
        await anyio.wait_all_tasks_blocked()
        yield
        tasks.cancel_scope.cancel()


async def until(chosen: Coordinator, condition: Callable[[], bool]) -> None:
    """Wait for journaled events until ``condition`` holds."""
    with anyio.fail_after(30):
        while True:
            since = CHANGES[chosen].version
            if condition():
                return
            await CHANGES[chosen].wait(since, at_most=30)


async def ended(chosen: Coordinator, record: RunRecord) -> None:
    await until(chosen, lambda: record.state.ended)


CHANGES: WeakKeyDictionary[Coordinator, Changes] = WeakKeyDictionary()


def coordinator(world: World, journal: Journal, **more: Any) -> Coordinator:
    """A scripted coordinator whose events can be waited for."""
    changes = Changes()
    chosen = scripted(world, journal, observe=lambda _event: changes.notify(), **more)
    CHANGES[chosen] = changes
    return chosen


async def test_every_document_gives_a_result_or_a_reason(journal: Journal, tmp_path: Path) -> None:
    world = World({"a": GOOD, "b": "broken", "c": GOOD, "d": GOOD})
    world.answers = {"0003": "fail", "0004": '{"number":"A-1","total":"99.00"}'}
    chosen = coordinator(world, journal)
    async with serving(chosen):
        record = await chosen.submit(request(tmp_path, ["a", "b", "c", "d"]))
        await ended(chosen, record)
    states = [agent.state for agent in record.agents.values()]
    assert states == [AgentState.DONE, AgentState.FAILED, AgentState.FAILED, AgentState.DONE]
    first, broken, failed, wrong = record.agents.values()
    assert first.result is not None
    assert [v.status for v in first.result.values] == [ValueStatus.GROUNDED] * 2
    assert broken.failure is not None
    assert broken.failure.reason == "damaged"
    assert failed.failure is not None
    assert failed.failure.reason == "engine"
    assert wrong.result is not None
    total = wrong.result.get("total")
    assert isinstance(total, FieldValue)
    # The label beside the printed amount overrules what the model made up.
    assert (total.value, total.status) == ("10.00", ValueStatus.GROUNDED)
    assert record.state is RunState.FINISHED
    (path,) = record.deliverables
    text = await anyio.Path(path).read_text()
    assert text == '["done", "failed", "failed", "done"]'
    assert record.usage.prompt >= 200


async def test_at_most_the_allowed_agents_are_alive(journal: Journal, tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(40)]
    world = World(dict.fromkeys(names, GOOD), answer_delay=0.001)
    chosen = coordinator(world, journal, limits=Limits(agents=5))
    async with serving(chosen):
        record = await chosen.submit(request(tmp_path, names))
        await ended(chosen, record)
    assert record.counts() == {"done": 40}
    assert 1 < world.most_live <= 5


async def test_a_run_with_too_many_steps_is_refused(journal: Journal, tmp_path: Path) -> None:
    chosen = coordinator(World(), journal, limits=Limits(steps=50))
    async with serving(chosen):
        with pytest.raises(UsageError, match="steps"):
            await chosen.submit(request(tmp_path, ["x"] * 20))
        with pytest.raises(UsageError, match="nothing to do"):
            await chosen.submit(request(tmp_path, []))
    assert not chosen.records


async def test_cancel_keeps_results_and_resume_goes_on(journal: Journal, tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(20)]
    world = World(dict.fromkeys(names, GOOD), answer_delay=0.01)
    chosen = coordinator(world, journal, limits=Limits(agents=2))
    async with serving(chosen):
        record = await chosen.submit(request(tmp_path, names))
        await until(chosen, lambda: record.counts().get("done", 0) >= 4)
        await chosen.cancel(record.id)
        assert record.state.value == "cancelled"
        kept = [a.id for a in record.agents.values() if a.state is AgentState.DONE]
        assert kept
        with pytest.raises(UsageError, match="already ended"):
            await chosen.cancel(record.id)
        await chosen.resume(record.id)
        await ended(chosen, record)
    assert record.state is RunState.FINISHED
    assert record.counts() == {"done": 20}
    for agent in kept:
        assert world.done[f"generate {agent}/generate:0"] == 1


async def test_failed_documents_can_be_tried_again(journal: Journal, tmp_path: Path) -> None:
    world = World({"a": GOOD, "b": "broken"})
    chosen = coordinator(world, journal)
    async with serving(chosen):
        record = await chosen.submit(request(tmp_path, ["a", "b"]))
        await ended(chosen, record)
        with pytest.raises(UsageError, match="finished"):
            await chosen.resume(record.id)
        world.texts["b"] = GOOD
        await chosen.resume(record.id, retry_failed=True)
        await ended(chosen, record)
    assert record.counts() == {"done": 2}
    assert world.done["read a"] == 1
    assert world.done["read b"] == 2


async def test_what_policy_denies_is_a_reason_not_an_end(journal: Journal, tmp_path: Path) -> None:
    world = World({"a": GOOD}, denied={ActionKind.READ_FILE})
    chosen = coordinator(world, journal)
    async with serving(chosen):
        record = await chosen.submit(request(tmp_path, ["a"]))
        await ended(chosen, record)
        assert record.agents["run1.0001"].failure is not None
        assert record.agents["run1.0001"].failure.reason == "policy_denied"
        assert world.done["read a"] == 0
        world.denied = {ActionKind.WRITE_FILE}
        second = await chosen.submit(request(tmp_path, ["a"]))
        await ended(chosen, second)
    assert second.state is RunState.FAILED
    assert second.error is not None
    assert second.error["code"] == "policy_denied"
    assert not second.deliverables


async def test_one_batch_is_one_run(journal: Journal, tmp_path: Path) -> None:
    world = World({"a": GOOD})
    chosen = coordinator(world, journal)
    async with serving(chosen):
        first = await chosen.submit(request(tmp_path, ["a"], batch="b1"))
        again = await chosen.submit(request(tmp_path, ["a"], batch="b1"))
        assert first is again
        await ended(chosen, first)
    assert world.done["read a"] == 1


async def test_what_comes_while_nothing_is_served_is_done_later(
    journal: Journal, tmp_path: Path
) -> None:
    world = World({"a": GOOD, "b": GOOD})
    stopped = coordinator(world, journal)
    early = await stopped.submit(request(tmp_path, ["a"]))
    async with serving(stopped):
        await ended(stopped, early)
    late = await stopped.submit(request(tmp_path, ["b"]))
    assert late.state is RunState.PENDING
    following = coordinator(world, journal)
    async with serving(following):
        await ended(following, following.record(late.id))
    assert [world.done[f"read {name}"] for name in "ab"] == [1, 1]


async def test_runs_are_found_by_the_beginning_of_their_id(
    journal: Journal, tmp_path: Path
) -> None:
    chosen = coordinator(World({"a": GOOD}), journal)
    async with serving(chosen):
        record = await chosen.submit(request(tmp_path, ["a"]))
        await ended(chosen, record)
        assert chosen.record("ru") is record
        with pytest.raises(NotFoundError):
            chosen.record("x")
        with pytest.raises(NotFoundError):
            chosen.record("")


@pytest.mark.parametrize("seed", range(6))
async def test_a_kill_at_any_effect_loses_nothing_and_repeats_no_finished_step(
    seed: int, tmp_path: Path
) -> None:
    """Processes die at random effects until the run is through; the journal is all that stays."""
    names = [f"f{number}" for number in range(6)]
    world = World({**dict.fromkeys(names, GOOD), "f3": "broken"})
    generator = random.Random(seed)
    finished_before: set[str] = set()
    kills = 0
    for life in itertools.count():
        assert life < 60
        countdown = itertools.count(generator.randrange(1, 9), -1)

        def maybe_kill(name: str, countdown: itertools.count[int] = countdown) -> None:
            if next(countdown) <= 0:
                raise SimulatedKillError(name)

        world.on_effect = maybe_kill
        with Journal(tmp_path / "journal.db", key=bytes(KEY_BYTES), clock=time.time) as journal:
            chosen = coordinator(world, journal, limits=Limits(agents=3))
            try:
                async with serving(chosen):
                    if not chosen.records:
                        await chosen.submit(request(tmp_path, names))
                    await ended(chosen, chosen.record("run1"))
                    break
            except BaseExceptionGroup as group:
                killed, other = group.split(SimulatedKillError)
                assert killed is not None
                assert other is None
                kills += 1
            record = fold(list(journal.events()))["run1"]
            done = {
                f"{agent.id}/{key}"
                for agent in record.agents.values()
                for key, step in agent.steps.items()
                if step.done
            }
            assert finished_before <= done
            finished_before = done
    assert kills
    final = chosen.record("run1")
    assert final.state is RunState.FINISHED
    assert final.counts() == {"done": 5, "failed": 1}
    assert len(world.published) == 1
    for agent in final.agents.values():
        # Killed before its result was journaled a model call may be repeated, never after.
        for key, step in agent.steps.items():
            if key.startswith("generate"):
                assert world.done[f"generate {agent.id}/{key}"] <= step.intents


async def test_the_fold_of_the_journal_is_the_live_record(journal: Journal, tmp_path: Path) -> None:
    world = World({"a": GOOD, "b": "broken"})
    chosen = coordinator(world, journal)
    async with serving(chosen):
        record = await chosen.submit(request(tmp_path, ["a", "b"]))
        await ended(chosen, record)
    assert fold(list(journal.events()))["run1"] == record


async def test_a_document_that_labels_settle_needs_no_model(
    journal: Journal, tmp_path: Path
) -> None:
    world = World({"a": "Number: A-7\nTotal: 12.50 EUR"})
    chosen = coordinator(world, journal)
    wanted = request(tmp_path, ["a"], plan(labels_first=True))
    async with serving(chosen):
        record = await chosen.submit(wanted)
        await ended(chosen, record)
    (agent,) = record.agents.values()
    assert agent.result is not None
    assert [getattr(v, "value", None) for v in agent.result.values] == ["A-7", "12.50"]
    assert not any(name.startswith("generate") for name in world.done)


async def test_a_draft_model_answers_first_and_the_other_what_is_left(
    journal: Journal, tmp_path: Path
) -> None:
    world = World({"a": "Number: A-7\nTotal: 12.50 EUR"})
    world.answers = {"0001": '{"number":"A-7","total":"99.00"}'}
    chosen = coordinator(world, journal)
    wanted = request(tmp_path, ["a"], plan(draft_model="small"))
    async with serving(chosen):
        record = await chosen.submit(wanted)
        await ended(chosen, record)
    (agent,) = record.agents.values()
    assert [key for key in agent.steps if key.startswith("generate")][:2] == [
        "generate:0:draft", "generate:0",
    ]  # fmt: skip
