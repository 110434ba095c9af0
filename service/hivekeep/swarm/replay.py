"""Executes a recorded run again, with its recorded answers instead of models, readers and tools.

Responsible for standing in for everything outside and for comparing what comes out; the code that
runs is the very code of real runs.  Invariant: a replay touches nothing but a temporary folder, and
a difference is reported, never smoothed over.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path, PurePath
from typing import Any

from anyio.to_thread import run_sync

from hivekeep.deliverables import ReportPublisher
from hivekeep.domain.actions import Action
from hivekeep.domain.documents import Document
from hivekeep.domain.errors import BudgetError, EngineError, JournalError, ToolError
from hivekeep.domain.inference import FinishEvent, GenerateRequest
from hivekeep.domain.provenance import TRUSTED, Provenance
from hivekeep.domain.runs import RunState, StepKind
from hivekeep.journal import Event, NewEvent, decode, encode
from hivekeep.swarm.events import PLAN_WAITS, AgentRecord, Kind, RunRecord, begin
from hivekeep.swarm.execution import Execution, Slots
from hivekeep.swarm.ports import Limits, Ports, Publisher
from hivekeep.swarm.quarantine import Quarantine
from hivekeep.swarm.recording import Recording
from hivekeep.swarm.reporting import build_report
from hivekeep.swarm.steps import Recalled, RunLog
from hivekeep.tools import Happened, Registry, Tool, ToolContext, ToolResult, standard_registry

_WIDE = Limits(agents=300, steps=1_000_000, depth=9)


@dataclass(frozen=True, slots=True)
class File:
    """One deliverable: its suffix and both hashes; an empty one means there was none."""

    suffix: str
    recorded: str
    replayed: str

    @property
    def same(self) -> bool:
        """Whether it came out byte for byte as it was recorded."""
        return self.recorded == self.replayed


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay gave.

    ``changed`` names model calls whose question is another one than in the recording, ``missing``
    those that the recording knows no answer to.
    """

    run: str
    identical: bool
    files: tuple[File, ...]
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


async def replay(
    recording: Recording, *, publisher: Publisher | None = None, tools: Registry | None = None
) -> Replay:
    """Execute ``recording`` again and compare its deliverables.

    :param publisher: renders the deliverables; by default in this process, with times in UTC.
    """
    old = recording.record()
    script = _Script(recording, old)
    log = RunLog(
        begin(recording.events), _Memory(recording.blobs), _ignore, lambda: 0.0,
        recall=script.recall,
    )  # fmt: skip
    execution = Execution(
        log, script.ports(publisher or ReportPublisher(UTC)), _WIDE, Slots(_WIDE.agents),
        Quarantine(_Memory({})), _recorded_tools(tools or standard_registry(), script),
    )  # fmt: skip
    record = log.record
    await execution.work()
    if record.paused_for == PLAN_WAITS and old.graph is not None:
        # What a person made of the plan is part of what the run took in.
        await log.emit(Kind.PLAN_ACCEPTED, {"graph": encode(old.graph)})
        await log.emit(Kind.RUN_RESUMED, {})
        await execution.work()
    _take_times(record, old)
    report = build_report(record, old.program_version)
    with tempfile.TemporaryDirectory(prefix="hivekeep-replay-") as folder:
        files = await run_sync(execution.ports.publisher.prepare, report, Path(folder))
    replayed = {PurePath(item["target"]).suffix: str(item["sha256"]) for item in files}
    suffixes = sorted({*recording.expected, *replayed})
    compared = tuple(File(s, recording.expected.get(s, ""), replayed.get(s, "")) for s in suffixes)
    return Replay(
        run=recording.run,
        identical=all(item.same for item in compared),
        files=compared,
        changed=tuple(sorted(script.changed)),
        missing=tuple(sorted(script.missing)),
    )


