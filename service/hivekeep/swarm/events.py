"""The names of journaled events and how a run's state is folded from them.

Responsible for the one transition function, ``apply``; every other module only emits events.
Invariant: applying the same events in order always gives the same record, so that the state after
a crash is the state before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from hivekeep.domain.budgets import Spent
from hivekeep.domain.fields import Plan, PlanKind
from hivekeep.domain.report import Failure
from hivekeep.domain.runs import (
    AgentRole,
    AgentState,
    InputFile,
    RunState,
    StepKind,
    TriggerKind,
    Usage,
)
from hivekeep.domain.tasks import TaskGraph
from hivekeep.domain.values import DocumentResult
from hivekeep.journal import Event, decode
from hivekeep.tools.spec import fingerprint


class Kind(StrEnum):
    """Every event kind of a run."""

    RUN_CREATED = "run.created"
    RUN_STARTED = "run.started"
    RUN_PAUSED = "run.paused"
    RUN_FINISHED = "run.finished"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    RUN_RESUMED = "run.resumed"
    INPUTS_ADDED = "run.inputs_added"
    PLAN_PROPOSED = "plan.proposed"
    PLAN_ACCEPTED = "plan.accepted"
    STEP_INTENDED = "step.intended"
    STEP_DONE = "step.done"
    STEP_FAILED = "step.failed"
    STEP_DOUBTED = "step.doubted"
    STEP_RESOLVED = "step.resolved"
    AGENT_SPAWNED = "agent.spawned"
    AGENT_ENDED = "agent.ended"


PLAN_WAITS = "plan"
"""Why a run is paused that waits for a person to accept its plan."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What was asked for; fixed in the first event of the run, but for inputs that join it later.

    ``goal`` is a free request's text, ``show_plan`` whether its plan waits for a person.
    ``previous`` is a run whose results are taken where they are still valid.  ``executor`` is
    where documents are read and checked; empty is this machine.  ``batch_seconds`` is how long a
    watched folder's run waits for another file after the latest before it delivers.
    """

    plan: Plan
    inputs: tuple[InputFile, ...]
    title: str
    trigger: TriggerKind
    output: str
    watch: str = ""
    batch: str = ""
    model_sha256: str = ""
    goal: str = ""
    show_plan: bool = True
    previous: str = ""
    draft_model_sha256: str = ""
    executor: str = ""
    batch_seconds: float = 0.0


@dataclass(slots=True)
class StepRecord:
    """One step of an agent: its kind, what was meant, and its result once it is done.

    ``intents`` counts the attempts.  ``doubt`` says why nobody knows whether an effect took place;
    ``verdict`` is what a person then said: ``happened`` or ``repeat``.
    """

    key: str
    kind: StepKind
    done: bool = False
    result: dict[str, Any] | None = None
    intents: int = 1
    intent: dict[str, Any] | None = None
    doubt: str = ""
    verdict: str = ""


@dataclass(slots=True)
class AgentRecord:
    """One sub-agent as its events tell it. ``seconds`` is the time its finished steps took.

    ``task`` names the task of a free request it works on; ``result`` holds its checked values.
    """

    id: str
    index: int
    input: InputFile
    state: AgentState = AgentState.WAITING
    steps: dict[str, StepRecord] = field(default_factory=dict)
    usage: Usage = Usage()
    seconds: float = 0.0
    result: DocumentResult | None = None
    failure: Failure | None = None
    role: AgentRole = AgentRole.DOCUMENT
    parent: str = ""
    depth: int = 0
    task: str = ""
    title: str = ""
    spent: Spent = Spent()


@dataclass(slots=True)
class RunRecord:
    """One run as its events tell it. Times are seconds since the epoch.

    ``batches`` names the batches of a watched folder whose files are its inputs.
    """

    id: str
    request: RunRequest
    created: float
    state: RunState = RunState.PENDING
    started: float | None = None
    ended: float | None = None
    last_agent_end: float = 0.0
    agents: dict[str, AgentRecord] = field(default_factory=dict)
    steps: dict[str, StepRecord] = field(default_factory=dict)
    deliverables: tuple[str, ...] = ()
    error: dict[str, str] | None = None
    program_version: str = ""
    paused_for: str = ""
    graph: TaskGraph | None = None
    graph_accepted: bool = False
    spent: Spent = Spent()
    agent_ends: list[float] = field(default_factory=list)
    batches: tuple[str, ...] = ()
    worked: float = 0.0
    """Seconds that it was under way until it last rested or the program last ended."""
    begun: float | None = None
    """When it last began to be under way; ``None`` while it rests."""
    last_event: float = 0.0

    def minutes(self, now: float) -> float:
        """How long it has been under way by ``now``; pauses do not count."""
        return (self.worked + (max(now - self.begun, 0.0) if self.begun is not None else 0.0)) / 60

    @property
    def usage(self) -> Usage:
        """Tokens over all agents."""
        return sum((agent.usage for agent in self.agents.values()), Usage())

    def documents(self) -> list[AgentRecord]:
        """The agents that work through a document each."""
        return [agent for agent in self.agents.values() if agent.role is AgentRole.DOCUMENT]

    @property
    def delivering(self) -> bool:
        """Whether something was begun that rests on all of its documents."""
        others = any(agent.role is not AgentRole.DOCUMENT for agent in self.agents.values())
        return others or bool(self.steps)

    def counts(self) -> dict[str, int]:
        """How many agents are in each state, states without agents left out.

        Planners and reducers are not counted: they stand for no input and no task.
        """
        counts: dict[str, int] = {}
        for agent in self.agents.values():
            if agent.role in (AgentRole.DOCUMENT, AgentRole.TASK):
                counts[agent.state.value] = counts.get(agent.state.value, 0) + 1
        return counts

    def doubts(self) -> list[tuple[str, StepRecord]]:
        """The steps in doubt that nobody has resolved, each with its agent's id."""
        owners = [("", self.steps), *((agent.id, agent.steps) for agent in self.agents.values())]
        return [
            (owner, step)
            for owner, steps in owners
            for step in steps.values()
            if step.doubt and not step.verdict
        ]


