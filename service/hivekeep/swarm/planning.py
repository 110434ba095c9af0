"""A free request becomes a graph of tasks: what the model is asked, and what of it is believed.

Responsible for the question, for reading the answer, and for a graph as a person sees and edits it;
not for executing it.  Invariant: a graph that leaves here has no problems.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import yaml

from hivekeep.domain.errors import UsageError
from hivekeep.domain.fields import FieldSpec, FieldType, Plan
from hivekeep.domain.inference import Message, Role
from hivekeep.domain.tasks import TaskGraph, TaskSpec, problems
from hivekeep.swarm.answers import parse_answer
from hivekeep.swarm.prompting.rendering import clean
from hivekeep.swarm.prompting.schema import object_schema
from hivekeep.tools import ToolSpec

OUTPUT_TYPES = (
    FieldType.TEXT, FieldType.IDENTIFIER, FieldType.NAME, FieldType.DATE, FieldType.AMOUNT,
    FieldType.NUMBER, FieldType.INTEGER, FieldType.CURRENCY, FieldType.BOOLEAN, FieldType.PROSE,
)  # fmt: skip
_EXAMPLE_REQUEST = "Which rent is the highest, and what do all rents add up to?"
# Small models follow an example, given as a turn of its own, better than any number of rules.
_EXAMPLE = json.dumps(
    {
        "tasks": [
            {
                "id": "read", "goal": "Read the monthly rent.", "each_document": True,
                "tools": [], "after": [],
                "outputs": [{"name": "rent", "type": "amount", "description": "monthly rent"}],
            },
            {
                "id": "compare", "goal": "Find the highest rent and the sum of all rents.",
                "each_document": False, "tools": ["aggregate"], "after": ["read"],
                "outputs": [
                    {"name": "highest", "type": "amount", "description": "the highest rent"},
                    {"name": "document", "type": "text", "description": "where it stands"},
                    {"name": "sum", "type": "amount", "description": "sum of all rents"},
                ],
            },
        ]
    }
)  # fmt: skip
_MOST_PROPOSED = 5
_MOST_OUTPUTS = 8
_MOST_NAMES = 12
_NOT_ID = re.compile(r"[^a-z0-9_]+")


def plan_messages(
    goal: str, names: Sequence[str], specs: Sequence[ToolSpec], *, objection: str = ""
) -> tuple[Message, ...]:
    """Ask a model to split ``goal`` into tasks; ``objection`` is what was wrong the first time."""
    tools = "\n".join(f"- {spec.name}: {spec.description}" for spec in specs)
    listed = ", ".join(clean(name) for name in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    system = "\n".join(
        [
            "You split a request about documents into one to four tasks.",
            "A task with each_document true is done for every document by a reader that sees only "
            "that document; its outputs are the values to read off it, named in snake_case after "
            "what they are, never after a document.",
            "A task with each_document false is done once by a worker that sees the results of "
            "the tasks in its 'after' and may use tools. Use one to combine, compare or compute.",
            "If something has to be read from documents, begin with a task on each document.",
            f"Tools of workers:\n{tools}",
        ]
    )
    user = f"Documents ({len(names)}): {listed}{more}\n\nRequest: {goal.strip()}"
    shown = f"Documents (3): lease.pdf, flat-2.docx, scan.jpg\n\nRequest: {_EXAMPLE_REQUEST}"
    if objection:
        user += f"\n\nYour first plan was refused: {objection} Make a better one."
    return (
        Message(Role.SYSTEM, system),
        Message(Role.USER, shown),
        Message(Role.ASSISTANT, _EXAMPLE),
        Message(Role.USER, user),
    )


def plan_schema(specs: Sequence[ToolSpec]) -> dict[str, Any]:
    """The schema that a proposed plan has to fit."""
    output = object_schema(
        {
            "name": {"type": "string", "maxLength": 30},
            "type": {"enum": [kind.value for kind in OUTPUT_TYPES]},
            "description": {"type": "string", "maxLength": 100},
        }
    )
    task = object_schema(
        {
            "id": {"type": "string", "maxLength": 20},
            "goal": {"type": "string", "maxLength": 200},
            "each_document": {"type": "boolean"},
            "tools": {
                "type": "array", "items": {"enum": [spec.name for spec in specs]}, "maxItems": 4,
            },
            "after": {
                "type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 3,
            },
            "outputs": {
                "type": "array", "items": output, "minItems": 1, "maxItems": _MOST_OUTPUTS,
            },
        }
    )  # fmt: skip
    return object_schema(
        {"tasks": {"type": "array", "items": task, "minItems": 1, "maxItems": _MOST_PROPOSED}}
    )


def read_plan(
    answer: str, goal: str, tools: Collection[str], documents: int
) -> tuple[TaskGraph, str]:
    """The graph in a model's answer, tidied, and what is still wrong with it.

    Tidying gives ids their form, drops references to tasks that are not there, and puts tasks into
    an order; it adds nothing that the model did not say.
    """
    raw = [item for item in parse_answer(answer).get("tasks") or [] if isinstance(item, dict)]
    tasks = _ordered([_task(item, number, tools) for number, item in enumerate(raw, start=1)])
    if tasks and documents and not any(task.each_document for task in tasks):
        # Without a reader a worker has to find its way by tools; give it those that read.
        tasks = [_with_reading(task, tools) for task in tasks]
    graph = TaskGraph(tuple(tasks), note=f"proposed for: {goal.strip()[:200]}")
    return graph, " ".join(problems(graph, tools, documents))


def simple_plan(goal: str, documents: int, tools: Collection[str]) -> TaskGraph:
    """The plan for when a model gives no usable one: read everything, then answer."""
    answer = FieldSpec("answer", FieldType.PROSE, "Answer", "the answer", grounded=False)
    finding = FieldSpec("finding", FieldType.PROSE, "Finding", "what answers the request",
                        grounded=False)  # fmt: skip
    read = TaskSpec("read", goal.strip(), each_document=True, outputs=(finding,))
    allowed = tuple(name for name in ("search_documents", "calculate") if name in tools)
    combine = TaskSpec("answer", goal.strip(), tools=allowed, outputs=(answer,),
                       after=("read",) if documents else ())  # fmt: skip
    tasks = (read, combine) if documents else (combine,)
    return TaskGraph(tasks, note="the model proposed no usable plan; this is the simplest one")


def require_sound(graph: TaskGraph, tools: Collection[str], documents: int) -> None:
    """:raises UsageError: with everything that is wrong with ``graph``."""
    found = list(problems(graph, tools, documents))
    if found:
        raise UsageError(
            "The plan cannot be carried out.",
            why=" ".join(found[:6]),
            next_step="Correct it; nothing was started.",
        )


def task_plan(base: Plan, task: TaskSpec) -> Plan:
    """The plan of a reader that works on ``task`` in one document."""
    return replace(
        base,
        instructions=f"You read one document for this task: {task.goal}",
        fields=task.outputs,
    )


def graph_yaml(graph: TaskGraph) -> str:
    """The graph as a person edits it."""
    tasks = []
    for task in graph.tasks:
        item: dict[str, Any] = {"id": task.id, "goal": task.goal}
        if task.each_document:
            item["each_document"] = True
        if task.tools:
            item["tools"] = list(task.tools)
        if task.after:
            item["after"] = list(task.after)
        item["outputs"] = [_output_yaml(spec) for spec in task.outputs]
        tasks.append(item)
    head = f"# {' '.join(graph.note.split())}\n" if graph.note else ""
    return head + yaml.safe_dump({"tasks": tasks}, sort_keys=False, allow_unicode=True, width=98)


def graph_from_yaml(text: str) -> TaskGraph:
    """A graph that a person has edited.

    :raises UsageError: if it is not one.
    """
    try:
        data = yaml.safe_load(text)
        tasks = tuple(_edited(item) for item in data["tasks"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(
            "The edited plan cannot be understood.",
            why=f"{why}.",
            next_step="Each task has id, goal, outputs, and may have each_document, tools, after.",
        ) from error
    return TaskGraph(tasks, note="edited by a person")


def graph_text(graph: TaskGraph) -> str:
    """The graph in plain words."""
    lines = []
    for number, task in enumerate(graph.tasks, start=1):
        how = "for each document" if task.each_document else "once"
        after = f", after {', '.join(task.after)}" if task.after else ""
        lines.append(f"{number}. {task.id} ({how}{after}): {task.goal}")
        if task.tools:
            lines.append(f"   tools: {', '.join(task.tools)}")
        outputs = ", ".join(f"{spec.name} ({spec.type.value})" for spec in task.outputs)
        lines.append(f"   gives: {outputs}")
    return "\n".join(lines)


def _task(item: dict[str, Any], number: int, tools: Collection[str]) -> TaskSpec:
    each = bool(item.get("each_document"))
    named = [str(tool) for tool in item.get("tools") or [] if str(tool) in tools]
    return TaskSpec(
        id=_id(item.get("id"), f"task{number}"),
        goal=" ".join(str(item.get("goal") or "").split()),
        each_document=each,
        tools=() if each else tuple(dict.fromkeys(named)),
        after=tuple(dict.fromkeys(_id(name, "") for name in item.get("after") or [] if name)),
        outputs=_outputs(item.get("outputs")),
    )


def _outputs(raw: Any) -> tuple[FieldSpec, ...]:
    found: dict[str, FieldSpec] = {}
    for item in raw or []:
        if not isinstance(item, dict):
            continue
        name = _id(item.get("name"), "")
        kind = item.get("type")
        if name and kind in [known.value for known in OUTPUT_TYPES]:
            found.setdefault(
                name, _output(name, FieldType(kind), str(item.get("description") or ""))
            )
    return tuple(found.values())[:_MOST_OUTPUTS]


def _output(name: str, kind: FieldType, description: str) -> FieldSpec:
    own = kind in (FieldType.PROSE, FieldType.BOOLEAN)
    return FieldSpec(
        name=name,
        type=kind,
        title=name.replace("_", " ").capitalize(),
        description=" ".join(description.split()),
        grounded=not own,
        max_length=600 if kind is FieldType.PROSE else 200,
    )


def _edited(item: dict[str, Any]) -> TaskSpec:
    unknown = set(item) - {"id", "goal", "each_document", "tools", "after", "outputs"}
    if unknown:
        raise ValueError(f"there is no key {', '.join(sorted(unknown))}")
    outputs = tuple(
        _output(str(o["name"]), FieldType(o.get("type", "text")), str(o.get("description", "")))
        for o in item.get("outputs") or []
    )
    return TaskSpec(
        id=str(item["id"]),
        goal=str(item["goal"]),
        each_document=bool(item.get("each_document", False)),
        tools=tuple(str(name) for name in item.get("tools") or []),
        after=tuple(str(name) for name in item.get("after") or []),
        outputs=outputs,
    )


def _output_yaml(spec: FieldSpec) -> dict[str, str]:
    shown = {"name": spec.name, "type": spec.type.value}
    return {**shown, "description": spec.description} if spec.description else shown


def _ordered(tasks: list[TaskSpec]) -> list[TaskSpec]:
    """Tasks after those they depend on; what depends on itself in a circle loses that tie."""
    names = {task.id for task in tasks}
    waiting = [
        replace(task, after=tuple(a for a in task.after if a in names and a != task.id))
        for task in tasks
    ]
    done: list[TaskSpec] = []
    while waiting:
        ids = {task.id for task in done}
        free = [task for task in waiting if set(task.after) <= ids]
        if not free:
            first = waiting[0]
            free = [replace(first, after=tuple(a for a in first.after if a in ids))]
            waiting[0] = free[0]
        done.append(free[0])
        waiting.remove(free[0])
    return done


def _with_reading(task: TaskSpec, tools: Collection[str]) -> TaskSpec:
    reading = [name for name in ("search_documents", "read_document") if name in tools]
    return replace(task, tools=tuple(dict.fromkeys((*task.tools, *reading))))


def _id(raw: Any, otherwise: str) -> str:
    text = _NOT_ID.sub("_", str(raw or "").strip().lower()).strip("_")
    text = text if text[:1].isalpha() else f"t_{text}".rstrip("_") if text else ""
    return text[:30] or otherwise
