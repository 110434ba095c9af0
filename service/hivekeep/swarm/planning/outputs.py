"""The values that a plan asks for, as fields.

Responsible for their names and for the labels of those that a recipe knows.  Invariant: a field
made here can be asked, checked and shown like a recipe's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hivekeep.domain.fields import FieldSpec, FieldType
from hivekeep.domain.tasks import TaskGraph
from hivekeep.swarm.prompting.schema import OTHER
from hivekeep.swarm.verification.text import fold

_NOT_ID = re.compile(r"[^a-z0-9_]+")


def output(
    name: str,
    kind: FieldType,
    description: str,
    choices: Sequence[str] = (),
    known: Sequence[FieldSpec] = (),
) -> FieldSpec:
    """The field of one value of a plan."""
    own = kind in (FieldType.PROSE, FieldType.BOOLEAN, FieldType.CHOICE)
    if kind is FieldType.CHOICE:
        # With a place for everything else a document always has one, and a small model that may
        # say null says it.
        choices = tuple(dict.fromkeys((*choices, OTHER)))
    spec = FieldSpec(
        name=name,
        type=kind,
        title=name.replace("_", " ").capitalize(),
        description=" ".join(description.split()),
        choices=tuple(choices),
        required=kind is FieldType.CHOICE,
        grounded=not own,
        max_length=900 if kind is FieldType.PROSE else 200,
    )
    return labelled(spec, known)


def labelled(spec: FieldSpec, known: Sequence[FieldSpec]) -> FieldSpec:
    """``spec`` with the labels of the known field that it is, if it is one."""
    same = next((each for each in known if _same(spec, each)), None)
    return replace(spec, aliases=same.aliases) if same and not spec.aliases else spec


def labelled_graph(graph: TaskGraph, known: Sequence[FieldSpec]) -> TaskGraph:
    """``graph`` with the labels of known fields in the tasks that read documents."""
    tasks = tuple(
        replace(task, outputs=tuple(labelled(spec, known) for spec in task.outputs))
        if task.each_document
        else task
        for task in graph.tasks
    )
    return replace(graph, tasks=tasks)


def identifier(raw: Any) -> str:
    """A name as a field or a task can have it; empty if nothing is left."""
    text = _NOT_ID.sub("_", str(raw or "").strip().lower()).strip("_")
    text = text if text[:1].isalpha() else f"t_{text}".rstrip("_") if text else ""
    return text[:30].rstrip("_")


def _same(spec: FieldSpec, known: FieldSpec) -> bool:
    if spec.type is not known.type:
        return False
    words = fold(spec.name.replace("_", " "))
    return words in {fold(known.name.replace("_", " ")), *(fold(each) for each in known.aliases)}