_STATE_DURING = {
    StepKind.READ: AgentState.READING,
    StepKind.GENERATE: AgentState.THINKING,
    StepKind.CHECK: AgentState.CHECKING,
    StepKind.ACT: AgentState.ACTING,
    StepKind.DELIVER: AgentState.ACTING,
}


def agent_id(run: str, index: int) -> str:
    """The id of the agent that works on input ``index`` (from 0) of ``run``."""
    return f"{run}.{index + 1:04d}"


def create(event: Event) -> RunRecord:
    """The record that a ``run.created`` event begins."""
    request = decode(RunRequest, event.payload["request"])
    batches = (request.batch,) if request.batch else ()
    record = RunRecord(id=event.run, request=request, created=event.at, batches=batches)
    if request.plan.kind is not PlanKind.ASK:
        # Which agents a free request has is for its plan to say.
        _add_documents(record, request.inputs, 0)
    return record


def begin(events: Sequence[Event]) -> RunRecord:
    """A run's record before its first step, with all the inputs that it ever took in."""
    first, *later = events
    record = create(first)
    for event in later:
        if event.kind == Kind.INPUTS_ADDED:
            apply(record, event)
    return record


def apply(record: RunRecord, event: Event) -> None:
    """Fold one event into ``record``."""
    payload = event.payload
    _count_time(record, event)
    match event.kind:
        case Kind.RUN_STARTED:
            record.state, record.paused_for = RunState.RUNNING, ""
            record.started = record.started or event.at
            record.program_version = payload.get("program_version", "")
        case Kind.RUN_PAUSED:
            record.state, record.paused_for = RunState.PAUSED, payload.get("for", "")
            _rest_agents(record, AgentState.WAITING)
        case Kind.RUN_FINISHED:
            record.state, record.ended = RunState.FINISHED, event.at
            record.deliverables = tuple(payload["deliverables"])
        case Kind.RUN_FAILED:
            record.state, record.ended = RunState.FAILED, event.at
            record.error = payload["error"]
        case Kind.RUN_CANCELLED:
            record.state, record.ended = RunState.CANCELLED, event.at
            _rest_agents(record, AgentState.CANCELLED)
        case Kind.RUN_RESUMED:
            _resume(record, retry_failed=bool(payload.get("retry_failed")))
        case Kind.INPUTS_ADDED:
            _add_inputs(record, payload)
        case Kind.PLAN_PROPOSED | Kind.PLAN_ACCEPTED:
            record.graph = decode(TaskGraph, payload["graph"])
            record.graph_accepted = event.kind == Kind.PLAN_ACCEPTED
        case Kind.AGENT_SPAWNED:
            _spawn(record, event)
        case Kind.AGENT_ENDED:
            _end_agent(record.agents[event.agent], payload)
            record.last_agent_end = event.at
            record.agent_ends.append(event.at)
        case (
            Kind.STEP_INTENDED
            | Kind.STEP_DONE
            | Kind.STEP_FAILED
            | Kind.STEP_DOUBTED
            | Kind.STEP_RESOLVED
        ):
            _apply_step(record, event)


