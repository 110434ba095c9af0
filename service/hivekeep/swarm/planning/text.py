"""A graph as a person sees and edits it.

Responsible for plain words, for YAML there and back, and for refusing what cannot be carried out.
Invariant: a graph written as YAML and read again is the same but for its note and its labels.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import yaml

from hivekeep.domain.errors import UsageError
from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.saying import say, together
from hivekeep.domain.task_problems import problems
from hivekeep.domain.tasks import (
    Comparison,
    Condition,
    Figure,
    Take,
    TaskGraph,
    TaskSpec,
    Work,
)
from hivekeep.swarm.planning.outputs import output

_KEYS = {
    "id", "goal", "each_document", "tools", "after", "outputs", "work", "where", "sort", "most",
    "figures", "folder",
}  # fmt: skip


def require_sound(graph: TaskGraph, tools: Collection[str], documents: int) -> None:
    """:raises UsageError: with everything that is wrong with ``graph``."""
    found = list(problems(graph, tools, documents))
    if found:
        raise UsageError(
            say("error.plan", "The plan cannot be carried out."),
            why=together(found[:6]),
            next_step=say("next.correct", "Correct it; nothing was started."),
        )


def editable(graph: TaskGraph) -> list[dict[str, Any]]:
    """The tasks as a person edits them: plain data that ``graph_from_yaml`` understands."""
    return [_task_yaml(task) for task in graph.tasks]


def graph_yaml(graph: TaskGraph) -> str:
    """The graph as a person edits it."""
    tasks = editable(graph)
    head = f"# {' '.join(graph.note.split())}\n" if graph.note else ""
    return head + yaml.safe_dump({"tasks": tasks}, sort_keys=False, allow_unicode=True, width=98)


def graph_from_yaml(text: str) -> TaskGraph:
    """A graph that a person has edited.

    :raises UsageError: if it is not one.
    """
    try:
        data = yaml.safe_load(text)
        _refuse_unknown(data, {"tasks"})
        tasks = tuple(_edited(item) for item in data["tasks"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(
            say("error.plan_text", "The edited plan cannot be understood."),
            why=f"{why}.",
            next_step=say(
                "next.plan_keys",
                "Each task has an id and a goal; docs/swarm.md lists what else it may have.",
            ),
        ) from error
    return TaskGraph(tasks, note="edited by a person")


def graph_text(graph: TaskGraph) -> str:
    """The graph in plain words."""
    lines = []
    for number, task in enumerate(graph.tasks, start=1):
        how = "for each document" if task.each_document else "once"
        after = f", after {', '.join(task.after)}" if task.after else ""
        lines.append(f"{number}. {task.id} ({how}{after}): {task.goal}")
        lines += [f"   {line}" for line in _details(task)]
    return "\n".join(lines)


def _details(task: TaskSpec) -> list[str]:
    lines = []
    if task.tools:
        lines.append(f"tools: {', '.join(task.tools)}")
    if task.outputs:
        lines.append(f"gives: {', '.join(_shown(spec) for spec in task.outputs)}")
    match task.work:
        case Work.TABLE:
            lines.append("a table, made without a model")
        case Work.SUMMARY:
            lines.append("one page over all documents, each sentence with its sources")
        case Work.FOLDERS:
            lines.append(f"copies each document into the folder that '{task.folder}' names")
    if task.where:
        kept = (f"{c.field} {c.is_.value.replace('_', ' ')} {c.value}" for c in task.where)
        lines.append(f"only where: {' and '.join(kept)}")
    if task.sort:
        order = "greatest" if task.sort.startswith("-") else "least"
        lines.append(f"sorted by {task.sort.removeprefix('-')}, {order} first")
    if task.most:
        lines.append(f"at most {task.most} rows")
    if task.figures:
        lines.append(f"computes: {', '.join(f'{f.take.value} of {f.field}' for f in task.figures)}")
    return lines


def _shown(spec: FieldSpec) -> str:
    kind = f"one of {', '.join(spec.choices)}" if spec.choices else spec.type.value
    return f"{spec.name} ({kind})"


def _task_yaml(task: TaskSpec) -> dict[str, Any]:
    item: dict[str, Any] = {"id": task.id, "goal": task.goal}
    if task.each_document:
        item["each_document"] = True
    if task.work is not Work.AGENT:
        item["work"] = task.work.value
    for key, found in (("tools", task.tools), ("after", task.after)):
        if found:
            item[key] = list(found)
    if task.where:
        item["where"] = [
            {"field": c.field, "is": c.is_.value, "value": c.value} for c in task.where
        ]
    if task.figures:
        item["figures"] = [{"take": f.take.value, "field": f.field} for f in task.figures]
    for name in ("sort", "most", "folder"):
        if value := getattr(task, name):
            item[name] = value
    if task.outputs:
        item["outputs"] = [_output_yaml(spec) for spec in task.outputs]
    return item


def _output_yaml(spec: FieldSpec) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": spec.name, "type": spec.type.value}
    if spec.choices:
        shown["choices"] = list(spec.choices)
    return {**shown, "description": spec.description} if spec.description else shown


def _refuse_unknown(item: Any, known: set[str]) -> None:
    if not isinstance(item, dict):
        raise TypeError(f"keys are expected: {', '.join(sorted(known))}")
    unknown = sorted(str(key) for key in item if key not in known)
    if unknown:
        raise ValueError(f"there is no key {', '.join(unknown)}")


def _edited(item: dict[str, Any]) -> TaskSpec:
    _refuse_unknown(item, _KEYS)
    outputs = tuple(
        output(
            str(o["name"]), FieldType(o.get("type", "text")), str(o.get("description", "")),
            tuple(str(choice) for choice in o.get("choices") or []),
        )
        for o in item.get("outputs") or []
    )  # fmt: skip
    return TaskSpec(
        id=str(item["id"]),
        goal=str(item["goal"]),
        each_document=bool(item.get("each_document", False)),
        tools=tuple(str(name) for name in item.get("tools") or []),
        after=tuple(str(name) for name in item.get("after") or []),
        outputs=outputs,
        work=Work(item.get("work", Work.AGENT.value)),
        where=tuple(
            Condition(str(c["field"]), Comparison(c["is"]), str(c["value"]))
            for c in item.get("where") or []
        ),
        sort=str(item.get("sort", "")),
        most=int(item.get("most", 0)),
        figures=tuple(Figure(str(f["field"]), Take(f["take"])) for f in item.get("figures") or []),
        folder=str(item.get("folder", "")),
    )
