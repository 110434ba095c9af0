"""Free requests: the plan, its tasks, the loop of an agent with tools, and what survives a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import openpyxl
import pytest

from hivekeep.deliverables import ReportPublisher
from hivekeep.domain.actions import ActionKind, Label
from hivekeep.domain.budgets import Budget, RunLimits
from hivekeep.domain.errors import UsageError
from hivekeep.domain.fields import PlanKind
from hivekeep.domain.inference import GenerateRequest
from hivekeep.domain.runs import AgentRole, AgentState, RunState
from hivekeep.domain.values import FieldValue, ValueStatus
from hivekeep.swarm.events import RunRecord, RunRequest
from hivekeep.swarm.planning import graph_from_yaml, graph_yaml
from hivekeep.swarm.ports import Limits
from hivekeep.swarm.recording import read_recording, record_run
from hivekeep.swarm.replay import replay
from hivekeep.tools import Happened, ToolContext, ToolResult, ToolSpec, standard_registry
from hivekeep.tools.spec import Arguments, EffectClass
from tests.swarm.scripted import SimulatedKillError, World, plan, request
from tests.swarm.served import Served, finish, open_journal, survive

pytestmark = pytest.mark.anyio
TEXTS = {"a": "Invoice A-1\nTotal 10.00", "b": "Invoice B-2\nTotal 32.50", "c": "broken"}
TOTALS = {"a": "10.00", "b": "32.50"}
READ: dict[str, Any] = {
    "goal": "Read each invoice.",
    "values": [{"name": "total", "type": "amount", "about": "total"}],
}
ADD = {
    "do": "agent", "goal": "Add the totals.", "tools": ["calculate"],
    "outputs": [{"name": "sum", "type": "amount", "about": "the sum"}],
}  # fmt: skip


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def asked(folder: Path, names: list[str], **more: Any) -> RunRequest:
    chosen = plan(kind=PlanKind.ASK, fields=(), recipe="ask", **more.pop("plan", {}))
    return request(
        folder, names, chosen, **{"goal": "What is the sum?", "show_plan": False, **more}
    )


def call(tool: str, **arguments: Any) -> str:
    return json.dumps({"thought": "", "call": {"tool": tool, "arguments": arguments}})


class Model:
    """Plans what it is given, reads totals, and lets workers make the given calls in turn."""

    def __init__(self, plan: list[dict[str, Any]], *calls: str) -> None:
        self._plan = {"read": plan[0] if plan else None, "then": plan[1:]}
        self._calls = calls

    def __call__(self, asked: GenerateRequest) -> str | None:
        key = asked.id.rpartition("/")[2]
        if key.startswith("generate:plan"):
            return json.dumps(self._plan)
        if key.startswith("think:"):
            return self._calls[min(int(key.partition(":")[2]), len(self._calls) - 1)]
        text = asked.messages[-1].content
        return json.dumps({"total": "32.50" if "B-2" in text else "10.00"})


def worker(record: RunRecord) -> Any:
    (found,) = (a for a in record.agents.values() if a.role is AgentRole.TASK and not a.parent)
    return found


async def test_a_request_is_planned_and_its_tasks_follow_one_another(tmp_path: Path) -> None:
    world = World(dict(TEXTS))
    world.say = Model(
        [READ, ADD],
        call("aggregate", field="total", operation="sum"),
        call("finish", sum="42.50"),
    )
    record, _ = await finish(tmp_path, world, asked(tmp_path, ["a", "b", "c"]))
    assert record.state is RunState.FINISHED
    assert record.graph is not None
    assert [task.id for task in record.graph.tasks] == ["read", "agent"]
    states = [agent.state for agent in record.documents()]
    assert states == [AgentState.DONE, AgentState.DONE, AgentState.FAILED]
    total = worker(record).result.get("sum")
    assert (total.value, total.status) == ("42.50", ValueStatus.GROUNDED)
    # The worker was told what is missing, and so is whoever reads the result.
    assert "42.50 (2 values)" in worker(record).steps["tool:0"].result["text"]
    assert any("damaged" in step for step in world.requests[-1].messages[1].content.splitlines())


async def test_a_value_from_nowhere_is_for_a_person_to_review(tmp_path: Path) -> None:
    world = World(dict(TEXTS))
    world.say = Model([READ, ADD], call("finish", sum="99.99"))
    record, _ = await finish(tmp_path, world, asked(tmp_path, ["a", "b"]))
    total = worker(record).result.get("sum")
    assert isinstance(total, FieldValue)
    assert total.status is ValueStatus.NEEDS_REVIEW


async def test_a_plan_waits_for_a_person_who_may_change_it(tmp_path: Path) -> None:
    world = World(dict(TEXTS))
    world.say = Model([READ, ADD], call("finish", sum="10.00"))
    with open_journal(tmp_path) as journal:
        served = Served(world, journal)
        async with served.running() as coordinator:
            record = await coordinator.submit(asked(tmp_path, ["a", "b"], show_plan=True))
            await served.rest(record)
            assert (record.state, record.paused_for) == (RunState.PAUSED, "plan")
            assert world.done["read a"] == 0
            with pytest.raises(UsageError, match="waits for its plan"):
                await coordinator.resume(record.id)
    with open_journal(tmp_path) as journal:  # it waits over a restart, too
        served = Served(world, journal)
        async with served.running() as coordinator:
            record = coordinator.record(record.id)
            assert record.graph is not None
            text = graph_yaml(record.graph)
            other_tool = text.replace("calculate", "rm")
            no_task_before = text.replace("- read", "- nope")
            unknown = [f"{text}surprise: 1\n", text.replace("  goal:", "  aim: x\n  goal:", 1)]
            shapeless = ["{", "", "- x", "tasks", "tasks: x", "tasks: [x]", "tasks: [{id: x}]"]
            for wrong in (*shapeless, *unknown, other_tool, no_task_before):
                with pytest.raises(UsageError):
                    await coordinator.accept_plan(record.id, graph_from_yaml(wrong))
            edited = graph_from_yaml(text.replace("Add the totals.", "Add them all."))
            await coordinator.accept_plan(record.id, edited)
            await served.rest(record)
    assert record.state is RunState.FINISHED
    assert worker(record).title == "Add them all."


async def test_a_useless_plan_gives_way_to_the_simplest_one(tmp_path: Path) -> None:
    world = World(dict(TEXTS))
    world.say = Model([], call("finish", answer="Both are invoices about totals."))
    record, _ = await finish(tmp_path, world, asked(tmp_path, ["a", "b"]))
    assert record.graph is not None
    assert "no usable plan" in record.graph.note
    assert [task.id for task in record.graph.tasks] == ["read", "answer"]
    assert record.state is RunState.FINISHED
    planner = next(a for a in record.agents.values() if a.role is AgentRole.PLANNER)
    assert planner.state is AgentState.FAILED
    assert sum("plan" in r.id for r in world.requests) == 2  # it was given a second chance


async def test_an_agent_that_goes_in_a_circle_is_stopped_with_a_reason(tmp_path: Path) -> None:
    world = World(dict(TEXTS))
    world.say = Model([READ, ADD], call("calculate", expression="1+1"))
    record, _ = await finish(tmp_path, world, asked(tmp_path, ["a"]))
    failure = worker(record).failure
    assert failure.reason == "looping"
    assert "3 times" in failure.why
    # The second call was answered from the journal, the third stopped it.
    assert world.done["audit tool.call"] == 1
    assert record.state is RunState.FINISHED


async def test_an_agent_that_never_finishes_runs_out_of_turns(tmp_path: Path) -> None:
    world = World(dict(TEXTS))
    world.say = Model([READ, ADD], *(call("calculate", expression=f"1+{n}") for n in range(20)))
    record, _ = await finish(tmp_path, world, asked(tmp_path, ["a"]))
    assert worker(record).failure.reason == "turns"


async def test_budgets_of_tool_calls_and_bytes_stop_an_agent(tmp_path: Path) -> None:
    write = {**ADD, "tools": ["write_file"]}
    for budget, reason in (
        (Budget(tool_calls=2), "sub_agent_tool_calls"),
        (Budget(bytes_written=5), "sub_agent_bytes_written"),
        (Budget(tokens=300), "sub_agent_tokens"),
        (Budget(steps=3), "sub_agent_steps"),
    ):
        folder = tmp_path / reason
        folder.mkdir()
        world = World(dict(TEXTS))
        world.say = Model(
            [READ, write],
            *(call("write_file", name=f"n{n}.txt", content="hello") for n in range(9)),
        )
        limits = RunLimits(agent=budget)
        record, _ = await finish(folder, world, asked(folder, ["a"], plan={"limits": limits}))
        assert worker(record).failure.reason == reason
        assert record.state is RunState.FINISHED


async def test_what_policy_denies_is_told_to_the_agent(tmp_path: Path) -> None:
    world = World(dict(TEXTS), denied={ActionKind.USE_TOOL})
    world.say = Model([READ, ADD], call("calculate", expression="1"), call("finish", sum=None))
    record, _ = await finish(tmp_path, world, asked(tmp_path, ["a"]))
    assert worker(record).steps["tool:0"].result["error"] == "policy_denied"
    assert worker(record).state is AgentState.DONE


async def test_tools_that_were_not_given_cannot_be_called(tmp_path: Path) -> None:
    world = World(dict(TEXTS))
    world.say = Model(
        [READ, ADD], call("write_file", name="x", content="y"), call("finish", sum=None)
    )
    record, _ = await finish(tmp_path, world, asked(tmp_path, ["a"]))
    assert worker(record).steps["tool:0"].result["error"] == "policy_denied"
    assert not list(await anyio.to_thread.run_sync(lambda: list(tmp_path.glob("x*"))))


async def test_agents_start_others_within_depth_and_rights(tmp_path: Path) -> None:
    task = {**ADD, "tools": ["delegate"]}
    errand = call("delegate", goal="read the total", files=["a", "b"], outputs=["total"])
    for depth, expected in ((3, 2), (1, 0)):
        folder = tmp_path / str(depth)
        folder.mkdir()
        world = World(dict(TEXTS))
        world.say = Model([READ, task], errand, call("finish", sum="32.50"))
        record, _ = await finish(
            folder, world, asked(folder, ["a", "b"]), limits=Limits(agents=1, depth=depth)
        )
        children = [a for a in record.agents.values() if a.parent]
        assert len(children) == expected
        assert {child.depth for child in children} <= {2}
        assert all(child.state is AgentState.DONE for child in children)
        # With a single place for live agents a parent has to lend its own.
        assert record.state is RunState.FINISHED
        assert worker(record).state is AgentState.DONE
        if not expected:
            assert "may not start others" in worker(record).steps["tool:0"].result["text"]


@pytest.mark.parametrize("seed", range(5))
async def test_a_kill_at_any_effect_of_a_request_repeats_no_side_effect(
    seed: int, tmp_path: Path
) -> None:
    world = World({**TEXTS, "d": "Invoice D\nTotal 10.00"})
    write = {**ADD, "tools": ["write_file", "delegate", "search_documents"]}
    world.say = Model(
        [READ, write],
        call("search_documents", query="invoice"),
        call("write_file", name="note.txt", content="the sum is 52.50"),
        call("delegate", goal="read the total", files=["a", "d"], outputs=["total"]),
        call("finish", sum="52.50"),
    )
    out = tmp_path / "out"
    out.mkdir()
    record, _ = await survive(tmp_path, world, asked(out, ["a", "b", "c", "d"]), seed)
    assert record.state is RunState.FINISHED
    assert worker(record).state is AgentState.DONE
    names = await anyio.to_thread.run_sync(lambda: sorted(p.name for p in out.glob("note*")))
    assert names == ["note.txt"]
    assert len(world.published) == 1
    assert len([a for a in record.agents.values() if a.parent]) == 2


class Sent(Arguments):
    """Nothing."""


class Letter:
    """Sends something and cannot tell afterwards whether it did."""

    spec = ToolSpec("send", "sends", Sent, EffectClass.OUTSIDE, Label.TRUSTED)

    def __init__(self) -> None:
        self.sent = 0
        self.dies = True

    async def prepare(self, arguments: Sent, context: ToolContext) -> dict[str, Any]:
        return {"key": context.key}

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:
        self.sent += 1
        if self.dies:
            self.dies = False
            raise SimulatedKillError("with the letter in the post")
        return ToolResult({"key": prepared["key"]}, "sent")

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:
        return Happened.UNKNOWN


@pytest.mark.parametrize(("happened", "sent"), [(True, 1), (False, 2)])
async def test_a_step_in_doubt_waits_for_a_person(
    happened: bool, sent: int, tmp_path: Path
) -> None:
    letter = Letter()
    tools = standard_registry().with_tools(letter)
    world = World(dict(TEXTS))
    world.say = Model([READ, {**ADD, "tools": ["send"]}], call("send"), call("finish", sum=None))
    with pytest.raises(BaseExceptionGroup):
        await finish(tmp_path, world, asked(tmp_path, ["a"]), tools=tools)
    with open_journal(tmp_path) as journal:
        served = Served(world, journal, tools=tools)
        async with served.running() as coordinator:
            (record,) = coordinator.records.values()
            await served.rest(record)
            assert worker(record).failure.reason == "in_doubt"
            ((agent, step),) = record.doubts()
            assert letter.sent == 1
            # Trying again does not settle it: only a person can.
            await coordinator.resume(record.id, retry_failed=True)
            await served.rest(record)
            assert worker(record).failure.reason == "in_doubt"
            assert letter.sent == 1
            await coordinator.resolve(record.id, agent, step.key, happened=happened)
            await served.rest(record)
    assert letter.sent == sent
    assert worker(record).state is AgentState.DONE
    assert not record.doubts()


async def test_a_request_is_replayed_to_the_same_deliverable(tmp_path: Path) -> None:
    world = World(dict(TEXTS))
    write = {**ADD, "tools": ["write_file", "delegate"]}
    world.say = Model(
        [READ, write],
        call("aggregate", field="total", operation="max"),
        call("write_file", name="x.txt", content="z"),
        call("read_document", file="a"),
        call("delegate", goal="read the total", files=["a"], outputs=["total"]),
        call("finish", sum="32.50"),
    )
    with open_journal(tmp_path) as journal:
        served = Served(world, journal, publisher=ReportPublisher())
        async with served.running() as coordinator:
            record = await coordinator.submit(asked(tmp_path, ["a", "b", "c"], show_plan=True))
            await served.rest(record)
            await coordinator.accept_plan(record.id)
            await served.rest(record)
        recording = record_run(journal, record)
    again = read_recording(recording.text())
    assert again == recording
    result = await replay(again, publisher=ReportPublisher())
    assert result.identical, result
    assert {file.suffix for file in result.files} == {".xlsx", ".json", ".md"}
    assert not result.changed
    assert not result.missing
    assert world.done["audit tool.call"] == 3  # the replay has called nothing


PAGES = {
    "a": "Invoice A-1\nSeller Acme\nTotal 10.00 EUR",
    "b": "Invoice B-2\nSeller Blue\nTotal 2000.00 EUR",
    "c": "broken",
    "d": "Letter without any amount",
}
TABLE = {
    "do": "table", "goal": "Invoices over 1000", "sort": "-total", "most": 0,
    "where": [{"field": "total", "is": "over", "value": "1000"}],
    "figures": [{"take": "sum", "field": "total"}],
}  # fmt: skip


def reads(asked: GenerateRequest, then: dict[str, Any], values: list[dict[str, Any]]) -> str | None:
    """A model that plans ``then`` over ``values`` and reads what is printed."""
    key = asked.id.rpartition("/")[2]
    if key.startswith("generate:plan"):
        return json.dumps({"read": {"goal": "Read it.", "values": values}, "then": [then]})
    text = asked.messages[-1].content
    found = {"total": None, "kind": "letter", "summary": "It is a letter without any amount."}
    for number, total in (("A-1", "10.00"), ("B-2", "2000.00")):
        if number in text:
            summary = f"Invoice {number} is about {total} EUR."
            found = {"total": total, "kind": "invoice", "summary": summary}
    if "reduce" in key:
        sentence = {"text": "Invoice A-1 and invoice B-2 are both about EUR.", "from": [1, 2]}
        return json.dumps({"sentences": [sentence]})
    assert asked.schema is not None
    return json.dumps({name: found.get(name) for name in asked.schema["properties"]})


async def test_a_table_is_made_without_a_model_and_shown_in_the_workbook(tmp_path: Path) -> None:
    world = World(dict(PAGES))
    world.say = lambda asked: reads(asked, TABLE, READ["values"])
    record, _ = await finish(
        tmp_path, world, asked(tmp_path, list(PAGES)), publisher=ReportPublisher()
    )
    assert record.state is RunState.FINISHED
    assert not any("think:" in request.id for request in world.requests)
    table = worker(record).result.get("table")
    shown = [(Path(str(cells[0].value)).name, cells[1].value) for cells in table.rows]
    assert shown == [("b", "2000.00"), ("d", None)]  # what cannot be judged is there as well
    assert worker(record).result.get("sum_total").value == "2000.00"
    book = openpyxl.load_workbook(next(p for p in record.deliverables if p.endswith(".xlsx")))
    rows = [[cell.value for cell in row] for row in book["Table"].iter_rows()]
    assert "Invoices over 1000: 2 rows" in str(rows[0][0])
    assert rows[2] == ["b", 2000]
    text = await anyio.Path(next(p for p in record.deliverables if p.endswith(".md"))).read_text()
    assert "| b | 2000.00 |" in text
    assert "please judge: d" in text
    assert any("1 of 4 documents: 1 damaged" in line for line in text.splitlines())


class Copies:
    """A mover that remembers what it copied."""

    def __init__(self, world: World) -> None:
        self.world = world

    def prepare(self, kind: str, source: Path, target: Path, sha256: str) -> dict[str, Any]:
        """FileMover."""
        return {"kind": kind, "source": str(source), "target": str(target)}

    def perform(self, prepared: dict[str, Any]) -> Path:
        """FileMover."""
        self.world.on_effect(f"copy {prepared['target']}")
        self.world.done[f"{prepared['kind']} {prepared['target']}"] += 1
        return Path(prepared["target"])


KIND: dict[str, Any] = {
    "name": "kind",
    "type": "choice",
    "about": "what it is",
    "choices": ["invoice", "letter"],
}
FOLDERS = {"do": "folders", "goal": "Sort them", "by": "kind"}


async def test_documents_are_copied_into_folders_once_also_when_it_is_tried_again(
    tmp_path: Path,
) -> None:
    world = World(dict(PAGES))
    world.say = lambda asked: reads(asked, FOLDERS, [KIND])
    with open_journal(tmp_path) as journal:
        served = Served(world, journal, mover=Copies(world))
        async with served.running() as coordinator:
            record = await coordinator.submit(asked(tmp_path, list(PAGES)))
            await served.rest(record)
            copied = {key for key in world.done if key.startswith("copy ")}
            folder = tmp_path / "Sorted"
            assert copied == {
                f"copy {folder}/invoice/a", f"copy {folder}/invoice/b", f"copy {folder}/letter/d"
            }  # fmt: skip
            world.texts["c"] = "Letter, mended"
            await coordinator.resume(record.id, retry_failed=True)
            await served.rest(record)
    assert record.state is RunState.FINISHED
    assert world.done[f"copy {folder}/letter/c"] == 1
    assert all(world.done[key] == 1 for key in copied)


async def test_a_copy_that_policy_denies_is_said_and_nothing_else_is_lost(tmp_path: Path) -> None:
    world = World(dict(PAGES), denied={ActionKind.COPY_FILE})
    world.say = lambda asked: reads(asked, FOLDERS, [KIND])
    record, _ = await finish(tmp_path, world, asked(tmp_path, list(PAGES)))
    result = worker(record).result
    assert result.problems == ("3 not copied: No.",)
    rows = result.get("folders").rows
    assert [cells[1].value for cells in rows] == ["invoice", "invoice", "letter"]
    assert {cells[2].status for cells in rows} == {ValueStatus.NEEDS_REVIEW}


async def test_a_summary_over_all_documents_keeps_its_sources(tmp_path: Path) -> None:
    world = World(dict(PAGES))
    values = [{"name": "summary", "type": "prose", "about": "in short"}]
    world.say = lambda asked: reads(asked, {"do": "summary", "goal": "All in short"}, values)
    record, _ = await finish(
        tmp_path, world, asked(tmp_path, list(PAGES)),
        limits=Limits(agents=1), publisher=ReportPublisher(),
    )  # fmt: skip
    assert record.state is RunState.FINISHED
    assert worker(record).state is AgentState.DONE
    text = await anyio.Path(next(p for p in record.deliverables if p.endswith(".md"))).read_text()
    assert "Invoice A-1 and invoice B-2 are both about EUR" in text
    assert "**Sources**" in text


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("then", [TABLE, FOLDERS, {"do": "summary", "goal": "In short"}])
async def test_tables_folders_and_summaries_survive_kills(
    seed: int, then: dict[str, Any], tmp_path: Path
) -> None:
    world = World(dict(PAGES))
    values = [*READ["values"], KIND, {"name": "summary", "type": "prose", "about": "in short"}]
    world.say = lambda asked: reads(asked, then, values)
    out = tmp_path / "out"
    out.mkdir()
    record, kills = await survive(
        tmp_path,
        world,
        asked(out, list(PAGES), goal="Add up, or summarise, into folders"),
        seed,
        mover=Copies(world),
    )
    assert record.state is RunState.FINISHED
    assert worker(record).state is AgentState.DONE
    assert kills
    assert all(count == 1 for key, count in world.done.items() if key.startswith("copy "))
