"""Budgets of a run and of its agents: each stops with a reason, and what was done is delivered."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.domain.budgets import Budget, RunLimits, Spent
from hivekeep.domain.errors import BudgetError
from hivekeep.domain.fields import PlanKind
from hivekeep.domain.inference import FinishEvent, GenerateRequest
from hivekeep.domain.runs import AgentRole, AgentState, RunState
from hivekeep.journal import Event, encode
from hivekeep.swarm.events import Kind, RunRecord, apply, create
from hivekeep.swarm.spending import Spending
from tests.swarm.scripted import World, plan, request
from tests.swarm.served import GOOD, finish

pytestmark = pytest.mark.anyio
USAGE = 105
"""Tokens that the scripted model says a call took."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Silent(World):
    """A world whose model answers no question about ``silent`` documents."""

    silent: tuple[str, ...] = ()
    cancelled = 0

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """Completer."""
        if request.agent.endswith(self.silent):
            try:
                await anyio.sleep_forever()
            finally:
                self.cancelled += 1
        return await super().complete(request)


def worker(record: RunRecord) -> Any:
    (found,) = (a for a in record.agents.values() if a.role is AgentRole.TASK)
    return found


def asked(folder: Path, limits: RunLimits) -> Any:
    chosen = plan(kind=PlanKind.ASK, fields=(), recipe="ask", limits=limits)
    return request(folder, ["a"], chosen, goal="Do it.", show_plan=False)


def wants(*calls: str) -> Any:
    """A planner with one worker, which makes ``calls`` in turn."""
    made = {
        "read": None,
        "then": [{"do": "agent", "goal": "Work.", "tools": ["write_file", "calculate"],
                  "outputs": [{"name": "note", "type": "prose", "about": "note"}]}],
    }  # fmt: skip

    def say(asked: GenerateRequest) -> str:
        key = asked.id.rpartition("/")[2]
        if key.startswith("generate:plan"):
            return json.dumps(made)
        return calls[min(int(key.partition(":")[2]), len(calls) - 1)]

    return say


def call(tool: str, **arguments: Any) -> str:
    return json.dumps({"thought": "", "call": {"tool": tool, "arguments": arguments}})


WRITES = [call("write_file", name=f"n{n}.txt", content="hello") for n in range(6)]


@pytest.mark.parametrize(
    ("budget", "reason", "files"),
    [
        (Budget(tool_calls=2), "tool_calls", 2),
        (Budget(bytes_written=12), "bytes_written", 2),
        (Budget(bytes_written=4), "bytes_written", 0),
        (Budget(tokens=USAGE * 3), "tokens", 3),
    ],
)
@pytest.mark.parametrize("whose", ["run", "sub_agent"])
async def test_an_agent_is_stopped_by_each_resource_of_itself_and_of_its_run(
    whose: str, budget: Budget, reason: str, files: int, tmp_path: Path
) -> None:
    world = World({"a": GOOD})
    world.say = wants(*WRITES)
    own = RunLimits(run=budget) if whose == "run" else RunLimits(agent=budget)
    record, _ = await finish(tmp_path, world, asked(tmp_path, own))
    failure = worker(record).failure
    assert failure is not None
    assert failure.reason == f"{whose}_{reason}"
    assert "Raise them" in failure.next_step
    written = await anyio.to_thread.run_sync(lambda: len(list(tmp_path.glob("n*.txt"))))
    # The run's planner has taken tokens as well.
    assert written in (files, files - 1 if whose == "run" else files)
    assert record.state is RunState.FINISHED
    assert world.published
    if reason == "bytes_written":
        # What would go over the bound is not written at all.
        assert record.spent.bytes_written <= (budget.bytes_written or 0)


async def test_who_has_no_calls_left_may_still_finish(tmp_path: Path) -> None:
    world = World({"a": GOOD})
    world.say = wants(WRITES[0], call("finish", note="done"))
    record, _ = await finish(
        tmp_path, world, asked(tmp_path, RunLimits(agent=Budget(tool_calls=1)))
    )
    assert worker(record).state is AgentState.DONE