_RESTS = frozenset({Kind.RUN_PAUSED, Kind.RUN_FINISHED, Kind.RUN_FAILED, Kind.RUN_CANCELLED})


def _count_time(record: RunRecord, event: Event) -> None:
    """Add up the time between a beginning and a rest; a crash rests at the last event before it."""
    if record.begun is not None and event.kind in (*_RESTS, Kind.RUN_STARTED):
        until = event.at if event.kind in _RESTS else record.last_event
        record.worked += max(until - record.begun, 0.0)
        record.begun = None
    if event.kind == Kind.RUN_STARTED:
        record.begun = event.at
    record.last_event = event.at


def fold(events: list[Event]) -> dict[str, RunRecord]:
    """The records of every run in ``events``, in the order in which the runs were created."""
    records: dict[str, RunRecord] = {}
    for event in events:
        if event.kind == Kind.RUN_CREATED:
            records[event.run] = create(event)
        elif event.run in records:
            apply(records[event.run], event)
    return records


def _add_inputs(record: RunRecord, payload: dict[str, Any]) -> None:
    before = record.request.inputs
    added = tuple(decode(InputFile, item) for item in payload["inputs"])
    record.request = replace(record.request, inputs=before + added)
    record.batches += (payload["batch"],)
    _add_documents(record, added, len(before))


def _add_documents(record: RunRecord, inputs: tuple[InputFile, ...], first: int) -> None:
    for index, source in enumerate(inputs, start=first):
        name = agent_id(record.id, index)
        record.agents[name] = AgentRecord(id=name, index=index, input=source)


def _apply_step(record: RunRecord, event: Event) -> None:
    agent = record.agents.get(event.agent)
    steps = agent.steps if agent else record.steps
    payload = event.payload
    key = payload["key"]
    kind = StepKind(payload["kind"])
    step = steps.get(key)
    match event.kind:
        case Kind.STEP_INTENDED:
            if step is None:
                steps[key] = StepRecord(key, kind, intent=payload.get("intent"))
            else:
                step.intents += 1
                step.intent, step.verdict = payload.get("intent"), ""
            if agent:
                agent.state = _STATE_DURING[kind]
        case Kind.STEP_DONE:
            if step is None:
                step = steps[key] = StepRecord(key, kind, intent=payload.get("intent"))
            step.done, step.result, step.doubt = True, payload["result"], ""
            _charge(record, agent, payload)
        case Kind.STEP_DOUBTED if step:
            step.doubt, step.verdict = payload["why"], ""
        case Kind.STEP_RESOLVED if step:
            step.verdict = payload["verdict"]


