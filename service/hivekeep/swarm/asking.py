"""A free request from its words to the end of its last task.

Responsible for having a plan made, for waiting until a person has agreed to it where that is asked,
and for executing its tasks in an order that respects what they depend on.  Invariant: no task runs
before its plan is accepted in the journal, and a task that fails takes no other along but those
that have nothing left to go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import anyio

from hivekeep.domain.actions import Label
from hivekeep.domain.errors import EngineError, HivekeepError, ToolError, UsageError
from hivekeep.domain.fields import FieldSpec, FieldType, Plan
from hivekeep.domain.grants import Grant
from hivekeep.domain.provenance import TRUSTED, Origin, OriginKind, Provenance, join_all, of
from hivekeep.domain.runs import AgentRole, AgentState
from hivekeep.domain.saying import say
from hivekeep.domain.tasks import TaskGraph, TaskSpec, Work
from hivekeep.domain.values import DocumentResult
from hivekeep.journal import encode
from hivekeep.swarm.agent import Agent, steps_per_document
from hivekeep.swarm.events import PLAN_WAITS, AgentRecord, Kind
from hivekeep.swarm.execution import Execution
from hivekeep.swarm.labels import from_seen, joined
from hivekeep.swarm.library import RunLibrary
from hivekeep.swarm.overview import write_overview
from hivekeep.swarm.patterns.aggregate import (
    Aggregate,
    Finding,
    findings_text,
    provenance_of_findings,
)
from hivekeep.swarm.patterns.delegate import Delegate, Errand
from hivekeep.swarm.patterns.loop import MOST_TURNS
from hivekeep.swarm.patterns.reduce import most_reducers
from hivekeep.swarm.planning import PLAN_TOKENS, planned, task_plan, unplanned
from hivekeep.swarm.settled_tasks import SettledTask
from hivekeep.swarm.thinking import Thinker
from hivekeep.swarm.worker import Assignment, Worker
from hivekeep.tools import Registry, ToolSpec

_OWN_STEPS = 10


class Asking:
    """The execution of one free request."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._request = execution.record.request
        self._library = RunLibrary(execution.log, execution.ports, execution.quarantine)
        # Planners may name these two; an agent gets its own, bound to what it may know and start.
        self._tools = execution.tools.with_tools(Aggregate(), Delegate(self._run_errand))
        self._read = tuple(source.path for source in self._request.inputs)

    async def run(self) -> bool:
        """Do what is still to be done; false if the run has to wait for a person."""
        graph = self._execution.record.graph
        if graph is None:
            graph = await self._propose()
            await self._emit(Kind.PLAN_PROPOSED, graph)
        if not self._execution.record.graph_accepted:
            if self._request.show_plan:
                await self._execution.log.emit(Kind.RUN_PAUSED, {"for": PLAN_WAITS})
                return False
            await self._emit(Kind.PLAN_ACCEPTED, graph)
        require_steps(graph, self._request.plan, len(self._read), self._execution.most_steps)
        await self._tasks(graph)
        return True

    async def _emit(self, kind: Kind, graph: TaskGraph) -> None:
        await self._execution.log.emit(kind, {"graph": encode(graph), "edited": False})

    async def _propose(self) -> TaskGraph:
        """The model's plan; one by fixed rules if it gives none that can be carried out."""
        execution, goal = self._execution, self._request.goal
        agent = await execution.spawn(
            f"{execution.record.id}.plan", AgentRole.PLANNER, title="Planning", depth=0
        )
        proposed: list[TaskGraph] = []
        plan = replace(self._request.plan, max_tokens=PLAN_TOKENS)
        ask = Thinker(execution.log, execution.ports, agent.id, plan)
        specs, known = offered_specs(self._tools), execution.ports.known_fields()
        names = self._library.names

        async def think() -> None:
            graph, why = await planned(ask, goal, names, specs, known)
            proposed.append(graph)
            if why:
                raise EngineError("The model proposed no usable plan.", why=why)

        if agent.state is AgentState.DONE:
            # Its answers are in the journal; only what follows from them is made again.
            await think()
        elif not agent.state.ended:
            await execution.together([(agent, partial(execution.guarded, agent, think))])
        why = agent.failure.line if agent.failure else ""
        return proposed[0] if proposed else unplanned(goal, names, specs, known, why)

    async def _tasks(self, graph: TaskGraph) -> None:
        ended = {task.id: anyio.Event() for task in graph.tasks}

        async def one(task: TaskSpec) -> None:
            for before in task.after:
                await ended[before].wait()
            if task.each_document:
                await self._each(task)
            else:
                await self._once(graph, task)
            ended[task.id].set()

        async with anyio.create_task_group() as tasks:
            for task in graph.tasks:
                tasks.start_soon(one, task, name=task.id)

    async def _each(self, task: TaskSpec) -> None:
        """One reader for each input; a reader has no tools, and what it gives fits a schema."""
        execution = self._execution
        plan = task_plan(self._request.plan, task)
        works = []
        for index, source in enumerate(self._request.inputs):
            agent = await execution.spawn(
                f"{execution.record.id}.{task.id}.{index + 1:04d}", AgentRole.DOCUMENT,
                title=task.goal, source=source, index=index, task=task.id,
            )  # fmt: skip
            if not agent.state.ended:
                works.append((agent, self._reader(agent, plan).run))
        await execution.together(works)

    async def _once(self, graph: TaskGraph, task: TaskSpec) -> None:
        execution = self._execution
        agent = await execution.spawn(
            f"{execution.record.id}.{task.id}", AgentRole.TASK, title=task.goal, task=task.id
        )
        if agent.state.ended:
            return
        findings = self._findings(task)

        async def work() -> DocumentResult | None:
            if task.after and all(finding.failure for finding in findings):
                raise HivekeepError(
                    "There is nothing to go on.",
                    why=f"{', '.join(task.after)} gave no result.",
                    next_step="'hivekeep runs retry' tries what failed again.",
                )
            match task.work:
                case Work.AGENT:
                    return await self._worker(agent, task, findings, self._grant(task)).run()
                case Work.SUMMARY:
                    return await self._sum_up(agent, graph, task)
            settled = SettledTask(agent, execution.log, execution.ports, task, graph)
            return from_seen(await settled.run(), provenance_of_findings(findings))

        await execution.together([(agent, partial(execution.guarded, agent, work))])

    async def _sum_up(self, agent: AgentRecord, graph: TaskGraph, task: TaskSpec) -> DocumentResult:
        """The overview over what the readers before ``task`` wrote."""
        readers = [each for each in graph.tasks if each.id in task.after and each.each_document]
        plan = replace(
            self._request.plan, instructions=f"You sum up documents for this request: {task.goal}"
        )
        async with self._execution.waiting(agent.id):
            count = await write_overview(
                self._execution, plan, {each.id: task_plan(plan, each) for each in readers}
            )
        few = () if count else ("Fewer than two documents gave anything to sum up.",)
        return DocumentResult((), few)

    def _reader(self, agent: AgentRecord, plan: Plan) -> Agent:
        execution = self._execution
        return Agent(agent, execution.log, execution.ports, execution.quarantine, plan)

    def _worker(
        self,
        agent: AgentRecord,
        task: TaskSpec,
        findings: Sequence[Finding],
        grant: Grant,
        asked_by: Provenance = TRUSTED,
    ) -> Worker:
        execution = self._execution
        tools = self._tools.with_tools(Aggregate(findings), Delegate(self._run_errand))
        seen = asked_by
        seen = seen.join(provenance_of_findings(findings))
        if self._request.inputs and not self._request.show_plan:
            # Whoever made the plan had seen names that senders chose, and nobody looked at it.
            names = Origin(Label.UNTRUSTED, OriginKind.FILE_NAME, "names of the documents")
            seen = seen.join(of(names))
        if not self._request.show_plan:
            # Nor at the descriptions of tools that their servers wrote.
            seen = join_all((seen, *(spec.described_by for spec in self._tools.specs)))
        known = findings_text(findings)
        given = Assignment(task, grant, tools, known, seen, execution.output)
        return Worker(agent, execution.log, execution.ports, self._library, given)

    def _grant(self, task: TaskSpec) -> Grant:
        """The rights of a task's worker: its plan's tools, this run's inputs, its own folder."""
        return Grant(
            tools=(*task.tools, *(("aggregate",) if task.after else ())),
            read=self._read,
            write=(self._execution.output,),
            agents=len(self._read) + MOST_TURNS,
            depth=self._execution.depth - 1,
        )

    def _findings(self, task: TaskSpec) -> list[Finding]:
        found: list[Finding] = []
        for agent in self._execution.record.agents.values():
            if agent.task in task.after and agent.depth == 1:
                name = self._library.name_of(agent.input.path) if agent.input.path else agent.task
                found.append(_finding(agent, name))
        return found

    async def _run_errand(self, errand: Errand) -> list[Finding]:
        """Do what an agent has asked others to do, and tell what they found."""
        execution = self._execution
        parent = execution.record.agents[errand.agent]
        depth = parent.depth + 1
        if depth > execution.depth or errand.grant.depth < 1:
            raise ToolError(
                "This agent may not start others.", why=f"{execution.depth} levels are the limit."
            )
        outputs = tuple(_wanted(name, errand.goal) for name in errand.outputs)
        task = TaskSpec(errand.key.rsplit("/", 1)[-1], errand.goal, outputs=outputs)
        started: list[tuple[AgentRecord, str]] = []
        works = []
        for number, name in enumerate(errand.files or ("",), start=1):
            source = self._library.input(name) if name else None
            if source:
                errand.grant.require_read(source.path)
            agent = await execution.spawn(
                f"{parent.id}.{_short(errand.key)}-{number:02d}",
                AgentRole.DOCUMENT if source else AgentRole.TASK,
                title=errand.goal, source=source, index=number, parent=parent.id, depth=depth,
                task=parent.task,
            )  # fmt: skip
            started.append((agent, name or errand.goal[:60]))
            if agent.state.ended:
                continue
            if source:
                plan = task_plan(self._request.plan, task)
                works.append((agent, self._reader(agent, plan).run))
            else:
                # A grant can only shrink on its way down.
                grant = errand.grant.attenuate(errand.grant)
                worker = self._worker(agent, task, [], grant, errand.provenance)
                works.append((agent, partial(execution.guarded, agent, worker.run)))
        async with execution.waiting(parent.id):
            await execution.together(works)
        return [_finding(agent, name) for agent, name in started]


