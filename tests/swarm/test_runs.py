"""What can be done with a run: pausing, limits, running anew, quarantine, progress, replay."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.deliverables import ReportPublisher
from hivekeep.domain.budgets import RESOURCES, Budget, RunLimits, Spent
from hivekeep.domain.errors import NotFoundError, UsageError
from hivekeep.domain.fields import FieldSpec, FieldType, PlanKind, SecondLook, Vote
from hivekeep.domain.runs import AgentRole, AgentState, RunState
from hivekeep.swarm.events import fold
from hivekeep.swarm.ports import Limits
from hivekeep.swarm.progress import estimate, time_left
from hivekeep.swarm.recording import load_recording, record_run, save_recording
from hivekeep.swarm.replay import replay
from hivekeep.swarm.requests import parted, require_within
from tests.swarm.scripted import World, plan, request
from tests.swarm.served import GOOD, Served, finish, open_journal, survive

pytestmark = pytest.mark.anyio


PROSE = FieldSpec("summary", FieldType.PROSE, "Summary", grounded=False, max_length=600)


def summaries() -> Any:
    return plan(kind=PlanKind.SUMMARIZE, fields=(PROSE,), overview=True, context_tokens=900)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_paused_run_rests_over_a_restart_and_goes_on(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(12)]
    world = World(dict.fromkeys(names, GOOD), answer_delay=0.01)
    with open_journal(tmp_path) as journal:
        served = Served(world, journal, limits=Limits(agents=2))
        async with served.running() as coordinator:
            record = await coordinator.submit(request(tmp_path, names))
            await served.until(lambda: record.counts().get("done", 0) >= 3)
            await coordinator.pause(record.id)
            assert record.state is RunState.PAUSED
            with pytest.raises(UsageError, match="not under way"):
                await coordinator.pause(record.id)
    done = {a.id for a in record.agents.values() if a.state is AgentState.DONE}
    calls = world.done.total()
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            record = coordinator.record(record.id)
            assert record.state is RunState.PAUSED
            assert not coordinator.busy
            assert world.done.total() == calls
            await coordinator.resume(record.id)
            await served.rest(record)
    assert record.counts() == {"done": 12}
    assert all(world.done[f"generate {agent}/generate:0"] == 1 for agent in done)


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (RunLimits(agents=301), "sub-agents at once"),
        (RunLimits(run=Budget(steps=5000)), "5000 steps"),
        (RunLimits(depth=9), "levels"),
        (RunLimits(run=Budget(steps=6)), "up to"),
    ],
)
async def test_a_request_over_a_limit_is_refused_before_it_starts(
    limits: RunLimits, word: str, tmp_path: Path
) -> None:
    world = World({"a": GOOD})
    with open_journal(tmp_path) as journal:
        async with Served(world, journal).running() as coordinator:
            with pytest.raises(UsageError, match=word):
                await coordinator.submit(request(tmp_path, ["a"], plan(limits=limits)))
            assert not coordinator.records
    assert not world.done


@pytest.mark.parametrize("chosen", [plan(), plan(vote=Vote(5)), summaries()])
@pytest.mark.parametrize("steps", [30, 50, 4000])
def test_as_many_documents_as_are_named_fit_and_not_one_more(chosen: Any, steps: int) -> None:
    limits = Limits(steps=steps)
    everything = request(Path("/out"), [f"f{n}" for n in range(900)], chosen)
    most = len(parted(everything, limits)[0].inputs)
    for count in (most, most + 1):
        asked = replace(everything, inputs=everything.inputs[:count])
        if count <= most < 900:
            require_within(asked, limits)
        else:
            with pytest.raises(UsageError, match="documents at a time"):
                require_within(asked, limits)


async def test_recipes_may_want_fewer_agents_alive(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(12)]
    world = World(dict.fromkeys(names, GOOD), answer_delay=0.001)
    chosen = plan(limits=RunLimits(agents=2))
    await finish(tmp_path, world, request(tmp_path, names, chosen))
    assert world.most_live <= 2


async def test_a_run_that_used_up_its_budget_delivers_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    names = [f"f{number}" for number in range(6)]
    world = World(dict.fromkeys(names, GOOD))
    chosen = plan(limits=RunLimits(run=Budget(tokens=250)))
    record, _ = await finish(
        tmp_path, world, request(tmp_path, names, chosen), limits=Limits(agents=1)
    )
    assert record.state is RunState.FINISHED
    assert record.counts() == {"done": 2, "failed": 4} or record.counts()["failed"] >= 3
    reasons = {a.failure.reason for a in record.agents.values() if a.failure}
    assert reasons == {"run_tokens"}
    assert len(world.published) == 1


async def test_a_rerun_keeps_what_did_not_change(tmp_path: Path) -> None:
    world = World({"a": GOOD, "b": GOOD})
    first = request(tmp_path, ["a", "b"])
    inputs = tuple(replace(s, sha256=f"{n}" * 64) for n, s in enumerate(first.inputs, start=1))
    first = replace(first, inputs=inputs)
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            old = await coordinator.submit(first)
            await served.rest(old)
            same = await coordinator.submit(replace(first, previous=old.id))
            await served.rest(same)
            assert world.done["read a"] == 1
            assert len(world.requests) == 2
            # Another recipe asks other questions; another content has to be read.
            changed = replace(
                first, previous=old.id, plan=plan(instructions="Read well.", recipe_hash="cd" * 32),
                inputs=(inputs[0], replace(inputs[1], sha256="3" * 64)),
            )  # fmt: skip
            new = await coordinator.submit(changed)
            await served.rest(new)
    assert world.done["read a"] == 1
    assert world.done["read b"] == 2
    assert len(world.requests) == 4
    assert new.counts() == same.counts() == {"done": 2}
    assert same.usage.prompt == 0


async def test_a_document_that_kills_its_reader_twice_is_not_opened_again(tmp_path: Path) -> None:
    world = World({"poison": GOOD, "good": GOOD}, crash_reader=Counter(poison=9))
    chosen = request(tmp_path, ["poison", "good"])
    chosen = replace(chosen, inputs=(replace(chosen.inputs[0], sha256="ee" * 32), chosen.inputs[1]))
    record, _ = await finish(tmp_path, world, chosen)
    assert record.counts() == {"failed": 1, "done": 1}
    failure = record.agents["run1.0001"].failure
    assert failure is not None
    assert failure.reason == "quarantined"
    assert world.done["read poison"] == 2
    with open_journal(tmp_path) as journal:  # remembered by another process, for another run
        served = Served(world, journal)
        async with served.running() as coordinator:
            await coordinator.resume(record.id, retry_failed=True)
            await served.rest(coordinator.record(record.id))
            assert world.done["read poison"] == 2
            with pytest.raises(NotFoundError):
                await coordinator.quarantine.release("ab")
            await coordinator.quarantine.release("eeee")
            world.crash_reader.clear()
            await coordinator.resume(record.id, retry_failed=True)
            await served.rest(coordinator.record(record.id))
            assert coordinator.record(record.id).counts() == {"done": 2}


async def test_a_reader_that_died_once_is_tried_again(tmp_path: Path) -> None:
    world = World({"a": GOOD}, crash_reader=Counter(a=1))
    record, coordinator = await finish(tmp_path, world, request(tmp_path, ["a"]))
    assert record.counts() == {"done": 1}
    assert not coordinator.quarantine.held


async def test_retrying_asks_a_model_again_that_answered_nonsense(tmp_path: Path) -> None:
    world = World({"a": GOOD}, answers={"0001": "fail"})
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            record = await coordinator.submit(request(tmp_path, ["a"]))
            await served.rest(record)
            assert record.counts() == {"failed": 1}
            world.answers.clear()
            await coordinator.resume(record.id, retry_failed=True)
            await served.rest(record)
            assert record.counts() == {"done": 1}
            assert fold(list(journal.events()))[record.id] == record
    assert world.done["read a"] == 1


def speak(asked: Any) -> str:
    text = asked.messages[-1].content
    if "generate:reduce" in asked.id:
        return '{"sentences":[{"text":"The rent of 900 is due monthly.","from":[1,2]}]}'
    month = next((word for word in text.split() if word.startswith("month")), "month0")
    return f'{{"summary":"The rent of 900 is due in {month} every year."}}'


async def test_an_overview_keeps_the_sources_of_every_sentence(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(30)]
    world = World({n: f"The rent is 900, due in month{n} every year." for n in names}, say=speak)
    record, _ = await finish(
        tmp_path, world, request(tmp_path, names, summaries()), publisher=ReportPublisher()
    )
    step = record.steps["overview"]
    assert step.result is not None
    (statement,) = step.result["statements"]
    assert 1 <= len(statement["sources"]) <= 12
    for source in statement["sources"]:
        assert source["path"].startswith("/inbox/f")
        assert source["evidence"][0]["quote"].startswith("The rent is 900")
    levels = {a.id.split(".r")[1][0] for a in record.agents.values() if a.role is AgentRole.REDUCER}
    assert len(levels) > 1  # the tree has more than one level because the prompt is small
    markdown = next(p for p in record.deliverables if p.endswith(".md"))
    written = Path(markdown).read_text()  # noqa: ASYNC240 - a test may block
    assert "## Overview" in written
    assert "1. f0 p. 1" in written


@pytest.mark.parametrize("seed", range(3))
async def test_overviews_votes_and_second_looks_survive_kills(seed: int, tmp_path: Path) -> None:
    for number, chosen in enumerate((summaries(), plan(vote=Vote(3), second_look=SecondLook()))):
        folder = tmp_path / str(number)
        folder.mkdir()
        names = [f"f{n}" for n in range(5)]
        text = "The rent is 900, due in monthx every year." if number == 0 else GOOD
        world = World(dict.fromkeys(names, text))
        if number == 0:
            world.say = speak
        record, _ = await survive(folder, world, request(folder, names, chosen), seed)
        assert record.counts() == {"done": 5}
        assert len(world.published) == 1


async def test_a_recording_is_replayed_and_tells_what_changed(tmp_path: Path) -> None:
    world = World({"a": GOOD, "b": "broken", "c": GOOD}, answers={"0003": "fail"})
    with open_journal(tmp_path) as journal:
        served = Served(world, journal, publisher=ReportPublisher())
        async with served.running() as coordinator:
            record = await coordinator.submit(request(tmp_path, ["a", "b", "c"]))
            await served.rest(record)
        recording = record_run(journal, record)
    path = tmp_path / "run.jsonl.gz"
    save_recording(recording, path)
    first = path.read_bytes()
    save_recording(load_recording(path), path)
    assert path.read_bytes() == first
    result = await replay(load_recording(path), publisher=ReportPublisher())
    assert result.identical, result
    wrong = replace(recording, expected={".json": "00", ".xlsx": recording.expected[".xlsx"]})
    result = await replay(wrong, publisher=ReportPublisher())
    assert not result.identical
    assert [file.same for file in result.files] == [False, True]
    # A question that is not the recorded one is named.
    created = recording.events[0].payload
    created["request"]["plan"]["instructions"] = "Something else."
    result = await replay(recording, publisher=ReportPublisher())
    assert result.changed
    path.write_bytes(b"nonsense")
    with pytest.raises(UsageError, match="not a recording"):
        load_recording(path)


@given(st.lists(st.floats(0, 1e6), max_size=80), st.integers(0, 500), st.floats(0, 1e6))
def test_an_estimate_always_lies_within_its_own_bounds(
    ends: list[float], waiting: int, more: float
) -> None:
    left = estimate(ends, waiting, 0.0, max(ends, default=0.0) + more)
    if len(ends) < 2 or waiting == 0:
        assert left is None
    else:
        assert left is not None
        assert 0 <= left.low <= left.seconds <= left.high


def test_an_even_pace_leaves_no_doubt_and_an_uneven_one_does() -> None:
    even = estimate([10.0, 20.0, 30.0, 40.0], 6, 0.0, 40.0)
    assert even is not None
    assert (even.seconds, even.low, even.high) == (60.0, 60.0, 60.0)
    uneven = estimate([1.0, 20.0, 22.0, 40.0], 6, 0.0, 40.0)
    assert uneven is not None
    assert uneven.low < 50 < 70 < uneven.high


async def test_nothing_is_estimated_for_a_run_at_rest(tmp_path: Path) -> None:
    record, _ = await finish(tmp_path, World({"a": GOOD}), request(tmp_path, ["a"]))
    assert time_left(record, 1e12) is None


amounts = st.none() | st.integers(0, 20)
budgets = st.builds(Budget, *([amounts] * 5))
spendings = st.builds(Spent, *([st.integers(0, 20)] * 5))


@given(budgets, budgets, spendings, spendings)
def test_a_tighter_budget_refuses_whatever_either_refuses(
    one: Budget, two: Budget, spent: Spent, more: Spent
) -> None:
    both = one.within(two)
    assert bool(both.exhausted(spent)) == bool(one.exhausted(spent) or two.exhausted(spent))
    if both.exhausted(spent):
        assert both.exhausted(spent + more)  # what is used up stays used up
        assert both.exhausted(spent) in RESOURCES
