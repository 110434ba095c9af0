"""One sub-agent: the steps that turn one document into checked values.

Responsible for the order of an agent's steps and for turning any failure into a reason; the
content of prompts is ``swarm.prompting``'s, the judgement of values ``swarm.verification``'s.
Invariant: an agent always ends, with a result or with a failure, and never takes its run along.
"""

from __future__ import annotations

import logging
from typing import Any

from hivekeep.domain.documents import Document
from hivekeep.domain.errors import (
    AuditError,
    BudgetError,
    DocumentError,
    HivekeepError,
    JournalError,
    PolicyDeniedError,
    StorageError,
)
from hivekeep.domain.fields import FileActionKind, Plan, PlanKind
from hivekeep.domain.report import Failure
from hivekeep.domain.runs import AgentState, StepKind
from hivekeep.domain.values import DocumentResult, FieldValue, provenance_of
from hivekeep.journal import encode
from hivekeep.swarm.answers import Answer
from hivekeep.swarm.events import AgentRecord, Kind
from hivekeep.swarm.extraction import Extraction, most_extraction_steps
from hivekeep.swarm.filing import file_document
from hivekeep.swarm.labels import from_document
from hivekeep.swarm.patterns.second_look import look_again
from hivekeep.swarm.patterns.vote import vote
from hivekeep.swarm.ports import Ports
from hivekeep.swarm.prompting import (
    request_groups,
)
from hivekeep.swarm.quarantine import Quarantine
from hivekeep.swarm.reading import read_document, require_travel
from hivekeep.swarm.steps import RunLog
from hivekeep.swarm.summarize import summarize
from hivekeep.swarm.thinking import Thinker
from hivekeep.swarm.verification import Context

logger = logging.getLogger(__name__)

_MAX_SUMMARY_CALLS = 12


def steps_per_document(plan: Plan) -> int:
    """The most steps one document can take; no agent's budget may be smaller than what it needs."""
    acts = 2 if plan.file_action.kind is not FileActionKind.NONE else 0
    if plan.kind is PlanKind.SUMMARIZE:
        return 2 + _MAX_SUMMARY_CALLS + acts
    looks = 1 if plan.second_look else 0
    if plan.vote:
        return 1 + plan.vote.samples * len(request_groups(plan)) + looks + acts
    return 1 + most_extraction_steps(plan) + looks + acts


class Agent:
    """Works through one document; ``run`` returns when the agent has ended."""

    def __init__(
        self,
        record: AgentRecord,
        log: RunLog,
        ports: Ports,
        quarantine: Quarantine,
        plan: Plan | None = None,
    ) -> None:
        self._record = record
        self._log = log
        self._ports = ports
        self._quarantine = quarantine
        self._plan = plan or log.record.request.plan
        self.generate = Thinker(log, ports, record.id, self._plan)

    async def run(self) -> None:
        """Do what is still to be done and journal how the agent ended.

        :raises HivekeepError: only if journal, audit log or disk fail, which stops the whole run.
        """
        try:
            result = await self._work()
        except (JournalError, AuditError, StorageError):
            raise
        except HivekeepError as error:
            await self._end_failed(failure_of(error))
        except Exception as error:
            logger.exception("agent %s failed", self._record.id)
            await self._end_failed(
                Failure(
                    reason="internal",
                    what="Hivekeep itself failed on this document.",
                    why=f"{type(error).__name__}: {error}."[:300],
                    next_step="Please report it; the daemon's log has the details.",
                )
            )
        else:
            payload = {"state": AgentState.DONE.value, "result": encode(result)}
            await self._log.emit(Kind.AGENT_ENDED, payload, agent=self._record.id)

    async def _work(self) -> DocumentResult:
        document = await self._read()
        if self._plan.kind is PlanKind.SUMMARIZE:
            result = await summarize(self._plan, document, self.generate, _MAX_SUMMARY_CALLS)
        else:
            result = await self._answer(document)
        result = from_document(result, self._record.input.path, document)
        if self._plan.file_action.kind is not FileActionKind.NONE:
            await self._act(result)
        return result

    async def _read(self) -> Document:
        return await read_document(
            self._log, self._ports, self._quarantine, self._record.input, agent=self._record.id
        )

    async def _answer(self, document: Document) -> DocumentResult:
        """What the plan asks, by the road that its recipe chose."""
        plan = self._plan
        if plan.vote:
            result = await vote(plan, document, self.generate)
        else:
            result = await Extraction(
                plan, document, self.generate, self._step, self._compute
            ).run()
        if plan.second_look:
            result = await look_again(plan, document, result, self.generate)
        return result

    async def _compute(
        self, document: Document, first: Answer, second: Answer | None, context: Context
    ) -> DocumentResult:
        """The checked values, by whoever computes for this run."""
        await require_travel(self._log, self._ports, self._record.input, agent=self._record.id)
        return await self._ports.computing.check(
            self._plan, document, first, second, context=context
        )

    async def _act(self, result: DocumentResult) -> None:
        action = self._plan.file_action
        chosen = result.get(action.folder_field)
        folder = chosen.value if isinstance(chosen, FieldValue) else None
        await file_document(
            self._log, self._ports, self._record.input, action, str(folder or ""),
            agent=self._record.id, label=provenance_of(chosen).label,
        )  # fmt: skip

    async def _step(self, key: str, kind: StepKind, intent: dict[str, Any], perform: Any) -> Any:
        return await self._log.step(key, kind, intent, perform, agent=self._record.id)

    async def _end_failed(self, failure: Failure) -> None:
        payload = {"state": AgentState.FAILED.value, "failure": encode(failure)}
        await self._log.emit(Kind.AGENT_ENDED, payload, agent=self._record.id)
        await self._ports.gate.record(
            "agent.fail", run=self._log.record.id, agent=self._record.id,
            subject=self._record.input.path, outcome=failure.reason, why=failure.line,
        )  # fmt: skip


def failure_of(error: HivekeepError) -> Failure:
    """Why an agent ended without a result, as it is journaled and shown."""
    match error:
        case DocumentError():
            reason = error.reason
        case BudgetError():
            reason = error.reason
        case PolicyDeniedError():
            reason = "policy_denied"
        case _:
            reason = error.code.value
    return Failure(reason, error.what, error.why, error.next_step)
