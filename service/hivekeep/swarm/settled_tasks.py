"""The tasks of a free request that code settles: a table, and documents put into folders.

Responsible for taking what readers found to these tasks, each as durable steps of its agent; what
is computed is ``patterns.table``'s, how a file is copied is ``filing``'s.  Invariant: a document
that cannot be put where it belongs takes no other along, and the result says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hivekeep.domain.errors import AuditError, BudgetError, HivekeepError, JournalError
from hivekeep.domain.fields import FieldSpec, FieldType, FileAction, FileActionKind
from hivekeep.domain.runs import AgentRole, StepKind
from hivekeep.domain.tasks import TaskGraph, TaskSpec, Work
from hivekeep.domain.values import CheckedValue, DocumentResult, FieldValue, ValueStatus
from hivekeep.journal import decode, encode
from hivekeep.swarm.events import AgentRecord, RunRecord
from hivekeep.swarm.filing import file_document
from hivekeep.swarm.patterns.table import Row, file_cell, rows_value, table, table_spec
from hivekeep.swarm.ports import Ports
from hivekeep.swarm.steps import RunLog, StepOutcome

SORTED = "Sorted"
"""The folder below a run's output that holds copies of documents by their kind."""
_FOLDER = FieldSpec("folder", FieldType.TEXT, "Folder", "where it was put", grounded=False)
_TARGET = FieldSpec("copy", FieldType.TEXT, "Copy", "path of the copy", grounded=False)


def task_fields(graph: TaskGraph) -> tuple[FieldSpec, ...]:
    """What the tasks that are done once give, as fields."""
    found: list[FieldSpec] = []
    for task in graph.tasks:
        if task.work is Work.TABLE:
            columns = graph.columns(task)
            found.append(table_spec(task, columns))
            known = {spec.name: spec for spec in columns}
            for figure in task.figures:
                name = f"{figure.take.value}_{figure.field}"
                of = known.get(figure.field)
                title = f"{figure.take.value.capitalize()} of {of.title if of else figure.field}"
                kind = of.type if of and figure.take.value != "count" else FieldType.INTEGER
                found.append(FieldSpec(name, kind, title))
        elif task.work is Work.FOLDERS:
            found.append(_folders_spec(task))
        elif not task.each_document:
            found += task.outputs
    return tuple(found)


@dataclass(frozen=True, slots=True)
class SettledTask:
    """One task that needs no model; ``run`` gives what its agent hands back."""

    agent: AgentRecord
    log: RunLog
    ports: Ports
    task: TaskSpec
    graph: TaskGraph

    async def run(self) -> DocumentResult:
        """Do it.

        :raises HivekeepError: if journal, audit log or disk fail.
        """
        rows = _rows(self.log.record, self.task)
        if self.task.work is Work.FOLDERS:
            return await self._folders(rows)

        async def perform() -> StepOutcome:
            result = table(self.task, self.graph.columns(self.task), rows)
            return StepOutcome({"result": encode(result)})

        step = self.log.step
        done = await step("table", StepKind.CHECK, {}, perform, agent=self.agent.id)
        return decode(DocumentResult, done["result"])

    async def _folders(self, rows: Sequence[Row]) -> DocumentResult:
        action = FileAction(
            FileActionKind.COPY, str(Path(self.log.record.request.output) / SORTED), ""
        )
        sources = {source.path: source for source in self.log.record.request.inputs}
        places = {path: number for number, path in enumerate(sources, start=1)}
        cells = []
        refused: dict[str, int] = {}
        for row in rows:
            chosen = row.get(self.task.folder)
            folder = str(chosen.value) if chosen else ""
            try:
                path = await file_document(
                    self.log, self.ports, sources[row.path], action, folder,
                    agent=self.agent.id, key=f"act:{places[row.path]}",
                )  # fmt: skip
                copied = FieldValue(_TARGET.name, path, ValueStatus.JUDGED)
            except (JournalError, AuditError, BudgetError):
                raise
            except HivekeepError as error:
                why = " ".join(part for part in (error.what, error.next_step) if part)
                refused[why] = refused.get(why, 0) + 1
                copied = FieldValue(
                    _TARGET.name, None, ValueStatus.NEEDS_REVIEW, reason=f"Not copied: {error}"
                )
            named = FieldValue(_FOLDER.name, folder or None, ValueStatus.JUDGED)
            cells.append((file_cell(row.path), named, copied))
        problems = tuple(f"{count} not copied: {what}" for what, count in refused.items())
        return DocumentResult((rows_value(self.task.id, tuple(cells)),), problems)


def _folders_spec(task: TaskSpec) -> FieldSpec:
    file = FieldSpec("file", FieldType.TEXT, "File", grounded=False)
    return FieldSpec(task.id, FieldType.ROWS, task.goal, columns=(file, _FOLDER, _TARGET))


def _rows(record: RunRecord, task: TaskSpec) -> list[Row]:
    """What the readers before ``task`` found, document by document."""
    found: dict[str, dict[str, CheckedValue]] = {}
    for agent in record.agents.values():
        read = agent.role is AgentRole.DOCUMENT and agent.depth == 1 and agent.task in task.after
        if read and agent.result is not None:
            values = found.setdefault(agent.input.path, {})
            for value in agent.result.values:
                values.setdefault(value.name, value)
    return [Row(path, values) for path, values in found.items()]
