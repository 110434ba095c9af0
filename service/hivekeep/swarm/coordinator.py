"""The coordinator: every run of a profile, from request to deliverable.

Responsible for creating, pausing, cancelling, resuming and resolving runs and for the bound on live
agents; what happens inside a run is ``swarm.execution``'s.  Invariant: one agent's failure never
fails its run, and a run that was under way when the process died goes on by itself at the next
start.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.budgets import Budget
from hivekeep.domain.errors import (
    HivekeepError,
    NotFoundError,
    PolicyDeniedError,
    UsageError,
)
from hivekeep.domain.runs import AgentState, RunState
from hivekeep.domain.saying import say
from hivekeep.domain.tasks import TaskGraph
from hivekeep.journal import Journal, NewEvent, encode
from hivekeep.swarm.asking import planning_tools, require_steps
from hivekeep.swarm.events import (
    PLAN_WAITS,
    Kind,
    RunRecord,
    RunRequest,
    StepRecord,
    create,
    fold,
)
from hivekeep.swarm.execution import Execution, Slots
from hivekeep.swarm.intake import Intake
from hivekeep.swarm.planning import labelled_graph, require_sound
from hivekeep.swarm.ports import Limits, Ports
from hivekeep.swarm.quarantine import Quarantine
from hivekeep.swarm.recall import recall_from
from hivekeep.swarm.reporting import build_report
from hivekeep.swarm.requests import joined, require_within
from hivekeep.swarm.steps import HAPPENED, REPEAT, RunLog
from hivekeep.tools import Registry, standard_registry

__all__ = ["Coordinator", "build_report"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Live:
    """A run that is being executed in this process."""

    intake: Intake
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)
    execution: Execution | None = None


class Coordinator:
    """Owns the records of all runs; use ``serve`` inside a task group for its lifetime.

    :param limits: bounds on live agents over all runs and on the steps of one run.
    :param tools: what agents of free requests may call, as far as they are granted it.
    """

    def __init__(
        self, journal: Journal, ports: Ports, limits: Limits, tools: Registry | None = None
    ) -> None:
        self._journal = journal
        self._ports = ports
        self._limits = limits
        self._tools = tools or standard_registry()
        self._slots = Slots(limits.agents)
        self._runs: dict[str, _Live] = {}
        self._starts = 0
        self._tasks: TaskGroup | None = None
        self._records = fold(list(journal.events()))
        self.quarantine = Quarantine(journal)

    @property
    def records(self) -> dict[str, RunRecord]:
        """Every run by id, oldest first."""
        return self._records

    @property
    def limits(self) -> Limits:
        """The bounds on every run."""
        return self._limits

    @property
    def tools(self) -> Registry:
        """The tools there are."""
        return self._tools

    def offer(self, tools: Registry) -> None:
        """Let runs that start from now on choose among ``tools``."""
        self._tools = tools

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
            say("error.many_runs", "'{run}' fits {count} runs.", run=run, count=len(found))
            if found
            else say("error.no_run", "There is no run '{run}'.", run=run),
            next_step=say("next.runs", "'hivekeep runs list' shows them all."),
        )

    @property
    def busy(self) -> bool:
        """Whether any run is under way."""
        return bool(self._runs)

    async def serve(self) -> None:
        """Execute runs until cancelled; first those that an earlier process left unfinished."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                for record in self._records.values():
                    if not record.state.at_rest:
                        self._start(record, gathering=True)
                await anyio.sleep_forever()
        finally:
            self._tasks = None

    async def submit(self, request: RunRequest) -> RunRecord:
        """Journal a new run and start it; a batch that has a run already gets that one.

        A batch joins the run that works on earlier files of the same watched folder, if that has
        not begun to deliver.

        :raises UsageError: if it has no inputs or asks for more than the limits allow.
        """
        if request.batch:
            for known in self._records.values():
                if request.batch in known.batches:
                    return known
        require_within(request, self._limits)
        if found := await self._join(request):
            return found
        new = NewEvent(
            run=self._ports.new_id(),
            kind=Kind.RUN_CREATED,
            payload={"request": encode(request)},
        )
        (event,) = await self._journal.append([new])
        record = create(event)
        self._records[record.id] = record
        self._ports.observe(event)
        await self._audit(
            record, "create", "accepted", inputs=len(request.inputs),
            trigger=request.trigger.value, recipe_hash=request.plan.recipe_hash,
        )  # fmt: skip
        self._start(record, gathering=True)
        return record

    async def _join(self, request: RunRequest) -> RunRecord | None:
        """Add the inputs to the newest run that takes in such, or say that there is none."""
        for run, live in reversed(self._runs.items()):
            record = self._records[run]
            whole = joined(record, request, self._limits) if live.intake.open else None
            if whole is None:
                continue
            with live.intake.joining():
                size = Action(
                    ActionKind.START_RUN, recipe=whole.plan.recipe, count=len(whole.inputs)
                )
                try:
                    await self._ports.gate.require(size, run="", agent="")
                except PolicyDeniedError:
                    return None  # it is enough for a run of its own
                if not live.intake.open:
                    continue  # it was stopped meanwhile
                payload = {"inputs": encode(request.inputs), "batch": request.batch}
                before = len(record.documents())
                await self._log(record).emit(Kind.INPUTS_ADDED, payload)
                live.intake.add(record.documents()[before:])
            await self._audit(record, "join", "accepted", inputs=len(request.inputs))
            return record
        return None

    async def pause(self, run: str) -> RunRecord:
        """Let a run rest: steps under way are given up, finished ones keep their results.

        :raises UsageError: if nothing of it is under way.
        """
        record = self.record(run)
        if record.state.at_rest:
            raise UsageError(
                say("error.not_under_way", "Run {run} is not under way.", run=record.id),
                why=_state(record),
            )
        await self._stop(record)
        if not record.state.at_rest:
            await self._log(record).emit(Kind.RUN_PAUSED, {"for": "person"})
            await self._audit(record, "pause", "paused")
        return record

    async def cancel(self, run: str) -> RunRecord:
        """Stop a run; finished agents keep their results.

        :raises UsageError: if the run has ended already.
        """
        record = self.record(run)
        if record.state.ended:
            raise UsageError(
                say("error.ended", "Run {run} has already ended.", run=record.id),
                why=_state(record),
            )
        await self._stop(record)
        if record.state.ended:
            # It came to its end just before it could be stopped.
            return record
        await self._log(record).emit(Kind.RUN_CANCELLED, {})
        await self._audit(record, "cancel", "cancelled")
        return record

    @property
    def starts(self) -> int:
        """How often any run was started or resumed here."""
        return self._starts

    @property
    def live(self) -> tuple[RunRecord, ...]:
        """The runs that are being executed now."""
        return tuple(self._records[run] for run in self._runs)

    async def withdraw(self, run: str, error: HivekeepError, agent: str = "") -> None:
        """Stop a run, or one of its agents, because it may not go on; it fails with ``error``."""
        record, live = self.record(run), self._runs.get(run)
        if live is None:
            return
        if agent:
            if live.execution is not None:
                live.execution.withdraw(agent, error)
            return
        await self._stop(record)
        if not record.state.at_rest:
            await self._fail(record, self._log(record), error)
            await self._audit(record, "withdraw", "stopped", why=error.what)

    async def resume(self, run: str, *, retry_failed: bool = False) -> RunRecord:
        """Go on with a paused, cancelled or failed run, or try its failed agents again.

        :raises UsageError: if the run is still under way, waits for its plan to be accepted, or is
            finished and nothing is to be retried.
        """
        record = self.record(run)
        if record.id in self._runs:
            raise UsageError(say("error.under_way", "Run {run} is under way.", run=record.id))
        if record.paused_for == PLAN_WAITS and not record.graph_accepted:
            raise UsageError(
                say(
                    "error.plan_waits",
                    "Run {run} waits for its plan to be accepted.",
                    run=record.id,
                ),
                next_step=f"'hivekeep runs show {record.id}' shows it, "
                f"'hivekeep runs plan {record.id} --accept' starts it.",
            )
        failed = any(agent.state is AgentState.FAILED for agent in record.agents.values())
        if record.state is RunState.FINISHED and not (retry_failed and failed):
            raise UsageError(
                say("error.finished", "Run {run} is finished.", run=record.id),
                next_step="'hivekeep runs retry' tries its failed documents again, if there are "
                "any; 'hivekeep runs rerun' does it anew and keeps what is still valid.",
            )
        return await self._go_on(record, retry_failed=retry_failed)

    async def accept_plan(self, run: str, graph: TaskGraph | None = None) -> RunRecord:
        """Start a free request by its plan, or by ``graph``, which a person made of it.

        :raises UsageError: if the run does not wait for that, or the graph is not sound.
        """
        record, chosen = self.check_plan(run, graph)
        edited = record.graph is None or chosen.tasks != record.graph.tasks
        payload = {"graph": encode(chosen), "edited": edited}
        await self._log(record).emit(Kind.PLAN_ACCEPTED, payload)
        await self._audit(record, "plan.accept", "edited" if edited else "as proposed")
        return await self._go_on(record)

    def check_plan(self, run: str, graph: TaskGraph | None = None) -> tuple[RunRecord, TaskGraph]:
        """The run and the graph it would follow, if ``accept_plan`` would take it.

        :raises UsageError: as ``accept_plan`` does.
        """
        record = self.record(run)
        if record.paused_for != PLAN_WAITS or record.graph is None:
            raise UsageError(
                say("error.no_plan", "Run {run} does not wait for a plan.", run=record.id)
            )
        chosen = labelled_graph(graph, self._ports.known_fields()) if graph else record.graph
        inputs = len(record.request.inputs)
        require_sound(chosen, planning_tools(self._tools), inputs)
        require_steps(chosen, record.request.plan, inputs, self._limits.steps)
        return record, chosen

    async def resolve(self, run: str, agent: str, key: str, *, happened: bool) -> RunRecord:
        """A person says whether the effect of a step in doubt took place; the run then goes on.

        :raises UsageError: if the run is under way.
        :raises NotFoundError: if there is no such step in doubt.
        """
        record = self.record(run)
        if record.id in self._runs:
            raise UsageError(say("error.under_way", "Run {run} is under way.", run=record.id))
        step = self._doubted(record, agent, key)
        verdict = HAPPENED if happened else REPEAT
        payload = {"key": step.key, "kind": step.kind.value, "verdict": verdict}
        await self._log(record).emit(Kind.STEP_RESOLVED, payload, agent=agent)
        await self._audit(record, "step.resolve", verdict, agent=agent, step=step.key)
        return await self._go_on(record, retry_failed=True)

    def _doubted(self, record: RunRecord, agent: str, key: str) -> StepRecord:
        for owner, step in record.doubts():
            if (owner, step.key) == (agent, key):
                return step
        raise NotFoundError(
            f"Step '{key}' of '{agent or record.id}' is not in doubt.",
            next_step=f"'hivekeep runs show {record.id}' lists the steps that are.",
        )

    async def _go_on(self, record: RunRecord, *, retry_failed: bool = False) -> RunRecord:
        await self._log(record).emit(Kind.RUN_RESUMED, {"retry_failed": retry_failed})
        await self._audit(record, "resume", "retry" if retry_failed else "resumed")
        self._start(record)
        return record

    async def _stop(self, record: RunRecord) -> None:
        if live := self._runs.get(record.id):
            live.intake.close()
            live.scope.cancel()
            await live.ended.wait()

    async def _audit(
        self, record: RunRecord, verb: str, outcome: str, agent: str = "", **detail: object
    ) -> None:
        await self._ports.gate.record(
            f"run.{verb}",
            run=record.id,
            agent=agent,
            subject=record.request.plan.recipe,
            outcome=outcome,
            **detail,
        )

    def _log(self, record: RunRecord) -> RunLog:
        previous = self._records.get(record.request.previous)
        recall = recall_from(previous, record, self._journal) if previous else None
        return RunLog(
            record, self._journal, self._ports.observe, self._ports.monotonic,
            recall=recall, most=Budget(steps=self._limits.steps),
        )  # fmt: skip

    def _start(self, record: RunRecord, *, gathering: bool = False) -> None:
        """Execute a run; ``gathering`` lets files join it, unless a person asked for it again."""
        if self._tasks is None:
            return  # it is in the journal: ``serve`` starts it, of this process or of the next
        left = [agent for agent in record.documents() if not agent.state.ended]
        gathering = gathering and bool(record.request.watch) and not record.delivering
        seconds = record.request.batch_seconds if gathering else 0.0
        self._runs[record.id] = _Live(Intake(left, seconds))
        self._starts += 1
        self._tasks.start_soon(self._execute, record, name=f"run {record.id}")

    async def _execute(self, record: RunRecord) -> None:
        log = self._log(record)
        live = self._runs[record.id]
        try:
            ports = self._ports.on(record.request.executor)
            execution = Execution(
                log, ports, self._limits, self._slots, self.quarantine, self._tools, live.intake
            )
            live.execution = execution
            try:
                with live.scope:
                    await execution.run()
            finally:
                # What is joining is journaled before the word that the run has come to rest.
                live.intake.close()
                with anyio.CancelScope(shield=True):
                    await live.intake.settled()
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


def _state(record: RunRecord) -> str:
    return say("why.run_state", "It is {state}.", state=record.state.value)


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
