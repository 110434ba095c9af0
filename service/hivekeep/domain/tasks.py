"""A free request as a small graph of tasks.

Responsible for the graph and for what makes one sound; a model proposes it, a person may change
it.  Invariant: a graph without problems can be executed in some order from its first task to its
last.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.saying import say

MOST_TASKS = 12
_ID = re.compile(r"[a-z][a-z0-9_-]{0,29}$")
_NUMBERS = (FieldType.AMOUNT, FieldType.NUMBER, FieldType.INTEGER)


class Work(StrEnum):
    """Who does a task that is done once."""

    AGENT = "agent"
    """An agent with tools, by a model."""
    TABLE = "table"
    """Code: the earlier results as rows, chosen, sorted and computed."""
    SUMMARY = "summary"
    """A tree of models: the earlier prose in a few sentences, each with its sources."""
    FOLDERS = "folders"
    """Code: each document is copied into the folder that an earlier value names."""


class Comparison(StrEnum):
    """What a condition asks of a value."""

    OVER = "over"
    AT_LEAST = "at_least"
    UNDER = "under"
    AT_MOST = "at_most"
    EQUAL = "equal"
    CONTAINS = "contains"
    AFTER = "after"
    BEFORE = "before"

    @property
    def of_numbers(self) -> bool:
        """Whether it compares numbers."""
        return self in _NUMERIC

    @property
    def of_dates(self) -> bool:
        """Whether it compares dates."""
        return self in (Comparison.AFTER, Comparison.BEFORE)


_NUMERIC = frozenset({Comparison.OVER, Comparison.AT_LEAST, Comparison.UNDER, Comparison.AT_MOST})


class Take(StrEnum):
    """What is computed over a column."""

    SUM = "sum"
    AVERAGE = "average"
    MIN = "min"
    MAX = "max"
    COUNT = "count"


_COMPUTED = {
    Take.SUM: _NUMBERS,
    Take.AVERAGE: _NUMBERS,
    Take.MIN: (*_NUMBERS, FieldType.DATE),
    Take.MAX: (*_NUMBERS, FieldType.DATE),
    Take.COUNT: tuple(FieldType),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A row stays if the value of ``field`` compares so with ``value``.

    ``value`` is a number with a point, a date as YYYY-MM-DD, or text, as ``is_`` wants it.
    """

    field: str
    is_: Comparison
    value: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One computed value: ``take`` over the column ``field``."""

    field: str
    take: Take


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task: what is to be done, with which tools, after which tasks, giving what.

    ``each_document`` means one agent for each input, which answers ``outputs`` from that document
    alone; otherwise the task is done once, by whom ``work`` says, with the results of the tasks it
    comes after.  ``where``, ``sort`` (a field; with a leading ``-`` the greatest first), ``most``
    (rows at most; 0: all) and ``figures`` belong to a table, ``folder`` (a field) to folders,
    ``tools`` to an agent.
    """

    id: str
    goal: str
    each_document: bool = False
    tools: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    outputs: tuple[FieldSpec, ...] = ()
    work: Work = Work.AGENT
    where: tuple[Condition, ...] = ()
    sort: str = ""
    most: int = 0
    figures: tuple[Figure, ...] = ()
    folder: str = ""


