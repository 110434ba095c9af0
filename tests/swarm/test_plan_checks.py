"""A plan is checked before it is accepted, and checking changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hivekeep.daemon.profile import Profile
from hivekeep.daemon.run_verbs import RunVerbs
from hivekeep.domain.errors import UsageError
from hivekeep.domain.runs import RunState
from hivekeep.swarm.asking import planning_specs, planning_tools
from hivekeep.swarm.planning import graph_yaml
from hivekeep.tools import standard_registry
from tests.swarm.scripted import World
from tests.swarm.served import Served, open_journal
from tests.swarm.test_asking import ADD, READ, TEXTS, Model, asked, call

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def never(*_: object, **__: object) -> None:
    raise AssertionError("nothing is started here")


async def test_a_changed_plan_is_checked_without_starting_anything(tmp_path: Path) -> None:
    world = World(dict(TEXTS))
    world.say = Model([READ, ADD], call("finish", sum="10.00"))
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            verbs = RunVerbs(coordinator, Profile(tmp_path), journal, never)
            record = await coordinator.submit(asked(tmp_path, ["a", "b"], show_plan=True))
            await served.rest(record)
            assert record.graph is not None
            events = len(list(journal.events()))

            proposed = verbs.check_plan(record.id, "")
            assert (proposed["ok"], proposed["yaml"]) == (True, graph_yaml(record.graph))
            tasks = proposed["tasks"]
            as_json = verbs.check_plan(record.id, json.dumps({"tasks": tasks}))
            assert as_json["ok"]
            assert [t["id"] for t in as_json["tasks"]] == [t.id for t in record.graph.tasks]

            tasks[0]["outputs"] += [{"name": ""}, tasks[0]["outputs"][0]]
            tasks[1]["goal"] = " "
            tasks[1]["tools"] = ["rm"]
            refused = verbs.check_plan(record.id, json.dumps({"tasks": tasks}))
            assert not refused["ok"]
            parts = refused["problem"]["said"]["why"]["parts"]
            assert [part["id"] for part in parts] == [
                "plan.no_name", "plan.name_twice", "plan.no_goal", "plan.no_tool"
            ]  # fmt: skip
            assert not verbs.check_plan(record.id, "tasks: [")["ok"]

            assert len(list(journal.events())) == events
            assert record.state is RunState.PAUSED
            await coordinator.accept_plan(record.id)
            await served.rest(record)
            with pytest.raises(UsageError, match="does not wait"):
                coordinator.check_plan(record.id)


def test_every_tool_of_a_plan_is_described() -> None:
    specs = planning_specs(standard_registry())
    assert [spec.name for spec in specs] == list(planning_tools(standard_registry()))
    assert {"aggregate", "delegate", "calculate"} <= {spec.name for spec in specs}
    assert all(spec.description for spec in specs)
