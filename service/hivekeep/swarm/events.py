"""The names of journaled events and how a run's state is folded from them.

Responsible for the one transition function, ``apply``; every other module only emits events.
Invariant: applying the same events in order always gives the same record, so that the state after
a crash is the state before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hivekeep.domain.fields import Plan
from hivekeep.domain.report import Failure
from hivekeep.domain.runs import AgentState, InputFile, RunState, StepKind, TriggerKind, Usage
from hivekeep.domain.values import DocumentResult
from hivekeep.journal import Event, decode


class Kind(StrEnum):
    """Every event kind of a run."""

    RUN_CREATED = "run.created"
    RUN_STARTED = "run.started"
    RUN_FINISHED = "run.finished"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    RUN_RESUMED = "run.resumed"
    STEP_INTENDED = "step.intended"
    STEP_DONE = "step.done"
    STEP_FAILED = "step.failed"
    AGENT_ENDED = "agent.ended"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What was asked for; fixed in the first event of the run."""

    plan: Plan
    inputs: tuple[InputFile, ...]
    title: str
    trigger: TriggerKind
    output: str
    watch: str = ""
    batch: str = ""
    model_sha256: str = ""


@dataclass(slots=True)
class StepRecord:
    """One step of an agent: its kind, and its result once it is done."""

    key: str
    kind: StepKind
    done: bool = False
    result: dict[str, Any] | None = None
    intents: int = 1


@dataclass(slots=True)
class AgentRecord:
    """One sub-agent as its events tell it. ``seconds`` is the time its finished steps took."""

    id: str
    index: int
    input: InputFile
    state: AgentState = AgentState.WAITING
    steps: dict[str, StepRecord] = field(default_factory=dict)
    usage: Usage = Usage()
    seconds: float = 0.0
    result: DocumentResult | None = None
    failure: Failure | None = None


@dataclass(slots=True)
class RunRecord:
    """One run as its events tell it. Times are seconds since the epoch."""

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

    @property
    def usage(self) -> Usage:
        """Tokens over all agents."""
        return sum((agent.usage for agent in self.agents.values()), Usage())

    def counts(self) -> dict[str, int]:
        """How many agents are in each state, states without agents left out."""
        counts: dict[str, int] = {}
        for agent in self.agents.values():
            counts[agent.state.value] = counts.get(agent.state.value, 0) + 1
        return counts


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
    record = RunRecord(id=event.run, request=request, created=event.at)
    for index, source in enumerate(request.inputs):
        name = agent_id(event.run, index)
        record.agents[name] = AgentRecord(id=name, index=index, input=source)
    return record


def apply(record: RunRecord, event: Event) -> None:
    """Fold one event into ``record``."""
    payload = event.payload
    match event.kind:
        case Kind.RUN_STARTED:
            record.state = RunState.RUNNING
            record.started = record.started or event.at
        case Kind.RUN_FINISHED:
            record.state, record.ended = RunState.FINISHED, event.at
            record.deliverables = tuple(payload["deliverables"])
        case Kind.RUN_FAILED:
            record.state, record.ended = RunState.FAILED, event.at
            record.error = payload["error"]
        case Kind.RUN_CANCELLED:
            record.state, record.ended = RunState.CANCELLED, event.at
            _cancel_agents(record)
        case Kind.RUN_RESUMED:
            _resume(record, retry_failed=bool(payload.get("retry_failed")))
        case Kind.STEP_INTENDED | Kind.STEP_DONE | Kind.STEP_FAILED:
            _apply_step(record, event)
        case Kind.AGENT_ENDED:
            _end_agent(record.agents[event.agent], payload)
            record.last_agent_end = event.at


def fold(events: list[Event]) -> dict[str, RunRecord]:
    """The records of every run in ``events``, in the order in which the runs were created."""
    records: dict[str, RunRecord] = {}
    for event in events:
        if event.kind == Kind.RUN_CREATED:
            records[event.run] = create(event)
        elif event.run in records:
            apply(records[event.run], event)
    return records


def _apply_step(record: RunRecord, event: Event) -> None:
    agent = record.agents.get(event.agent)
    steps = agent.steps if agent else record.steps
    key = event.payload["key"]
    kind = StepKind(event.payload["kind"])
    if event.kind == Kind.STEP_INTENDED:
        if key in steps:
            steps[key].intents += 1
        else:
            steps[key] = StepRecord(key=key, kind=kind)
        if agent:
            agent.state = _STATE_DURING[kind]
        return
    if event.kind == Kind.STEP_FAILED:
        return
    step = steps.setdefault(key, StepRecord(key=key, kind=kind))
    step.done, step.result = True, event.payload["result"]
    if agent:
        agent.seconds += float(event.payload.get("seconds", 0.0))
        if usage := event.payload.get("usage"):
            agent.usage = agent.usage + decode(Usage, usage)


def _end_agent(agent: AgentRecord, payload: dict[str, Any]) -> None:
    agent.state = AgentState(payload["state"])
    agent.result = decode(DocumentResult, payload["result"]) if payload.get("result") else None
    agent.failure = decode(Failure, payload["failure"]) if payload.get("failure") else None


def _cancel_agents(record: RunRecord) -> None:
    for agent in record.agents.values():
        if not agent.state.ended:
            agent.state = AgentState.CANCELLED


def _resume(record: RunRecord, *, retry_failed: bool) -> None:
    record.state, record.ended, record.error = RunState.PENDING, None, None
    record.deliverables = ()
    record.steps.clear()
    for agent in record.agents.values():
        again = agent.state is AgentState.CANCELLED or (
            retry_failed and agent.state is AgentState.FAILED
        )
        if again:
            agent.state, agent.failure = AgentState.WAITING, None
