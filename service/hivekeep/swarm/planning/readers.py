"""What the reader of one document is asked in a planned task.

Responsible for the plan of such a reader.  Invariant: it depends on the request and the task alone,
so that readers of one task share what their prompts begin with.
"""

from __future__ import annotations

from dataclasses import replace

from hivekeep.domain.fields import FieldType, Plan, PlanKind
from hivekeep.domain.tasks import TaskSpec


def task_plan(base: Plan, task: TaskSpec) -> Plan:
    """The plan of a reader that works on ``task`` in one document.

    A task that asks for prose reads the whole document, however long it is.
    """
    prose = any(spec.type is FieldType.PROSE for spec in task.outputs)
    free = all(not spec.grounded or spec.type is FieldType.TEXT for spec in task.outputs)
    return replace(
        base,
        kind=PlanKind.SUMMARIZE if prose and free else base.kind,
        instructions=f"You read one document for the request '{base.title}'. {task.goal}",
        fields=task.outputs,
    )
