"""The coordinator: every run of a profile, from request to deliverable.

Responsible for creating, executing, cancelling and resuming runs and for the bound on live agents;
not for what an agent does (``swarm.agent``).  Invariant: one agent's failure never fails its run,
and a run that was under way when the process died goes on by itself at the next start.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import HivekeepError, NotFoundError, UsageError
from hivekeep.domain.report import DocumentOutcome, RunReport
from hivekeep.domain.runs import AgentState, RunState, StepKind
from hivekeep.journal import Journal, NewEvent, encode
from hivekeep.swarm.agent import Agent, steps_per_document
from hivekeep.swarm.events import AgentRecord, Kind, RunRecord, RunRequest, create, fold
from hivekeep.swarm.ports import Limits, Ports
from hivekeep.swarm.steps import RunLog, StepOutcome

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Live:
    """A run that is being executed in this process."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)


class Coordinator:
    """Owns the records of all runs; use ``serve`` inside a task group for its lifetime.

    :param limits: bounds on live agents over all runs and on the steps of one run.
    """

    def __init__(self, journal: Journal, ports: Ports, limits: Limits) -> None:
        self._journal = journal
        self._ports = ports
        self._limits = limits
        self._live = anyio.CapacityLimiter(limits.agents)
        self._runs: dict[str, _Live] = {}
        self._tasks: TaskGroup | None = None
        self._records = fold(list(journal.events()))

    @property
    def records(self) -> dict[str, RunRecord]:
        """Every run by id, oldest first."""
        return self._records

    def record(self, run: str) -> RunRecord:
        """The run called ``run``; an unambiguous beginning of its id is enough.

        :raises NotFoundError: if there is none, or more than one.
        """
        if run in self._records:
            return self._records[run]
        found = [record for name, record in self._records.items() if name.startswith(run)]
        if len(found) == 1 and run:
            return found[0]
        raise NotFoundError(
            f"There is no run '{run}'." if not found else f"'{run}' fits {len(found)} runs.",
            next_step="'hivekeep runs list' shows them all.",
        )

    @property
    def busy(self) -> bool:
        """Whether any run is under way."""
        return bool(self._runs)

    async def serve(self) -> None:
        """Execute runs until cancelled; first those that an earlier process left unfinished."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            for record in self._records.values():
                if not record.state.ended:
                    self._start(record)
            await anyio.sleep_forever()

    async def submit(self, request: RunRequest) -> RunRecord:
        """Journal a new run and start it; a batch that has a run already gets that one.

        :raises UsageError: if it has no inputs or would need more steps than allowed.
        """
        if request.batch:
            for known in self._records.values():
                if known.request.batch == request.batch:
                    return known
        if not request.inputs:
            raise UsageError("There is nothing to do.", why="No input file was given.")
        steps = steps_per_document(request.plan) * len(request.inputs) + 2
        if steps > self._limits.steps:
            most = (self._limits.steps - 2) // steps_per_document(request.plan)
            raise UsageError(
                f"The run would need up to {steps} steps.",
                why=f"{self._limits.steps} is the limit for one run.",
                next_step=f"Give at most {most} documents at a time.",
            )
        new = NewEvent(
            run=self._ports.new_id(),
            kind=Kind.RUN_CREATED,
            payload={"request": encode(request)},
        )
        (event,) = await self._journal.append([new])
        record = create(event)
        self._records[record.id] = record
        self._ports.observe(event)
        await self._ports.gate.record(
            "run.create",
            run=record.id,
            agent="",
            subject=request.plan.recipe,
            outcome="accepted",
            inputs=len(request.inputs),
            trigger=request.trigger.value,
            recipe_hash=request.plan.recipe_hash,
        )
        self._start(record)
        return record

    async def cancel(self, run: str) -> RunRecord:
        """Stop a run; finished agents keep their results.

        :raises UsageError: if the run has ended already.
        """
        record = self.record(run)
        if record.state.ended:
            raise UsageError(f"Run {record.id} has already ended ({record.state.value}).")
        if live := self._runs.get(record.id):
            live.scope.cancel()
            await live.ended.wait()
        if record.state.ended:
            # It came to its end just before it could be stopped.
            return record
        log = self._log(record)
        await log.emit(Kind.RUN_CANCELLED, {})
        await self._ports.gate.record(
            "run.cancel", run=record.id, agent="", subject=record.id, outcome="cancelled"
        )
        return record

    async def resume(self, run: str, *, retry_failed: bool = False) -> RunRecord:
        """Go on with a cancelled or failed run, or try its failed documents again.

        :raises UsageError: if the run is still under way, or finished and nothing is to be retried.
        """
        record = self.record(run)
        if record.id in self._runs:
            raise UsageError(f"Run {record.id} is under way.")
        failed = any(agent.state is AgentState.FAILED for agent in record.agents.values())
        if record.state is RunState.FINISHED and not (retry_failed and failed):
            raise UsageError(
                f"Run {record.id} is finished.",
                next_step="--retry-failed tries its failed documents again, if there are any.",
            )
        await self._log(record).emit(Kind.RUN_RESUMED, {"retry_failed": retry_failed})
        self._start(record)
        return record

    def _log(self, record: RunRecord) -> RunLog:
        return RunLog(record, self._journal, self._ports.observe, self._ports.monotonic)

    def _start(self, record: RunRecord) -> None:
        if self._tasks is None:
            raise RuntimeError("Coordinator.serve is not running")
        self._runs[record.id] = _Live()
        self._tasks.start_soon(self._execute, record, name=f"run {record.id}")

    async def _execute(self, record: RunRecord) -> None:
        log = self._log(record)
        live = self._runs[record.id]
        try:
            with live.scope:
                await log.emit(Kind.RUN_STARTED, {})
                await self._work(record, log)
                await self._deliver(record, log)
        except Exception as error:  # noqa: BLE001 - one run must never end the daemon
            await self._fail(record, log, _as_hivekeep_error(error))
        finally:
            self._runs.pop(record.id, None)
            live.ended.set()

    async def _fail(self, record: RunRecord, log: RunLog, error: HivekeepError) -> None:
        logger.error("run %s failed: %s", record.id, error)
        try:
            await log.emit(Kind.RUN_FAILED, {"error": error.as_dict()})
        except HivekeepError:
            # The journal itself is what failed (a full disk): say it in memory; the journal still
            # holds the run as under way, so it goes on at the next start.
            record.state, record.error = RunState.FAILED, error.as_dict()

    async def _work(self, record: RunRecord, log: RunLog) -> None:
        async with anyio.create_task_group() as tasks:
            for agent in record.agents.values():
                if agent.state.ended:
                    continue
                await self._live.acquire_on_behalf_of(agent.id)
                tasks.start_soon(self._run_agent, agent, log, name=agent.id)

    async def _run_agent(self, agent: AgentRecord, log: RunLog) -> None:
        try:
            await Agent(agent, log, self._ports).run()
        finally:
            self._live.release_on_behalf_of(agent.id)

    async def _deliver(self, record: RunRecord, log: RunLog) -> None:
        folder = Path(record.request.output)
        rule = await self._ports.gate.require(
            Action(ActionKind.WRITE_FILE, path=str(folder)), run=record.id, agent=""
        )
        report = build_report(record, self._ports.program_version)

        async def prepare() -> StepOutcome:
            files = await anyio.to_thread.run_sync(self._ports.publisher.prepare, report, folder)
            return StepOutcome({"files": files})

        prepared = await log.step(
            "deliver:prepare", StepKind.DELIVER, {"folder": str(folder), "rule": rule}, prepare
        )
        paths: list[str] = []
        for number, item in enumerate(prepared["files"]):

            async def publish(item: dict[str, Any] = item) -> StepOutcome:
                path = await anyio.to_thread.run_sync(self._ports.publisher.publish, item)
                await self._ports.gate.record(
                    "file.write", run=record.id, agent="", subject=str(path), outcome="written",
                    sha256=item.get("sha256", ""),
                )  # fmt: skip
                return StepOutcome({"path": str(path)})

            done = await log.step(f"deliver:publish:{number}", StepKind.DELIVER, item, publish)
            paths.append(done["path"])
        await log.emit(Kind.RUN_FINISHED, {"deliverables": paths})
        await self._ports.gate.record(
            "run.finish", run=record.id, agent="", subject=record.id, outcome="finished",
            counts=record.counts(),
        )  # fmt: skip


def _as_hivekeep_error(error: Exception) -> HivekeepError:
    if isinstance(error, HivekeepError):
        return error
    if isinstance(error, ExceptionGroup):
        known, other = error.split(HivekeepError)
        chosen = known or other
        return _as_hivekeep_error(chosen.exceptions[0]) if chosen else HivekeepError(str(error))
    logger.error("unexpected error in a run", exc_info=error)
    return HivekeepError(
        "The run stopped because of an error in Hivekeep.",
        why=f"{type(error).__name__}: {error}.",
        next_step="'hivekeep runs resume' goes on; please report the daemon's log.",
    )


def build_report(record: RunRecord, program_version: str) -> RunReport:
    """The run as plain data for deliverables; the same record always gives the same report."""
    request = record.request
    started = record.started or record.created
    documents = tuple(
        DocumentOutcome(
            path=agent.input.path,
            sha256=agent.input.sha256,
            size=agent.input.size,
            state=agent.state,
            pages=int(read["pages"]) if (read := _read_result(agent)) else 0,
            media_type=str(read["media_type"]) if read else "",
            result=agent.result,
            failure=agent.failure,
            notes=tuple(read["notes"]) if read else (),
            usage=agent.usage,
            seconds=agent.seconds,
        )
        for agent in record.agents.values()
    )
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
        fields=request.plan.fields,
        documents=documents,
        usage=record.usage,
        program_version=program_version,
    )


def _read_result(agent: AgentRecord) -> dict[str, Any] | None:
    step = agent.steps.get("read")
    return step.result if step and step.done else None
