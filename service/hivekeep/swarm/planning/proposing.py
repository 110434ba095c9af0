"""A plan is proposed: by the model, by the model after an objection, or by fixed rules.

Responsible for the order in which these are tried.  Invariant: what comes out is sound, and where
no model made it, its note says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from hivekeep.domain.fields import FieldSpec
from hivekeep.domain.inference import Message
from hivekeep.domain.task_problems import problems
from hivekeep.domain.tasks import TaskGraph
from hivekeep.swarm.planning.prompt import plan_messages, plan_schema
from hivekeep.swarm.planning.reading import read_plan
from hivekeep.swarm.planning.usual import simple_plan, usual_plan
from hivekeep.tools import ToolSpec

PLAN_TOKENS = 700
_ATTEMPTS = 2
Ask = Callable[[str, tuple[Message, ...], dict[str, Any]], Awaitable[str]]
"""Asks the model; the first argument names the question."""


async def planned(
    ask: Ask,
    goal: str,
    names: Sequence[str],
    specs: Sequence[ToolSpec],
    known: Sequence[FieldSpec] = (),
) -> tuple[TaskGraph, str]:
    """A plan for ``goal`` over the documents called ``names``, and why no model made it, if so.

    The model is told once what is wrong with its plan.
    """
    refused: list[tuple[str, str]] = []
    tools = [spec.name for spec in specs]
    for attempt in range(_ATTEMPTS):
        messages = plan_messages(goal, names, specs, known, refused=refused)
        answer = await ask(f"generate:plan:{attempt}", messages, plan_schema(specs))
        graph, objection = read_plan(answer, goal, tools, names, known)
        if not objection:
            return graph, ""
        refused.append((answer, objection))
    why = refused[-1][1]
    if usual := usual_plan(goal, why, known) if names else None:
        return usual, why
    if not list(problems(graph, tools, len(names))):
        # It can be carried out; the objection is about what the request seems to want.
        return replace(graph, note=f"Perhaps not all of it: {why}"[:400]), ""
    return simple_plan(goal, len(names), tools, why), why


def unplanned(
    goal: str, names: Sequence[str], specs: Sequence[ToolSpec], known: Sequence[FieldSpec], why: str
) -> TaskGraph:
    """The plan for when no model could be asked."""
    usual = usual_plan(goal, why, known) if names else None
    return usual or simple_plan(goal, len(names), [spec.name for spec in specs], why)
