"""The same steps in three systems: ours, DBOS on SQLite, LangGraph with its SQLite checkpointer.

Responsible for one measurement in one process, whose result is a line of JSON.  A step returns the
same 200 characters at once; what is left is what each system spends on making it durable.  Ours
also encrypts, and writes a signed audit record for each step.  Each system runs as it is shipped;
LangGraph is told to write each checkpoint before the next step (``durability="sync"``), as the
others do.
"""

from __future__ import annotations

import asyncio
import json
import operator
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypedDict

import anyio

from benchmarks.killing import FileSecrets, Stage, carry_on, traces
from hivekeep.audit import AuditLog
from hivekeep.daemon.gate import PolicyGate
from hivekeep.domain.fields import FieldSpec, FieldType, FileActionKind, Plan, PlanKind
from hivekeep.domain.runs import InputFile, StepKind, TriggerKind, Usage
from hivekeep.journal import Journal, NewEvent, encode, journal_key
from hivekeep.policy import PolicyHolder, PolicySources
from hivekeep.secrets import KeyStore
from hivekeep.swarm.events import Kind, RunRequest, create
from hivekeep.swarm.steps import RunLog, StepOutcome

ANSWER = '{"number":"A-1","total":"10.00"}' * 6


def shares(agents: int, steps: int) -> list[int]:
    """How many steps each agent takes."""
    return [steps // agents + (place < steps % agents) for place in range(agents)]


async def _ours(folder: Path, agents: int, steps: int) -> float:
    keys = KeyStore(FileSecrets(folder / "keys.json"))
    audit = AuditLog.open(folder / "audit", keys)
    nowhere = folder / "none"
    gate = PolicyGate(PolicyHolder(PolicySources(nowhere, nowhere, None)), audit)
    plan = Plan(
        recipe="overhead", recipe_version="1", recipe_hash="ab" * 32, kind=PlanKind.EXTRACT,
        title="Overhead", instructions="Read.",
        fields=(FieldSpec("total", FieldType.AMOUNT, "Total"),),
    )  # fmt: skip
    inputs = tuple(InputFile(f"/inbox/{n}.pdf", "11" * 32, 10) for n in range(agents))
    request = RunRequest(plan, inputs, "Overhead", TriggerKind.COMMAND, output=str(folder))
    path = folder / "journal.db"

    async def agent(log: RunLog, name: str, count: int) -> None:
        async def perform() -> StepOutcome:
            await gate.record(
                "model.call", run="r", agent=name, subject="model", outcome="stop",
                prompt_sha256="ab" * 32, answer_sha256="cd" * 32,
            )  # fmt: skip
            return StepOutcome({"text": ANSWER, "reason": "stop"}, usage=Usage(100, 10, 5))

        intent = {"prompt_sha256": "ab" * 32, "model": "model"}
        for number in range(count):
            await log.step(f"generate:{number}", StepKind.GENERATE, intent, perform, agent=name)

    with Journal(path, key=journal_key(keys, path), clock=time.time) as journal:
        begun = time.perf_counter()
        created = NewEvent("r", Kind.RUN_CREATED, {"request": encode(request)})
        (event,) = await journal.append([created])
        log = RunLog(create(event), journal, lambda _event: None, time.monotonic)
        async with anyio.create_task_group() as tasks:
            for name, count in zip(log.record.agents, shares(agents, steps), strict=True):
                tasks.start_soon(agent, log, name, count)
        seconds = time.perf_counter() - begun
        done = sum(1 for _ in journal.events("r", kinds=[Kind.STEP_DONE]))
    audited = audit.count
    audit.close()
    assert done == steps <= audited, (done, audited)
    return seconds


def ours(folder: Path, agents: int, steps: int) -> tuple[float, int]:
    """Journal, audit log and gate, driven as an agent drives them."""
    return anyio.run(partial(_ours, folder, agents, steps)), steps


def coordinator(folder: Path, agents: int, _steps: int) -> tuple[float, int]:
    """The whole swarm: also prompts, checks of every value, a workbook. One document an agent."""
    stage = Stage(folder / "stage", documents=agents, action=FileActionKind.NONE)
    stage.set_up()
    begun = time.perf_counter()
    carry_on(stage, agents=agents)
    seconds = time.perf_counter() - begun
    return seconds, len(traces(stage).steps)


def dbos(folder: Path, agents: int, steps: int) -> tuple[float, int]:
    """One workflow an agent, one step function a step."""
    from dbos import DBOS, DBOSConfig

    config: DBOSConfig = {
        "name": "overhead",
        "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
        "log_level": "ERROR",
    }
    DBOS(config=config)
    done = 0

    @DBOS.step()
    async def step(number: int) -> str:
        nonlocal done
        done += 1
        return ANSWER

    @DBOS.workflow()
    async def agent(count: int) -> str:
        last = ""
        for number in range(count):
            last = await step(number)
        return last

    async def run() -> None:
        handles = [await DBOS.start_workflow_async(agent, n) for n in shares(agents, steps)]
        await asyncio.gather(*(handle.get_result() for handle in handles))

    DBOS.launch()
    begun = time.perf_counter()
    asyncio.run(run())
    seconds = time.perf_counter() - begun
    DBOS.destroy()
    assert done == steps, done
    return seconds, steps


class _State(TypedDict):
    left: int
    done: Annotated[int, operator.add]
    text: str


def langgraph(folder: Path, agents: int, steps: int) -> tuple[float, int]:
    """One thread an agent, one super-step a step."""
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.graph import END, START, StateGraph

    async def step(state: _State) -> dict[str, Any]:
        return {"left": state["left"] - 1, "done": 1, "text": ANSWER}

    graph = StateGraph(_State)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["left"] else END)

    async def run() -> float:
        async with AsyncSqliteSaver.from_conn_string(str(folder / "graph.sqlite")) as saver:
            await saver.setup()
            compiled = graph.compile(checkpointer=saver)
            begun = time.perf_counter()
            found = await asyncio.gather(
                *(
                    compiled.ainvoke(
                        {"left": count, "done": 0, "text": ""},
                        {"configurable": {"thread_id": str(place)}, "recursion_limit": count + 5},
                        durability="sync",
                    )
                    for place, count in enumerate(shares(agents, steps))
                )
            )
            seconds = time.perf_counter() - begun
            assert sum(state["done"] for state in found) == steps
            return seconds

    return asyncio.run(run()), steps


SIDES: dict[str, Callable[[Path, int, int], tuple[float, int]]] = {
    "ours": ours, "coordinator": coordinator, "dbos": dbos, "langgraph": langgraph,
}  # fmt: skip


def main() -> None:
    """``python -m benchmarks.overhead_sides SIDE AGENTS STEPS``."""
    side, agents, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory(prefix="hivekeep-bench-") as folder:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds, done = SIDES[side](Path(folder), agents, steps)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps({"seconds": seconds, "steps": done, "rss": after / 1024,
                    "grown": (after - before) / 1024})
    )  # fmt: skip


if __name__ == "__main__":
    main()
