"""One sub-agent: the steps that turn one document into checked values.

Responsible for the order of an agent's steps and for turning any failure into a reason; the
content of prompts is ``swarm.prompting``'s, the judgement of values ``swarm.verification``'s.
Invariant: an agent always ends, with a result or with a failure, and never takes its run along.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import anyio

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.documents import Document
from hivekeep.domain.errors import (
    AuditError,
    DocumentError,
    HivekeepError,
    JournalError,
    PolicyDeniedError,
    StorageError,
)
from hivekeep.domain.fields import FileActionKind, Plan, PlanKind
from hivekeep.domain.inference import GenerateRequest, Message
from hivekeep.domain.report import Failure
from hivekeep.domain.runs import AgentState, StepKind
from hivekeep.domain.values import DocumentResult, FieldValue
from hivekeep.journal import decode, encode
from hivekeep.swarm.answers import parse_answer
from hivekeep.swarm.events import AgentRecord, Kind
from hivekeep.swarm.ports import Ports
from hivekeep.swarm.prompting import (
    extraction_messages,
    reask_messages,
    request_groups,
)
from hivekeep.swarm.prompting.schema import answer_schema
from hivekeep.swarm.steps import RunLog, StepOutcome
from hivekeep.swarm.summarize import summarize
from hivekeep.swarm.verification import check

logger = logging.getLogger(__name__)

_MAX_SUMMARY_CALLS = 12


def steps_per_document(plan: Plan) -> int:
    """The most steps one document can take: read, model calls, check, file action."""
    acts = 1 if plan.file_action.kind is not FileActionKind.NONE else 0
    if plan.kind is PlanKind.SUMMARIZE:
        return 2 + _MAX_SUMMARY_CALLS + acts
    return 3 + len(request_groups(plan)) + acts


class Agent:
    """Works through one document; ``run`` returns when the agent has ended."""

    def __init__(self, record: AgentRecord, log: RunLog, ports: Ports) -> None:
        self._record = record
        self._log = log
        self._ports = ports
        self._plan = log.record.request.plan

    async def run(self) -> None:
        """Do what is still to be done and journal how the agent ended.

        :raises HivekeepError: only if journal, audit log or disk fail, which stops the whole run.
        """
        try:
            result = await self._work()
        except (JournalError, AuditError, StorageError):
            raise
        except HivekeepError as error:
            await self._end_failed(_failure(error))
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
            result = await self._extract(document)
        if self._plan.file_action.kind is not FileActionKind.NONE:
            await self._act(result)
        return result

    async def _read(self) -> Document:
        source = self._record.input
        path = Path(source.path)

        async def perform() -> StepOutcome:
            await self._ports.gate.require(
                Action(ActionKind.READ_FILE, path=source.path, size=source.size),
                run=self._log.record.id,
                agent=self._record.id,
            )
            document = await self._ports.reader.read(path, expected_sha256=source.sha256)
            data = json.dumps(encode(document)).encode()
            result = {
                "document": hashlib.sha256(data).hexdigest(),
                "pages": document.pages,
                "media_type": document.media_type,
                "notes": list(document.notes),
            }
            return StepOutcome(result, blobs=(data,))

        intent = {"path": source.path, "sha256": source.sha256}
        done = await self._step("read", StepKind.READ, intent, perform)
        return decode(Document, json.loads(self._log.blob(done["document"])))

    async def _extract(self, document: Document) -> DocumentResult:
        answer: dict[str, Any] = {}

        async def ask(number: int, names: tuple[str, ...]) -> None:
            messages = extraction_messages(self._plan, document, fields=names)
            schema = answer_schema(self._plan, fields=names)
            answer.update(parse_answer(await self.generate(f"generate:{number}", messages, schema)))

        # All at once: the engine then computes what these prompts share a single time.
        await together(ask(*group) for group in enumerate(request_groups(self._plan)))
        result = await self._check("check", document, answer)
        again = reask_messages(self._plan, document, result)
        if again is None:
            return result
        messages, schema = again
        second = parse_answer(await self.generate("generate:again", messages, schema))
        return await self._check("check:again", document, answer, second)

    async def _check(
        self,
        key: str,
        document: Document,
        answer: dict[str, Any],
        second: dict[str, Any] | None = None,
    ) -> DocumentResult:
        async def perform() -> StepOutcome:
            result = check(self._plan, document, answer, second=second)
            return StepOutcome({"result": encode(result)})

        done = await self._step(key, StepKind.CHECK, {}, perform)
        return decode(DocumentResult, done["result"])

    async def generate(
        self, key: str, messages: tuple[Message, ...], schema: dict[str, Any] | None
    ) -> str:
        """One model call as a durable step; the answer's text."""
        plan = self._plan
        prompt = json.dumps([encode(message) for message in messages])
        prompt_hash = hashlib.sha256(prompt.encode()).hexdigest()

        async def perform() -> StepOutcome:
            request = GenerateRequest(
                id=f"{self._record.id}/{key}",
                run=self._log.record.id,
                agent=self._record.id,
                model=plan.model,
                messages=messages,
                schema=schema,
                max_tokens=plan.max_tokens,
                prefix=plan.recipe_hash,
            )
            finish = await self._ports.engine.complete(request)
            await self._ports.gate.record(
                "model.call", run=self._log.record.id, agent=self._record.id,
                subject=plan.model, outcome=finish.reason.value, prompt_sha256=prompt_hash,
                answer_sha256=hashlib.sha256(finish.text.encode()).hexdigest(),
                model_sha256=self._log.record.request.model_sha256, usage=encode(finish.usage),
            )  # fmt: skip
            result = {"text": finish.text, "reason": finish.reason.value}
            return StepOutcome(result, usage=finish.usage)

        intent = {"prompt_sha256": prompt_hash, "model": plan.model}
        done = await self._step(key, StepKind.GENERATE, intent, perform)
        return str(done["text"])

    async def _act(self, result: DocumentResult) -> None:
        action = self._plan.file_action
        chosen = result.get(action.folder_field)
        folder = chosen.value if isinstance(chosen, FieldValue) else None
        source = Path(self._record.input.path)
        target = Path(action.root) / safe_folder(str(folder or "")) / source.name
        kind = ActionKind.MOVE_FILE if action.kind is FileActionKind.MOVE else ActionKind.COPY_FILE
        # The folder's name was chosen from document text, so the action carries its label.
        request = Action(kind, path=str(source), target=str(target), label=Label.UNTRUSTED,
                         size=self._record.input.size)  # fmt: skip
        rule = await self._ports.gate.require(
            request, run=self._log.record.id, agent=self._record.id
        )

        async def prepare() -> StepOutcome:
            return StepOutcome(
                self._ports.mover.prepare(
                    action.kind.value, source, target, self._record.input.sha256
                )
            )

        prepared = await self._step("act:prepare", StepKind.ACT, {"rule": rule}, prepare)

        async def perform() -> StepOutcome:
            path = self._ports.mover.perform(prepared)
            await self._ports.gate.record(
                kind.value, run=self._log.record.id, agent=self._record.id,
                subject=str(path), outcome="done", source=str(source),
            )  # fmt: skip
            return StepOutcome({"path": str(path)})

        await self._step("act", StepKind.ACT, prepared, perform)

    async def _step(self, key: str, kind: StepKind, intent: dict[str, Any], perform: Any) -> Any:
        return await self._log.step(key, kind, intent, perform, agent=self._record.id)

    async def _end_failed(self, failure: Failure) -> None:
        payload = {"state": AgentState.FAILED.value, "failure": encode(failure)}
        await self._log.emit(Kind.AGENT_ENDED, payload, agent=self._record.id)
        await self._ports.gate.record(
            "agent.fail", run=self._log.record.id, agent=self._record.id,
            subject=self._record.input.path, outcome=failure.reason, why=failure.line,
        )  # fmt: skip


async def together(tasks: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run ``tasks`` concurrently; the first error of any of them, as it is, cancels the others."""

    async def one(task: Coroutine[Any, Any, None]) -> None:
        try:
            await task
        except HivekeepError as error:
            errors.append(error)
            group.cancel_scope.cancel()

    errors: list[HivekeepError] = []
    async with anyio.create_task_group() as group:
        for task in tasks:
            group.start_soon(one, task)
    if errors:
        raise errors[0]


def safe_folder(name: str) -> str:
    """A single harmless folder name from a model's suggestion; ``Unsorted`` if nothing is left."""
    kept = "".join(char if char.isalnum() or char in " -_." else " " for char in name)
    return " ".join(kept.split()).strip(". ")[:60].strip(". ") or "Unsorted"


def _failure(error: HivekeepError) -> Failure:
    match error:
        case DocumentError():
            reason = error.reason
        case PolicyDeniedError():
            reason = "policy_denied"
        case _:
            reason = error.code.value
    return Failure(reason, error.what, error.why, error.next_step)
