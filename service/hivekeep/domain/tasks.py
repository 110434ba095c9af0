"""A free request as a small graph of tasks.

Responsible for the graph and for what makes one sound; a model proposes it, a person may change
it.  Invariant: a graph without problems can be executed in some order from its first task to its
last.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from hivekeep.domain.fields import FieldSpec

MOST_TASKS = 12
_ID = re.compile(r"[a-z][a-z0-9_-]{0,29}$")


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task: what is to be done, with which tools, after which tasks, giving what.

    ``each_document`` means one agent for each input, which answers ``outputs`` from that document
    alone; otherwise one agent works with ``tools`` and the results of the tasks it comes after.
    """

    id: str
    goal: str
    each_document: bool = False
    tools: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    outputs: tuple[FieldSpec, ...] = ()


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


def problems(graph: TaskGraph, tools: Collection[str], documents: int) -> Iterator[str]:
    """Everything that keeps ``graph`` from being executed, one line each."""
    if not graph.tasks:
        yield "There is no task."
    if len(graph.tasks) > MOST_TASKS:
        yield f"There are {len(graph.tasks)} tasks, at most {MOST_TASKS} may be."
    seen: set[str] = set()
    names = [task.id for task in graph.tasks]
    for task in graph.tasks:
        if not _ID.match(task.id):
            yield f"'{task.id}' is no id: lower-case letters, digits, '-' and '_'."
        if task.id in seen:
            yield f"The id '{task.id}' is taken twice."
        if not task.goal.strip():
            yield f"Task '{task.id}' has no goal."
        if task.each_document and not task.outputs:
            yield f"Task '{task.id}' works on each document and has no outputs."
        if task.each_document and not documents:
            yield f"Task '{task.id}' works on each document, and there are none."
        for tool in task.tools:
            if tool not in tools:
                yield f"Task '{task.id}' wants the tool '{tool}', which does not exist."
        for before in task.after:
            if before not in names:
                yield f"Task '{task.id}' comes after '{before}', which does not exist."
            elif before not in seen:
                yield f"Task '{task.id}' stands before '{before}', which it comes after."
        seen.add(task.id)