def _charge(record: RunRecord, agent: AgentRecord | None, payload: dict[str, Any]) -> None:
    """Add what a finished step used to its agent and its run."""
    usage = decode(Usage, payload["usage"]) if payload.get("usage") else Usage()
    seconds = float(payload.get("seconds", 0.0))
    spent = Spent(
        steps=1,
        tokens=usage.prompt + usage.completion,
        seconds=seconds,
        tool_calls=int(payload.get("calls", 0)),
        bytes_written=int(payload.get("written", 0)),
    )
    record.spent = record.spent + replace(spent, seconds=0.0)
    if elapsed := payload.get("elapsed"):
        whole = max(record.spent.seconds, float(elapsed))
        record.spent = replace(record.spent, seconds=whole)
    if agent:
        agent.spent = agent.spent + spent
        agent.seconds += seconds
        agent.usage = agent.usage + usage


def _spawn(record: RunRecord, event: Event) -> None:
    payload = event.payload
    source = payload.get("input")
    record.agents[event.agent] = AgentRecord(
        id=event.agent,
        index=int(payload.get("index", len(record.agents))),
        input=decode(InputFile, source) if source else InputFile("", "", 0),
        role=AgentRole(payload["role"]),
        parent=payload.get("parent", ""),
        depth=int(payload.get("depth", 1)),
        task=payload.get("task", ""),
        title=payload.get("title", ""),
    )


def _end_agent(agent: AgentRecord, payload: dict[str, Any]) -> None:
    agent.state = AgentState(payload["state"])
    agent.result = decode(DocumentResult, payload["result"]) if payload.get("result") else None
    agent.failure = decode(Failure, payload["failure"]) if payload.get("failure") else None


def _rest_agents(record: RunRecord, state: AgentState) -> None:
    for agent in record.agents.values():
        if not agent.state.ended:
            agent.state = state


def _resume(record: RunRecord, *, retry_failed: bool) -> None:
    record.state, record.ended, record.error = RunState.PENDING, None, None
    record.paused_for = ""
    record.deliverables = ()
    record.steps = {key: step for key, step in record.steps.items() if not _is_outcome(key)}
    anew = _to_begin_anew(record) if retry_failed else set()
    # What a worker started belongs to the attempt that is given up.
    record.agents = {k: a for k, a in record.agents.items() if a.parent not in anew}
    for agent in record.agents.values():
        doubtful = agent.failure is not None and agent.failure.reason == "in_doubt"
        if agent.id in anew:
            _begin_anew(agent)
        elif agent.state is AgentState.CANCELLED or (retry_failed and doubtful):
            agent.state, agent.failure = AgentState.WAITING, None


def _to_begin_anew(record: RunRecord) -> set[str]:
    """The ids of agents that failed, and of those whose results rest on theirs."""
    failed = {
        agent.id: agent
        for agent in record.agents.values()
        if agent.state is AgentState.FAILED
        and not (agent.failure and agent.failure.reason == "in_doubt")
        and agent.role is not AgentRole.PLANNER
    }
    tasks = {agent.task for agent in record.agents.values() if agent.state is AgentState.FAILED}
    for task in record.graph.tasks if record.graph else ():
        if tasks & set(task.after):
            tasks.add(task.id)
    documents = any(agent.role is AgentRole.DOCUMENT for agent in failed.values())
    resting = {
        agent.id
        for agent in record.agents.values()
        if (agent.role is AgentRole.REDUCER and documents)
        or (agent.role is AgentRole.TASK and agent.task in tasks and agent.state is AgentState.DONE)
    }
    return set(failed) | resting


def _is_outcome(key: str) -> bool:
    """Whether a run's step depends on how its agents ended."""
    return not key.startswith("read:")


def _begin_anew(agent: AgentRecord) -> None:
    """Try again what failed: what was read stays, what a model said about it does not.

    A step with an effect stays as well, so that trying again does not do it twice.
    """
    agent.state, agent.failure, agent.result = AgentState.WAITING, None, None
    agent.spent = Spent()
    kept: dict[str, StepRecord] = {}
    for key, step in agent.steps.items():
        intent = step.intent or {}
        by_tool = "tool" in intent
        read = agent.role is AgentRole.DOCUMENT and step.kind is StepKind.READ
        if read or (step.kind is StepKind.ACT and not by_tool):
            kept[key] = step
        elif step.done and intent.get("effect", "read") != "read":
            kept[f"acted:{fingerprint(intent['tool'], intent['arguments'])}"] = step
    agent.steps = kept