def planning_specs(tools: Registry) -> tuple[ToolSpec, ...]:
    """All tools that a plan may give to a task, by name."""
    found = {spec.name: spec for spec in (*tools.specs, Aggregate.spec, Delegate.spec)}
    return tuple(found[name] for name in sorted(found))


def planning_tools(tools: Registry) -> tuple[str, ...]:
    """The names of all tools that a plan may give to a task."""
    return tuple(spec.name for spec in planning_specs(tools))


def offered_specs(tools: Registry) -> tuple[ToolSpec, ...]:
    """The tools that a model is offered for agents when it plans.

    What earlier tasks found is shown to every agent that comes after them, and computed over by
    tables, so that 'aggregate' need not be chosen.
    """
    return tuple(spec for spec in tools.specs if spec.name != "aggregate")


def require_steps(graph: TaskGraph, plan: Plan, documents: int, most: int) -> None:
    """Refuse a plan that could need more steps than a run may take.

    :raises UsageError: with both numbers.
    """
    steps = most_steps(graph, plan, documents)
    allowed = min(most, plan.limits.run.steps or most)
    if steps > allowed:
        raise UsageError(
            say("error.plan_steps", "The plan would need up to {steps} steps.", steps=steps),
            why=say("why.step_limit", "{most} is the limit for one run.", most=allowed),
            next_step=say("next.fewer", "Give fewer documents, or a plan with fewer tasks."),
        )


