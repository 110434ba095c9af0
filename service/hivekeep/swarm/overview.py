"""A summary over all documents of a run, made by a tree of reducing agents.

Responsible for running the tree: which agents there are on each level, and what is passed on if one
of them fails; the nodes themselves are ``patterns.reduce``'s.  Invariant: a node that fails loses
no source, its statements are passed on as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial

from hivekeep.domain.documents import Document
from hivekeep.domain.fields import Plan
from hivekeep.domain.report import Statement
from hivekeep.domain.runs import AgentRole, AgentState, StepKind
from hivekeep.journal import decode, encode
from hivekeep.swarm.execution import Execution
from hivekeep.swarm.patterns.reduce import (
    PER_OVERVIEW,
    groups,
    in_turn,
    most_out,
    node_messages,
    node_result,
    statements_of,
)
from hivekeep.swarm.reporting import OVERVIEW
from hivekeep.swarm.steps import StepOutcome
from hivekeep.swarm.thinking import Thinker

_KEY = "generate:reduce"


async def write_overview(execution: Execution, plan: Plan, readers: Mapping[str, Plan]) -> int:
    """Journal the run's overview, if at least two documents gave something to sum up.

    :param plan: what bounds the prompts and instructs the reducers.
    :param readers: whose prose is summed up: the plans of readers by the task they work on.
    :returns: how many sentences it has.
    """
    statements = _leaves(execution, readers)
    documents = {source.path for statement in statements for source in statement.sources}
    if len(documents) < 2:
        return 0
    level = 0
    while True:
        level += 1
        parts = groups(statements, plan)
        statements = await _level(execution, plan, level, parts)
        if len(parts) == 1:
            break

    async def perform() -> StepOutcome:
        return StepOutcome({"statements": [encode(item) for item in statements[:PER_OVERVIEW]]})

    done = await execution.log.step(OVERVIEW, StepKind.DELIVER, {"levels": level}, perform)
    return len(done["statements"])


def _leaves(execution: Execution, readers: Mapping[str, Plan]) -> list[Statement]:
    found: list[list[Statement]] = []
    for agent in execution.record.documents():
        read = agent.steps.get("read")
        plan = readers.get(agent.task)
        if plan is None or agent.depth > 1 or agent.state is not AgentState.DONE:
            continue
        if agent.result is None or not (read and read.result):
            continue
        data = execution.log.blob(read.result["document"])
        document = decode(Document, json.loads(data))
        found.append(statements_of(plan, agent.input.path, document, agent.result))
    return in_turn(found)


async def _level(
    execution: Execution, plan: Plan, level: int, parts: Sequence[tuple[Statement, ...]]
) -> list[Statement]:
    """All nodes of one level at once; their statements in order."""
    last = len(parts) == 1
    results: dict[int, list[Statement]] = {}
    works = []

    async def think(name: str, number: int, part: tuple[Statement, ...]) -> None:
        messages, schema = node_messages(plan, part, last=last)
        ask = Thinker(execution.log, execution.ports, name, plan)
        results[number] = node_result(await ask(_KEY, messages, schema), part, last=last)

    for number, part in enumerate(parts):
        name = f"{execution.record.id}.r{level}-{number + 1:02d}"
        title = f"Summary of {len(part)} statements"
        agent = await execution.spawn(name, AgentRole.REDUCER, title=title, index=number)
        work = partial(think, name, number, part)
        if agent.state is AgentState.DONE:
            # Its answer is in the journal; only what follows from it is made again.
            await work()
        elif not agent.state.ended:
            works.append((agent, partial(execution.guarded, agent, work)))
    await execution.together(works)
    passed: list[Statement] = []
    for number, part in enumerate(parts):
        passed += results.get(number, list(part[: most_out(len(part), last=last)]))
    return passed
