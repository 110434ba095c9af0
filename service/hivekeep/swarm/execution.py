"""One run from its first step to its deliverable.

Responsible for which agents a run has, for starting them within the bounds, and for delivering;
what an agent does is its own module's.  Invariant: whatever becomes of its agents, a run that is
not stopped ends with a deliverable that says what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import (
    AuditError,
    HivekeepError,
    JournalError,
    StorageError,
)
from hivekeep.domain.fields import PlanKind
from hivekeep.domain.report import Failure
from hivekeep.domain.runs import AgentRole, AgentState, InputFile, StepKind
from hivekeep.domain.values import DocumentResult
from hivekeep.journal import encode
from hivekeep.swarm.agent import Agent, failure_of
from hivekeep.swarm.events import AgentRecord, Kind, RunRecord
from hivekeep.swarm.intake import Intake
from hivekeep.swarm.ports import Limits, Ports
from hivekeep.swarm.quarantine import Quarantine
from hivekeep.swarm.reporting import build_report
from hivekeep.swarm.steps import RunLog, StepOutcome
from hivekeep.tools import Registry

logger = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]


class Slots:
    """A number of places for live agents; ``give`` is harmless for one that holds none."""

    def __init__(self, agents: int) -> None:
        self._limiter = anyio.CapacityLimiter(agents)
        self._held: set[str] = set()

    async def take(self, agent: str) -> None:
        """Wait for a place."""
        await self._limiter.acquire_on_behalf_of(agent)
        self._held.add(agent)

    def give(self, agent: str) -> None:
        """Free the agent's place, if it has one."""
        if agent in self._held:
            self._held.remove(agent)
            self._limiter.release_on_behalf_of(agent)