@dataclass
class _Script:
    """Everything outside, as the recording tells it."""

    recording: Recording
    old: RunRecord
    changed: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    _done: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for event in self.recording.events:
            if event.kind == Kind.STEP_DONE:
                self._done[event.agent, event.payload["key"]] = event.payload

    def ports(self, publisher: Publisher) -> Ports:
        """The stand-ins as the swarm's ports."""
        return Ports(
            reader=self, engine=self, gate=self, publisher=publisher, mover=self,
            monotonic=lambda: 0.0, new_id=lambda: self.old.id,
            program_version=self.old.program_version,
        )  # fmt: skip

    def done(self, agent: str, key: str) -> dict[str, Any]:
        """What a step's last success gave.

        :raises HivekeepError: the failure that the agent ended with, if there was none.
        """
        payload = self._done.get((agent, key))
        if payload is not None:
            return payload
        owner = self.old.agents.get(agent)
        if owner is not None and owner.failure is not None:
            raise _as_recorded(owner)
        self.missing.add(f"{agent}/{key}")
        raise EngineError(f"The recording knows no answer to {agent}/{key}.")

    async def read(self, path: Path, *, expected_sha256: str = "") -> Document:
        """DocumentReader."""
        owners = [self.old.steps, *(agent.steps for agent in self.old.agents.values())]
        for step in (step for steps in owners for step in steps.values()):
            intent = step.intent or {}
            if step.kind is StepKind.READ and step.result and intent.get("path") == str(path):
                data = self.recording.blobs[step.result["document"]]
                return decode(Document, json.loads(data))
        for agent in self.old.agents.values():
            if agent.input.path == str(path) and agent.failure is not None:
                raise _as_recorded(agent)
        raise JournalError(f"The recording holds no '{path.name}' ({expected_sha256[:12]}).")

    def recall(
        self, agent: AgentRecord | None, key: str, kind: StepKind, intent: dict[str, Any]
    ) -> Recalled | None:
        """The recorded answer of a model, with how sure it was."""
        name = agent.id if agent else ""
        payload = self._done.get((name, key))
        if kind is not StepKind.GENERATE or payload is None:
            return None
        owner = self.old.agents.get(name)
        step = (owner.steps if owner else self.old.steps).get(key)
        recorded = (step.intent if step else None) or {}
        if recorded.get("prompt_sha256") != intent["prompt_sha256"]:
            self.changed.add(f"{name}/{key}")
        return Recalled(self.old.id, payload["result"])

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """Completer: only asked for what the recording has no answer to.

        :raises HivekeepError: how the agent ended then, or that the answer is missing.
        """
        self.done(request.agent, request.id.rpartition("/")[2])
        raise EngineError(f"The recording knows no answer to {request.id}.")

    async def require(self, action: Action, *, run: str, agent: str) -> str:
        """Gate: what policy decided then shows in what was recorded."""
        owner = self.old.agents.get(agent)
        if owner and owner.failure and owner.failure.reason == "policy_denied" and not owner.steps:
            raise _as_recorded(owner)
        return f"replay:{run}:{action.kind.value}"

    async def record(self, action: str, **detail: Any) -> None:
        """Gate: nothing is audited, because nothing is done."""

    def prepare(self, kind: str, source: Path, target: Path, sha256: str) -> dict[str, Any]:
        """FileMover: nothing is moved."""
        return {"kind": kind, "source": str(source), "target": str(target), "sha256": sha256}

    def perform(self, prepared: dict[str, Any]) -> Path:
        """FileMover: nothing is moved."""
        return Path(prepared["target"])


class _RecordedTool:
    """A tool that gives what it gave when the run was recorded."""

    def __init__(self, tool: Tool, script: _Script) -> None:
        self.spec = tool.spec
        self._script = script

    async def prepare(self, arguments: Any, context: ToolContext) -> dict[str, Any]:  # noqa: ARG002
        """What was prepared then; what was refused is refused in the same words."""
        key = context.key.rpartition("/")[2]
        result = self._script.done(context.agent, key)["result"]
        text = str(result.get("text", ""))
        if "error" in result and text.startswith("Not possible: "):
            raise ToolError(text.removeprefix("Not possible: "))
        return {"key": key}

    async def perform(self, prepared: dict[str, Any], context: ToolContext) -> ToolResult:
        """What it gave then."""
        result = self._script.done(context.agent, prepared["key"])["result"]
        if "error" in result:
            raise ToolError(str(result["text"]).removeprefix("Failed: "))
        seen = result.get("provenance")
        provenance = decode(Provenance, seen) if seen else TRUSTED
        return ToolResult(result.get("data") or {}, str(result["text"]), provenance)

    async def happened(self, prepared: dict[str, Any], context: ToolContext) -> Happened:  # noqa: ARG002
        """Nothing ever happens in a replay."""
        return Happened.NO


class _Memory:
    """A journal that forgets everything when the replay ends."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        self._blobs = dict(blobs)
        self._count = 0

    async def append(
        self, events: Sequence[NewEvent], *, blobs: Sequence[bytes] = ()
    ) -> list[Event]:
        """Number the events; the blobs are those of the recording already."""
        return await self.hand_over(events, blobs=blobs)

    def hand_over(
        self, events: Sequence[NewEvent], *, blobs: Sequence[bytes] = ()
    ) -> asyncio.Future[list[Event]]:
        """Number the events; nothing has to be waited for."""
        self._blobs.update({hashlib.sha256(data).hexdigest(): data for data in blobs})
        made = []
        for event in events:
            self._count += 1
            made.append(Event(self._count, event.run, event.agent, event.kind, 0.0, event.payload))
        done: asyncio.Future[list[Event]] = asyncio.get_running_loop().create_future()
        done.set_result(made)
        return done

    def events(self, run: str | None = None, *, kinds: Sequence[str] = ()) -> Iterator[Event]:  # noqa: ARG002
        """None from before."""
        return iter(())

    def blob(self, sha256: str) -> bytes:
        """:raises JournalError: if the recording lacks it."""
        if sha256 not in self._blobs:
            raise JournalError(f"The recording lacks blob {sha256[:12]}.")
        return self._blobs[sha256]


def _recorded_tools(tools: Registry, script: _Script) -> Registry:
    return Registry(_RecordedTool(tools.tool(name), script) for name in tools)


def _as_recorded(agent: AgentRecord) -> BudgetError:
    """An error that ends an agent with exactly the failure that was recorded."""
    assert agent.failure is not None
    failure = agent.failure
    return BudgetError(
        failure.what, reason=failure.reason, why=failure.why, next_step=failure.next_step
    )


def _take_times(record: RunRecord, old: RunRecord) -> None:
    """Times are part of what a run took in; the deliverable shows them."""
    record.created, record.started = old.created, old.started
    record.last_agent_end = old.last_agent_end
    record.state = RunState.RUNNING
    for name, agent in record.agents.items():
        if name in old.agents:
            # With what attempts cost that were given up and tried again.
            agent.usage = old.agents[name].usage


def _ignore(_event: Event) -> None:
    """Nobody watches a replay."""
