"""What of a model's plan is believed.

Responsible for turning its answer into a graph and for what is said against it.  Invariant: a
graph that leaves here without an objection has no problems and does what the request says in so
many words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from hivekeep.domain.errors import EngineError
from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.task_problems import problems
from hivekeep.domain.tasks import (
    Comparison,
    Condition,
    Figure,
    Take,
    TaskGraph,
    TaskSpec,
    Work,
    number_of,
)
from hivekeep.swarm.answers import parse_answer
from hivekeep.swarm.planning.outputs import identifier, output
from hivekeep.swarm.planning.prompt import MOST_THEN, MOST_VALUES, PLAIN_TYPES
from hivekeep.swarm.planning.wording import Wording, currency_named, wording
from hivekeep.swarm.verification.amounts import canonical, find_amounts

READ = "read"
_SUMMARY = FieldSpec(
    "summary", FieldType.PROSE, "Summary", "three to five sentences", grounded=False, max_length=900
)
_TYPES = {kind.value: kind for kind in (*PLAIN_TYPES, FieldType.CHOICE)}


def read_plan(
    answer: str,
    goal: str,
    tools: Collection[str],
    names: Sequence[str],
    known: Sequence[FieldSpec] = (),
) -> tuple[TaskGraph, str]:
    """The graph in a model's answer, tidied, and what is still wrong with it.

    Tidying gives names and numbers their form and ties what comes later to what was read; it adds
    only what a step cannot do without, such as prose for a summary.

    :param names: the documents' names.
    :param known: fields that recipes describe; a value that is one of them gets its labels.
    """
    documents = len(names)
    try:
        said = parse_answer(answer)
    except EngineError as error:
        return TaskGraph(()), error.why
    tasks = _tasks(said, goal, tools, documents, known)
    graph = TaskGraph(tuple(tasks))
    found = [*problems(graph, tools, documents), *_misnamed(graph, names)]
    found += _unmet(graph, wording(goal), documents)
    return graph, " ".join(found[:4])


def _tasks(
    said: dict[str, Any], goal: str, tools: Collection[str], documents: int,
    known: Sequence[FieldSpec],
) -> list[TaskSpec]:  # fmt: skip
    read = _reader(said.get("read"), goal, known) if documents else None
    steps = said.get("then")
    later: list[TaskSpec] = []
    for item in (steps if isinstance(steps, list) else [])[:MOST_THEN]:
        if isinstance(item, dict):
            later.append(_step(item, goal, tools, [read, *later] if read else later))
    if read is None:
        if documents:
            # Without a reader an agent has to find its way by tools; give it those that read.
            later = [_with_reading(task, tools) for task in later]
        return later
    read, later = _asked_for(read, later, wording(goal))
    read, later = _in_currency(read, later, currency_named(goal), known)
    read = _completed(read, later)
    return [read, *(_tied(task, read) for task in later)]


def _reader(raw: Any, goal: str, known: Sequence[FieldSpec]) -> TaskSpec | None:
    if not isinstance(raw, dict):
        return None
    values = _values(raw.get("values"), known)
    return TaskSpec(READ, _line(raw.get("goal")) or goal, each_document=True, outputs=values)


def _step(
    item: dict[str, Any], goal: str, tools: Collection[str], before: Sequence[TaskSpec]
) -> TaskSpec:
    work = next((kind for kind in Work if kind.value == item.get("do")), Work.AGENT)
    task = TaskSpec(_free(work.value, before), _line(item.get("goal")) or goal, work=work)
    if work is not Work.AGENT:
        task = replace(task, after=(READ,) if any(t.id == READ for t in before) else ())
    match work:
        case Work.TABLE:
            return replace(
                task, where=tuple(_conditions(item.get("where"))),
                figures=tuple(_figures(item.get("figures"))), sort=str(item.get("sort") or ""),
                most=max(item["most"], 0) if isinstance(item.get("most"), int) else 0,
            )  # fmt: skip
        case Work.FOLDERS:
            return replace(task, folder=identifier(item.get("by")))
        case Work.SUMMARY:
            return task
    named = [str(tool) for tool in _list(item.get("tools")) if str(tool) in tools]
    return replace(
        task, tools=tuple(dict.fromkeys(named)), outputs=_values(item.get("outputs"), ()),
        after=tuple(task.id for task in before),
    )  # fmt: skip


def _conditions(raw: Any) -> Iterator[Condition]:
    for item in _list(raw):
        if isinstance(item, dict) and item.get("is") in list(Comparison):
            is_, value = Comparison(item["is"]), _line(item.get("value"))
            if is_.of_numbers and number_of(value) is None and (found := find_amounts(value)):
                value = canonical(max(found[0].values))
            yield Condition(identifier(item.get("field")), is_, value)


def _figures(raw: Any) -> Iterator[Figure]:
    for item in _list(raw):
        if isinstance(item, dict) and item.get("take") in list(Take):
            yield Figure(identifier(item.get("field")), Take(item["take"]))


def _tied(task: TaskSpec, read: TaskSpec) -> TaskSpec:
    """``task`` with the small slips mended that have one meaning only."""
    names = {spec.name: spec for spec in read.outputs}
    if task.work is Work.TABLE and task.sort.removeprefix("-") not in names:
        task = replace(task, sort="")
    if task.work is Work.FOLDERS and task.folder not in names:
        choices = [spec.name for spec in read.outputs if spec.type is FieldType.CHOICE]
        task = replace(task, folder=choices[0]) if len(choices) == 1 else task
    return task


def _asked_for(
    read: TaskSpec, later: Sequence[TaskSpec], said: Wording
) -> tuple[TaskSpec, list[TaskSpec]]:
    """Both without a summary that nobody asked for beside other values.

    It would cost a reading of every whole document, and its words are not checked as values are.
    """
    values = tuple(spec for spec in read.outputs if spec.type is not FieldType.PROSE)
    if said.summary or not values or all(task.work is not Work.SUMMARY for task in later):
        return read, list(later)
    kept = tuple(spec for spec in read.outputs if spec.name != _SUMMARY.name)
    return replace(read, outputs=kept), [t for t in later if t.work is not Work.SUMMARY]


def _completed(read: TaskSpec, later: Sequence[TaskSpec]) -> TaskSpec:
    """``read`` with the prose that a summary over all documents is made of."""
    summary = any(task.work is Work.SUMMARY for task in later)
    if not summary or any(spec.type is FieldType.PROSE for spec in read.outputs):
        return read
    kept = [spec for spec in read.outputs if spec.name != _SUMMARY.name]
    return replace(read, outputs=(*kept[: MOST_VALUES - 1], _SUMMARY))


def _in_currency(
    read: TaskSpec, later: Sequence[TaskSpec], code: str, known: Sequence[FieldSpec]
) -> tuple[TaskSpec, list[TaskSpec]]:
    """Both with the currency that the request's amounts are in, where there is room for it.

    'Over 1000 EUR' means euros, and no currency that the request does not name is a condition:
    small models take one over from their examples.
    """
    coins = [spec.name for spec in read.outputs if spec.type is FieldType.CURRENCY]
    later = [
        replace(task, where=tuple(c for c in task.where if c.field not in coins)) for task in later
    ]
    amounts = {spec.name for spec in read.outputs if spec.type is FieldType.AMOUNT}
    of_money = {task.id for task in later if any(c.field in amounts for c in task.where)}
    if not code or not of_money or (not coins and len(read.outputs) == MOST_VALUES):
        return read, later
    if not coins:
        coins = ["currency"]
        spec = output(coins[0], FieldType.CURRENCY, "currency of the amounts", (), known)
        kept = tuple(each for each in read.outputs if each.name != spec.name)
        read = replace(read, outputs=(*kept, spec))
    more = Condition(coins[0], Comparison.EQUAL, code)
    return read, [
        replace(task, where=(*task.where, more)) if task.id in of_money else task for task in later
    ]


def _misnamed(graph: TaskGraph, names: Sequence[str]) -> Iterator[str]:
    """A small model likes to make one value for each document."""
    stems = {identifier(PurePath(name).stem) for name in names}
    for task in graph.tasks:
        wrong = [spec.name for spec in task.outputs if task.each_document and spec.name in stems]
        if wrong:
            yield (
                f"{', '.join(wrong)}: values are not documents. Every document is read for the "
                "same values; name what is to be found in it."
            )


def _unmet(graph: TaskGraph, said: Wording, documents: int) -> Iterator[str]:
    """What the request says in so many words and the plan does not do."""
    if not graph.tasks or not documents:
        return
    kinds = {task.work for task in graph.tasks if not task.each_document}
    agent = Work.AGENT in kinds
    numbers = {number_of(c.value) for task in graph.tasks for c in task.where}
    for comparison, number in said.comparisons:
        if number not in numbers and not agent:
            yield (
                f"The request says {comparison.value} {number:f}; that needs a table with "
                f'{{"field": …, "is": "{comparison.value}", "value": "{number:f}"}} in \'where\'.'
            )
    takes = {figure.take for task in graph.tasks for figure in task.figures}
    ordered = any(task.sort for task in graph.tasks)
    for take in said.takes:
        met = take in takes or (take in (Take.MAX, Take.MIN) and ordered)
        if not met and not agent and take is not Take.COUNT:
            yield f"The request asks for the {take.value}; that needs a table with it in 'figures'."
    if said.summary and not agent and Work.SUMMARY not in kinds and documents > 1:
        yield "The request asks for a summary; that needs the step 'summary'."
    named = {task.folder for task in graph.tasks if task.work is Work.FOLDERS}
    choices = {s.name for t in graph.tasks for s in t.outputs if s.type is FieldType.CHOICE}
    if (said.folders and not agent and not named) or not named <= choices:
        yield (
            "Folders need a value of type choice that says what a document is, with its choices, "
            "and the step 'folders' by it."
        )


def _values(raw: Any, known: Sequence[FieldSpec]) -> tuple[FieldSpec, ...]:
    found: dict[str, FieldSpec] = {}
    for item in _list(raw):
        if not isinstance(item, dict):
            continue
        name, kind = identifier(item.get("name")), _TYPES.get(str(item.get("type")))
        choices = tuple(dict.fromkeys(_line(one) for one in _list(item.get("choices"))))
        if not name or kind is None or (kind is FieldType.CHOICE and len(choices) < 2):
            continue
        found.setdefault(name, output(name, kind, _line(item.get("about")), choices, known))
    return tuple(found.values())[:MOST_VALUES]


def _with_reading(task: TaskSpec, tools: Collection[str]) -> TaskSpec:
    if task.work is not Work.AGENT:
        return task
    reading = [name for name in ("search_documents", "read_document") if name in tools]
    return replace(task, tools=tuple(dict.fromkeys((*task.tools, *reading))))


def _free(wanted: str, before: Sequence[TaskSpec]) -> str:
    taken = {task.id for task in before}
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}{number}"
    return name


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _line(raw: Any) -> str:
    return re.sub(r"\s+", " ", raw).strip() if isinstance(raw, str) else ""