def most_steps(graph: TaskGraph, plan: Plan, documents: int) -> int:
    """The most steps that a graph can take, agents that its workers start not counted."""
    total = _OWN_STEPS
    for task in graph.tasks:
        match task.work:
            case _ if task.each_document:
                total += documents * steps_per_document(task_plan(plan, task))
            case Work.AGENT:
                total += 2 * MOST_TURNS
            case Work.SUMMARY:
                total += most_reducers(plan, documents) + 1
            case _:
                total += 2 * documents + 1
    return total


def _finding(agent: AgentRecord, name: str) -> Finding:
    failure = ""
    if agent.result is None:
        failure = agent.failure.reason if agent.failure else agent.state.value
    values = agent.result.values if agent.result else ()
    provenance = joined(agent.result)
    if agent.input.path:
        # A sender chooses the names of what he sends.
        provenance = provenance.join(of(Origin(Label.UNTRUSTED, OriginKind.FILE_NAME, name)))
    return Finding(agent.task, name, values, failure, provenance)


def _wanted(name: str, goal: str) -> FieldSpec:
    own = name in ("answer", "summary", "reason")
    kind = FieldType.PROSE if own else FieldType.TEXT
    return FieldSpec(name, kind, name.replace("_", " "), goal[:120], grounded=not own)


def _short(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:6]