class Execution:
    """Executes one run in this process."""

    def __init__(
        self,
        log: RunLog,
        ports: Ports,
        limits: Limits,
        slots: Slots,
        quarantine: Quarantine,
        tools: Registry,
        intake: Intake | None = None,
    ) -> None:
        self.log = log
        self.ports = ports
        self.tools = tools
        self.quarantine = quarantine
        self.most_steps = limits.steps
        self._slots = slots
        self._intake = intake
        plan = log.record.request.plan
        self.depth = min(plan.limits.depth or limits.depth, limits.depth)
        # A recipe may want fewer agents alive than policy allows for all runs together.
        self._own = Slots(plan.limits.agents or limits.agents)
        self.output = log.record.request.output
        """Where results go; free of links once the run works."""
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._withdrawn: dict[str, HivekeepError] = {}

    @property
    def record(self) -> RunRecord:
        """The run as its events tell it."""
        return self.log.record

    async def run(self) -> None:
        """Do what is still to be done, and deliver; or rest, if a person has to decide first.

        :raises HivekeepError: if journal, audit log or disk fail, or nothing may be delivered.
        """
        if await self.work():
            await self._deliver()

    async def work(self) -> bool:
        """Let every agent do its part; false if a person has to decide first."""
        from hivekeep.swarm.asking import Asking
        from hivekeep.swarm.overview import write_overview

        version = {"program_version": self.ports.program_version}
        await self.log.emit(Kind.RUN_STARTED, version)
        self.output = await anyio.to_thread.run_sync(self.ports.resolve, self.record.request.output)
        plan = self.record.request.plan
        if plan.kind is PlanKind.ASK:
            return await Asking(self).run()
        await self._work_through()
        if plan.overview:
            await write_overview(self, plan, {"": plan})
        return True

    async def _work_through(self) -> None:
        """One agent for each document, also for those that join, as many at once as may live."""
        left = [agent for agent in self.record.documents() if not agent.state.ended]
        intake = self._intake or Intake(left)
        async with anyio.create_task_group() as tasks:
            async for agent in intake.arrivals():
                await self._take(agent.id)
                work = Agent(agent, self.log, self.ports, self.quarantine).run
                tasks.start_soon(self._in_place, agent, work, intake.ended, name=agent.id)

    async def together(self, works: Iterable[tuple[AgentRecord, Work]]) -> None:
        """Run the work of several agents at once, each in a place of its own."""
        async with anyio.create_task_group() as tasks:
            for agent, work in works:
                await self._take(agent.id)
                tasks.start_soon(self._in_place, agent, work, name=agent.id)

    async def _in_place(
        self, agent: AgentRecord, work: Work, ended: Callable[[], None] = lambda: None
    ) -> None:
        scope = self._scopes[agent.id] = anyio.CancelScope()
        try:
            with scope:
                await work()
        finally:
            del self._scopes[agent.id]
            self._give(agent.id)
            ended()
        error = self._withdrawn.pop(agent.id, None)
        if error is not None and not agent.state.ended:
            await self._end_failed(agent, failure_of(error))

    def withdraw(self, agent: str, error: HivekeepError) -> None:
        """Give up what ``agent`` is doing and let it end with ``error``; the run goes on."""
        if agent in self._scopes:
            self._withdrawn[agent] = error
            self._scopes[agent].cancel()

    @asynccontextmanager
    async def waiting(self, agent: str) -> AsyncIterator[None]:
        """``agent`` only waits for others here, so its place is theirs meanwhile.

        Otherwise parents could hold every place and wait for children that find none.
        """
        self._give(agent)
        yield
        await self._take(agent)

    async def _take(self, agent: str) -> None:
        await self._own.take(agent)
        try:
            await self._slots.take(agent)
        except BaseException:
            self._own.give(agent)
            raise

    def _give(self, agent: str) -> None:
        self._slots.give(agent)
        self._own.give(agent)

    async def spawn(
        self,
        name: str,
        role: AgentRole,
        *,
        title: str,
        source: InputFile | None = None,
        index: int = 0,
        parent: str = "",
        depth: int = 1,
        task: str = "",
    ) -> AgentRecord:
        """The agent called ``name``, journaled now unless it was before."""
        known = self.record.agents.get(name)
        if known is not None:
            return known
        payload = {
            "role": role.value, "title": title, "index": index, "parent": parent,
            "depth": depth, "task": task, "input": encode(source) if source else None,
        }  # fmt: skip
        await self.log.emit(Kind.AGENT_SPAWNED, payload, agent=name)
        return self.record.agents[name]

    async def guarded(
        self, agent: AgentRecord, work: Callable[[], Awaitable[DocumentResult | None]]
    ) -> None:
        """Let ``agent`` do ``work`` and journal how it ended, as a result or as a reason.

        :raises HivekeepError: only if journal, audit log or disk fail, which stops the whole run.
        """
        try:
            result = await work()
        except (JournalError, AuditError, StorageError):
            raise
        except HivekeepError as error:
            await self._end_failed(agent, failure_of(error))
        except Exception as error:
            logger.exception("agent %s failed", agent.id)
            why = f"{type(error).__name__}: {error}."[:300]
            step = "Please report it; the daemon's log has the details."
            failure = Failure("internal", "Hivekeep itself failed on this.", why, step)
            await self._end_failed(agent, failure)
        else:
            payload = {"state": AgentState.DONE.value}
            await self.log.emit(
                Kind.AGENT_ENDED,
                {**payload, "result": encode(result)} if result else payload,
                agent=agent.id,
            )

    async def _end_failed(self, agent: AgentRecord, failure: Failure) -> None:
        payload = {"state": AgentState.FAILED.value, "failure": encode(failure)}
        await self.log.emit(Kind.AGENT_ENDED, payload, agent=agent.id)
        await self.ports.gate.record(
            "agent.fail", run=self.record.id, agent=agent.id,
            subject=agent.title, outcome=failure.reason, why=failure.line,
        )  # fmt: skip

    async def _deliver(self) -> None:
        record, log = self.record, self.log
        folder = Path(self.output)
        rule = await self.ports.gate.require(
            Action(ActionKind.WRITE_FILE, path=str(folder)), run=record.id, agent=""
        )
        report = build_report(record, record.program_version)

        async def prepare() -> StepOutcome:
            files = await anyio.to_thread.run_sync(self.ports.publisher.prepare, report, folder)
            return StepOutcome({"files": files})

        prepared = await log.step(
            "deliver:prepare", StepKind.DELIVER, {"folder": str(folder), "rule": rule}, prepare
        )
        paths: list[str] = []
        for number, item in enumerate(prepared["files"]):

            async def publish(item: dict[str, Any] = item) -> StepOutcome:
                path = await anyio.to_thread.run_sync(self.ports.publisher.publish, item)
                await self.ports.gate.record(
                    "file.write", run=record.id, agent="", subject=str(path), outcome="written",
                    sha256=item.get("sha256", ""),
                )  # fmt: skip
                return StepOutcome({"path": str(path)})

            done = await log.step(f"deliver:publish:{number}", StepKind.DELIVER, item, publish)
            paths.append(done["path"])
        await log.emit(Kind.RUN_FINISHED, {"deliverables": paths})
        await self.ports.gate.record(
            "run.finish", run=record.id, agent="", subject=record.id, outcome="finished",
            counts=record.counts(),
        )  # fmt: skip
