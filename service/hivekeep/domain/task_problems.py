"""What keeps a graph of tasks from being executed, in sentences for whoever wrote it.

Responsible for saying it of tasks, their values, their conditions and their figures; putting it
right is the planner's or a person's.  Invariant: a graph of which nothing is said can be executed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.saying import say
from hivekeep.domain.tasks import (
    MOST_TASKS,
    Condition,
    Take,
    TaskGraph,
    TaskSpec,
    Work,
    is_day,
    number_of,
)

_ID = re.compile(r"[a-z][a-z0-9_-]{0,29}$")
_NUMBERS = (FieldType.AMOUNT, FieldType.NUMBER, FieldType.INTEGER)
_COMPUTED = {
    Take.SUM: _NUMBERS,
    Take.AVERAGE: _NUMBERS,
    Take.MIN: (*_NUMBERS, FieldType.DATE),
    Take.MAX: (*_NUMBERS, FieldType.DATE),
    Take.COUNT: tuple(FieldType),
}


def problems(graph: TaskGraph, tools: Collection[str], documents: int) -> Iterator[str]:
    """Everything that keeps ``graph`` from being executed, one line each."""
    if not graph.tasks:
        yield say("plan.no_task", "There is no task.")
    if len(graph.tasks) > MOST_TASKS:
        yield say(
            "plan.many_tasks", "There are {count} tasks, at most {most} may be.",
            count=len(graph.tasks), most=MOST_TASKS,
        )  # fmt: skip
    seen: set[str] = set()
    for task in graph.tasks:
        yield from _of_id(task, seen)
        yield from _of_work(task, tools, documents)
        yield from _of_order(graph, task, seen)
        if task.work is not Work.AGENT:
            yield from _of_code(graph, task)
        yield from _of_options(task)
        seen.add(task.id)
    if sum(task.work is Work.SUMMARY for task in graph.tasks) > 1:
        yield say(
            "plan.many_summaries",
            "There are several summaries over all documents; there can be one.",
        )


def _of_id(task: TaskSpec, seen: Collection[str]) -> Iterator[str]:
    if not _ID.match(task.id):
        yield say(
            "plan.bad_id", "'{task}' is no id: lower-case letters, digits, '-' and '_'.",
            task=task.id,
        )  # fmt: skip
    if task.id in seen:
        yield say("plan.twice", "The id '{task}' is taken twice.", task=task.id)


def _of_work(task: TaskSpec, tools: Collection[str], documents: int) -> Iterator[str]:
    """What it is to do, with what, for what result."""
    if not task.goal.strip():
        yield say("plan.no_goal", "Task '{task}' has no goal.", task=task.id)
    if task.each_document and not task.outputs:
        yield say(
            "plan.no_outputs", "Task '{task}' works on each document and has no outputs.",
            task=task.id,
        )  # fmt: skip
    yield from _of_names(task)
    if task.each_document and not documents:
        yield say(
            "plan.no_documents", "Task '{task}' works on each document, and there are none.",
            task=task.id,
        )  # fmt: skip
    for tool in task.tools:
        if tool not in tools:
            yield say(
                "plan.no_tool", "Task '{task}' wants the tool '{tool}', which does not exist.",
                task=task.id, tool=tool,
            )  # fmt: skip


def _of_names(task: TaskSpec) -> Iterator[str]:
    """Values are told apart by their names."""
    names = [spec.name for spec in task.outputs]
    if not all(name.strip() for name in names):
        yield say("plan.no_name", "An output of task '{task}' has no name.", task=task.id)
    for name in dict.fromkeys(name for name in names if name.strip() and names.count(name) > 1):
        yield say(
            "plan.name_twice", "Task '{task}' has the output '{name}' twice.",
            task=task.id, name=name,
        )  # fmt: skip


def _of_order(graph: TaskGraph, task: TaskSpec, seen: Collection[str]) -> Iterator[str]:
    names = [other.id for other in graph.tasks]
    for before in task.after:
        if before not in names:
            yield say(
                "plan.after_nothing",
                "Task '{task}' comes after '{before}', which does not exist.",
                task=task.id, before=before,
            )  # fmt: skip
        elif before not in seen:
            yield say(
                "plan.order", "Task '{task}' stands before '{before}', which it comes after.",
                task=task.id, before=before,
            )  # fmt: skip


def _of_options(task: TaskSpec) -> Iterator[str]:
    """What belongs to another kind of task."""
    of_table = task.where or task.sort or task.most or task.figures
    if of_table and task.work is not Work.TABLE:
        yield say(
            "plan.no_table",
            "Task '{task}' is no table, so it has no where, sort, most or figures.",
            task=task.id,
        )  # fmt: skip
    if task.folder and task.work is not Work.FOLDERS:
        yield say(
            "plan.no_folders", "Task '{task}' puts nothing into folders, so it has no folder.",
            task=task.id,
        )  # fmt: skip
    if task.most < 0:
        yield say(
            "plan.few_rows", "Task '{task}' wants at most {most} rows.",
            task=task.id, most=task.most,
        )  # fmt: skip


def _of_code(graph: TaskGraph, task: TaskSpec) -> Iterator[str]:
    """What is wrong with a task that no agent with tools does."""
    if task.each_document or task.tools:
        yield say(
            "plan.code_once", "Task '{task}' ({work}) is done once and without tools.",
            task=task.id, work=task.work.value,
        )  # fmt: skip
    columns = {spec.name: spec for spec in graph.columns(task)}
    if not columns:
        yield say(
            "plan.no_columns", "Task '{task}' ({work}) comes after no task on each document.",
            task=task.id, work=task.work.value,
        )  # fmt: skip
        return
    for name in dict.fromkeys(_fields_of(task)):
        if name not in columns:
            yield say(
                "plan.no_field", "Task '{task}' uses the field '{name}'; there are only: {known}.",
                task=task.id, name=name, known=", ".join(columns),
            )  # fmt: skip
    for condition in task.where:
        if condition.field in columns:
            yield from _of_condition(task, condition, columns[condition.field])
    for figure in task.figures:
        spec = columns.get(figure.field)
        if spec and spec.type not in _COMPUTED[figure.take]:
            yield say(
                "plan.not_computed", "'{name}' is a {type} and has no {take}.",
                name=figure.field, type=spec.type.value, take=figure.take.value,
            )  # fmt: skip
    if task.work is Work.SUMMARY and not any(s.type is FieldType.PROSE for s in columns.values()):
        yield say(
            "plan.no_prose", "Task '{task}' sums up prose, and nothing before it gives any.",
            task=task.id,
        )  # fmt: skip


def _fields_of(task: TaskSpec) -> Iterator[str]:
    yield from (condition.field for condition in task.where)
    yield from (figure.field for figure in task.figures)
    if task.sort:
        yield task.sort.removeprefix("-")
    if task.work is Work.FOLDERS:
        yield task.folder


def _of_condition(task: TaskSpec, condition: Condition, spec: FieldSpec) -> Iterator[str]:
    test, value = condition.is_, condition.value
    if spec.type is FieldType.PROSE:
        yield say(
            "plan.where_prose",
            "'{name}' is prose in a reader's own words, so no condition can be on it; "
            "read a yes or no (boolean), or set no condition.",
            name=condition.field,
        )
    elif test.of_numbers and spec.type not in _NUMBERS:
        yield say(
            "plan.where_numbers",
            "The condition on '{name}' of task '{task}' compares numbers, but it is a {type}.",
            name=condition.field, task=task.id, type=spec.type.value,
        )  # fmt: skip
    elif test.of_dates and spec.type is not FieldType.DATE:
        yield say(
            "plan.where_dates",
            "The condition on '{name}' of task '{task}' compares dates, but it is a {type}.",
            name=condition.field, task=task.id, type=spec.type.value,
        )  # fmt: skip
    elif test.of_numbers and number_of(value) is None:
        yield say(
            "plan.where_no_number",
            "The condition on '{name}' of task '{task}' compares with '{value}', which is no "
            "number such as 1000 or 99.50.",
            name=condition.field, task=task.id, value=value,
        )  # fmt: skip
    elif test.of_dates and not is_day(value):
        yield say(
            "plan.where_no_date",
            "The condition on '{name}' of task '{task}' compares with '{value}', which is no date "
            "such as 2026-01-31.",
            name=condition.field, task=task.id, value=value,
        )  # fmt: skip
    elif not value.strip():
        yield say(
            "plan.where_nothing",
            "The condition on '{name}' of task '{task}' compares with nothing.",
            name=condition.field, task=task.id,
        )  # fmt: skip