async def test_an_agents_steps_hold(tmp_path: Path) -> None:
    world = World({"a": GOOD})
    world.say = wants(*WRITES)
    record, _ = await finish(tmp_path, world, asked(tmp_path, RunLimits(agent=Budget(steps=4))))
    assert worker(record).failure.reason == "sub_agent_steps"
    assert worker(record).spent.steps == 4


@pytest.mark.parametrize("tokens", [USAGE * 4, USAGE * 4 + 1, USAGE * 7])
async def test_tokens_hold_to_within_one_call_however_many_agents_ask_at_once(
    tokens: int, tmp_path: Path
) -> None:
    names = [f"{n}" for n in range(12)]
    world = World(dict.fromkeys(names, GOOD), answer_delay=0.001)
    chosen = plan(limits=RunLimits(run=Budget(tokens=tokens)), max_tokens=200)
    record, _ = await finish(tmp_path, world, request(tmp_path, names, chosen))
    assert tokens <= record.spent.tokens < tokens + USAGE
    failed = [agent for agent in record.agents.values() if agent.failure]
    assert {agent.failure.reason for agent in failed if agent.failure} == {"run_tokens"}
    assert len(failed) == len(names) - -(-tokens // USAGE)
    assert record.state is RunState.FINISHED


async def test_a_call_that_never_ends_is_cut_when_the_agents_time_is_over(tmp_path: Path) -> None:
    world = Silent({"a": GOOD, "b": GOOD})
    world.silent = ("0002",)
    chosen = plan(limits=RunLimits(agent=Budget(seconds=0.3)))
    record, _ = await finish(
        tmp_path, world, request(tmp_path, ["a", "b"], chosen), monotonic=time.monotonic
    )
    good, cut = record.agents.values()
    assert cut.failure is not None
    assert cut.failure.reason == "sub_agent_seconds"
    assert world.cancelled == 1
    assert good.state is AgentState.DONE or (
        good.failure is not None and good.failure.reason == "sub_agent_seconds"
    )
    assert record.state is RunState.FINISHED


async def test_a_run_ends_when_its_time_is_over_and_delivers_what_it_has(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    world = Silent(dict.fromkeys(names, GOOD))
    world.silent = ("0001", "0002", "0003")
    chosen = plan(limits=RunLimits(run=Budget(seconds=0.3)))
    record, _ = await finish(
        tmp_path, world, request(tmp_path, names, chosen), monotonic=time.monotonic
    )
    reasons = {agent.failure.reason for agent in record.agents.values() if agent.failure}
    assert reasons == {"run_seconds"}
    assert record.state is RunState.FINISHED
    assert world.published


def lived(seconds: float) -> RunRecord:
    """A run that was under way for so long, by its journal."""
    chosen = plan(limits=RunLimits(run=Budget(seconds=60)))
    asked = request(Path("/out"), ["a"], chosen)
    record = create(Event(1, "r", "", Kind.RUN_CREATED, 0.0, {"request": encode(asked)}))
    payload = {"key": "x", "kind": "check", "result": {}, "seconds": 1.0, "elapsed": seconds}
    apply(record, Event(2, "r", "r.0001", Kind.STEP_DONE, 0.0, payload))
    return record


async def test_a_runs_time_counts_over_all_its_lives() -> None:
    now = [1_000.0]
    spending = Spending(lived(50.0), Budget(), lambda: now[0])
    agent = spending._record.agents["r.0001"]
    now[0] += 9.9
    await spending.admit("r.0001", agent, Spent())
    now[0] += 0.2
    with pytest.raises(BudgetError, match="seconds"):
        await spending.admit("r.0001", agent, Spent())


amounts = st.builds(Spent, *(st.integers(0, 50) for _ in range(5)))


@given(amounts, amounts, amounts)
def test_what_was_used_adds_up(one: Spent, two: Spent, three: Spent) -> None:
    assert one + two - two == one
    assert (one + two) + three == one + (two + three)
