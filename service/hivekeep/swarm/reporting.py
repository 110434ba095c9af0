"""A run's record as the report that deliverables are made of.

Responsible for selecting and merging; not for wording or layout.  Invariant: the same record always
gives the same report, and every input that had an agent appears in it exactly once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hivekeep.domain.fields import FieldSpec, PlanKind
from hivekeep.domain.report import DocumentOutcome, RunReport, Statement, TaskOutcome
from hivekeep.domain.runs import AgentRole, AgentState, Usage
from hivekeep.domain.values import CheckedValue, DocumentResult
from hivekeep.journal import decode
from hivekeep.swarm.events import AgentRecord, RunRecord
from hivekeep.swarm.settled_tasks import task_fields

OVERVIEW = "overview"
"""The run's step that holds the sentences over all documents."""


def build_report(record: RunRecord, program_version: str) -> RunReport:
    """The run as plain data for deliverables; the same record always gives the same report."""
    request = record.request
    started = record.started or record.created
    asked = request.plan.kind is PlanKind.ASK
    fields, documents = _merged(record) if asked else (request.plan.fields, _outcomes(record))
    return RunReport(
        run=record.id,
        title=request.title,
        recipe=request.plan.recipe,
        recipe_version=request.plan.recipe_version,
        recipe_hash=request.plan.recipe_hash,
        model=request.plan.model,
        model_sha256=request.model_sha256,
        started=datetime.fromtimestamp(started, UTC),
        finished=datetime.fromtimestamp(max(record.last_agent_end, started), UTC),
        fields=fields,
        documents=documents,
        usage=record.usage,
        program_version=program_version,
        overview=_overview(record),
        request=request.goal,
        tasks=_tasks(record),
        task_fields=task_fields(record.graph) if record.graph else (),
        missing=tuple(missing(record)),
        plan_note=record.graph.note if record.graph else "",
    )


def missing(record: RunRecord) -> list[str]:
    """What the result lacks, one line each; empty if it is whole."""
    lines: list[str] = []
    documents = record.documents()
    reasons: dict[str, int] = {}
    for agent in documents:
        if agent.result is None:
            reason = agent.failure.reason if agent.failure else agent.state.value
            reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        named = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        lines.append(f"{sum(reasons.values())} of {len(documents)} documents: {named}")
    for agent in record.agents.values():
        if agent.role in (AgentRole.TASK, AgentRole.REDUCER) and agent.failure:
            lines.append(f"{agent.title}: {agent.failure.line}")
    lines += [f"Step {step.key} of {owner} is in doubt." for owner, step in record.doubts()]
    return lines


def _outcomes(record: RunRecord) -> tuple[DocumentOutcome, ...]:
    return tuple(_outcome(agent) for agent in record.documents())


def _outcome(agent: AgentRecord) -> DocumentOutcome:
    read = _read_result(agent)
    return DocumentOutcome(
        path=agent.input.path,
        sha256=agent.input.sha256,
        size=agent.input.size,
        state=agent.state,
        pages=int(read["pages"]) if read else 0,
        media_type=str(read["media_type"]) if read else "",
        result=agent.result,
        failure=agent.failure,
        notes=tuple(read["notes"]) if read else (),
        usage=agent.usage,
        seconds=agent.seconds,
    )


def _read_result(agent: AgentRecord) -> dict[str, Any] | None:
    step = agent.steps.get("read")
    return step.result if step and step.done else None


def _merged(
    record: RunRecord,
) -> tuple[tuple[FieldSpec, ...], tuple[DocumentOutcome, ...]]:
    """A free request's per-document tasks side by side: one outcome for each input."""
    tasks = [task for task in record.graph.tasks if task.each_document] if record.graph else []
    columns: list[tuple[str, FieldSpec, FieldSpec]] = []
    taken: set[str] = set()
    for task in tasks:
        for spec in task.outputs:
            name = spec.name if spec.name not in taken else f"{task.id}_{spec.name}"
            taken.add(name)
            columns.append((task.id, spec, replace(spec, name=name)))
    by_input: dict[str, dict[str, AgentRecord]] = {}
    for agent in record.documents():
        if agent.depth == 1:
            by_input.setdefault(agent.input.path, {})[agent.task] = agent
    documents = []
    for agents in by_input.values():
        values = tuple(
            replace(value, name=shown.name)
            for task, spec, shown in columns
            if (value := _value(agents.get(task), spec.name)) is not None
        )
        documents.append(_side_by_side(tuple(agents.values()), values))
    return tuple(shown for _, _, shown in columns), tuple(documents)


def _value(agent: AgentRecord | None, name: str) -> CheckedValue | None:
    return agent.result.get(name) if agent and agent.result else None


def _side_by_side(
    agents: tuple[AgentRecord, ...], values: tuple[CheckedValue, ...]
) -> DocumentOutcome:
    first = _outcome(agents[0])
    done = [agent for agent in agents if agent.result is not None]
    failed = [agent.failure for agent in agents if agent.failure is not None]
    if not done:
        return first
    problems = tuple(line for agent in done if agent.result for line in agent.result.problems)
    return replace(
        _outcome(done[0]),
        state=AgentState.DONE,
        result=DocumentResult(values, (*problems, *(failure.line for failure in failed))),
        failure=None,
        usage=sum((agent.usage for agent in agents), Usage()),
        seconds=sum(agent.seconds for agent in agents),
    )


def _overview(record: RunRecord) -> tuple[Statement, ...]:
    step = record.steps.get(OVERVIEW)
    if step is None or step.result is None:
        return ()
    return tuple(decode(Statement, item) for item in step.result["statements"])


def _tasks(record: RunRecord) -> tuple[TaskOutcome, ...]:
    """The outcome of each task that is not about single documents, in the plan's order."""
    workers = {
        agent.task: agent
        for agent in record.agents.values()
        if agent.role is AgentRole.TASK and agent.depth == 1
    }
    tasks = record.graph.tasks if record.graph else ()
    return tuple(_task(workers[task.id]) for task in tasks if task.id in workers)


def _task(agent: AgentRecord) -> TaskOutcome:
    return TaskOutcome(
        id=agent.task,
        goal=agent.title,
        state=agent.state,
        values=agent.result.values if agent.result else (),
        problems=agent.result.problems if agent.result else (),
        failure=agent.failure,
        files=tuple(written(agent)),
    )


def written(agent: AgentRecord) -> list[str]:
    """The files that an agent's tool calls have written."""
    paths = []
    for step in agent.steps.values():
        data = (step.result or {}).get("data")
        if isinstance(data, dict) and "path" in data:
            paths.append(str(data["path"]))
    return paths