@dataclass(frozen=True, slots=True)
class TaskGraph:
    """The tasks in an order that respects their dependencies; ``note`` says who made it."""

    tasks: tuple[TaskSpec, ...]
    note: str = ""

    def task(self, name: str) -> TaskSpec:
        """The task of this id.

        :raises KeyError: if there is none.
        """
        for task in self.tasks:
            if task.id == name:
                return task
        raise KeyError(name)

    def ready(self, ended: Collection[str]) -> tuple[TaskSpec, ...]:
        """The tasks that have not ended and whose predecessors all have."""
        return tuple(
            task
            for task in self.tasks
            if task.id not in ended and all(before in ended for before in task.after)
        )

    def columns(self, task: TaskSpec) -> tuple[FieldSpec, ...]:
        """What was read off each document before ``task``, one column for each name."""
        found: dict[str, FieldSpec] = {}
        for before in self.tasks:
            if before.id in task.after and before.each_document:
                for spec in before.outputs:
                    found.setdefault(spec.name, spec)
        return tuple(found.values())


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
    names = [task.id for task in graph.tasks]
    for task in graph.tasks:
        if not _ID.match(task.id):
            yield say(
                "plan.bad_id", "'{task}' is no id: lower-case letters, digits, '-' and '_'.",
                task=task.id,
            )  # fmt: skip
        if task.id in seen:
            yield say("plan.twice", "The id '{task}' is taken twice.", task=task.id)
        if not task.goal.strip():
            yield say("plan.no_goal", "Task '{task}' has no goal.", task=task.id)
        if task.each_document and not task.outputs:
            yield say(
                "plan.no_outputs", "Task '{task}' works on each document and has no outputs.",
                task=task.id,
            )  # fmt: skip
        yield from _problems_of_names(task)
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
        if task.work is not Work.AGENT:
            yield from _problems_of_code(graph, task)
        of_table = task.where or task.sort or task.most or task.figures
        if of_table and task.work is not Work.TABLE:
            yield f"Task '{task.id}' is no table, so it has no where, sort, most or figures."
        if task.folder and task.work is not Work.FOLDERS:
            yield f"Task '{task.id}' puts nothing into folders, so it has no folder."
        if task.most < 0:
            yield f"Task '{task.id}' wants at most {task.most} rows."
        seen.add(task.id)
    if sum(task.work is Work.SUMMARY for task in graph.tasks) > 1:
        yield "There are several summaries over all documents; there can be one."


def _problems_of_names(task: TaskSpec) -> Iterator[str]:
    """Values are told apart by their names."""
    names = [spec.name for spec in task.outputs]
    if not all(name.strip() for name in names):
        yield say("plan.no_name", "An output of task '{task}' has no name.", task=task.id)
    for name in dict.fromkeys(name for name in names if name.strip() and names.count(name) > 1):
        yield say(
            "plan.name_twice", "Task '{task}' has the output '{name}' twice.",
            task=task.id, name=name,
        )  # fmt: skip


def _problems_of_code(graph: TaskGraph, task: TaskSpec) -> Iterator[str]:
    """What is wrong with a task that no agent with tools does."""
    if task.each_document or task.tools:
        yield f"Task '{task.id}' ({task.work.value}) is done once and without tools."
    columns = {spec.name: spec for spec in graph.columns(task)}
    if not columns:
        yield f"Task '{task.id}' ({task.work.value}) comes after no task on each document."
        return
    named = [c.field for c in task.where] + [f.field for f in task.figures]
    named += [task.sort.removeprefix("-")] if task.sort else []
    named += [task.folder] if task.work is Work.FOLDERS else []
    known = ", ".join(columns)
    for name in dict.fromkeys(named):
        if name not in columns:
            yield f"Task '{task.id}' uses the field '{name}'; there are only: {known}."
    for condition in task.where:
        if condition.field in columns:
            yield from _problems_of_condition(task, condition, columns[condition.field])
    for figure in task.figures:
        spec = columns.get(figure.field)
        if spec and spec.type not in _COMPUTED[figure.take]:
            yield f"'{figure.field}' is a {spec.type.value} and has no {figure.take.value}."
    texts = [spec for spec in columns.values() if spec.type is FieldType.PROSE]
    if task.work is Work.SUMMARY and not texts:
        yield f"Task '{task.id}' sums up prose, and nothing before it gives any."


def _problems_of_condition(task: TaskSpec, condition: Condition, spec: FieldSpec) -> Iterator[str]:
    test, value = condition.is_, condition.value
    if spec.type is FieldType.PROSE:
        yield (
            f"'{condition.field}' is prose in a reader's own words, so no condition can be on it; "
            "read a yes or no (boolean), or set no condition."
        )
        return
    what = f"The condition on '{condition.field}' of task '{task.id}'"
    if test.of_numbers and spec.type not in _NUMBERS:
        yield f"{what} compares numbers, but it is a {spec.type.value}."
    elif test.of_dates and spec.type is not FieldType.DATE:
        yield f"{what} compares dates, but it is a {spec.type.value}."
    elif test.of_numbers and number_of(value) is None:
        yield f"{what} compares with '{value}', which is no number such as 1000 or 99.50."
    elif test.of_dates and not is_day(value):
        yield f"{what} compares with '{value}', which is no date such as 2026-01-31."
    elif not value.strip():
        yield f"{what} compares with nothing."


def number_of(text: object) -> Decimal | None:
    """The finite number that ``text`` is in its normal form."""
    if text is None or isinstance(text, bool):
        return None
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def is_day(text: str) -> bool:
    """Whether ``text`` is a date as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
