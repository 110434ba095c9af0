"""A free request as a small graph of tasks.

Responsible for the graph's parts and their order; a model proposes it, a person may change it, and
``task_problems`` says whether it is sound.  Invariant: its tasks stand in an order in which they
can be executed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from hivekeep.domain.fields import FieldSpec

MOST_TASKS = 12


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
