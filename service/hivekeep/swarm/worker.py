"""An agent that works on one task with tools.

Responsible for performing the moves that ``patterns.loop`` decides, each as a durable step, and for
checking what the agent says in the end; not for the task's place in a run.  Invariant: every tool
call passes grant and policy, and an effect that may have happened is never repeated blindly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.budgets import Spent
from hivekeep.domain.documents import Block, Document
from hivekeep.domain.errors import (
    AuditError,
    BudgetError,
    HivekeepError,
    InDoubtError,
    JournalError,
)
from hivekeep.domain.fields import FieldSpec, FieldType, Plan
from hivekeep.domain.grants import Grant
from hivekeep.domain.provenance import Origin, OriginKind, Provenance, join_all, of
from hivekeep.domain.runs import StepKind
from hivekeep.domain.tasks import TaskSpec
from hivekeep.domain.values import DocumentResult, FieldValue, ValueStatus
from hivekeep.journal import decode, encode
from hivekeep.swarm.events import AgentRecord
from hivekeep.swarm.labels import from_seen
from hivekeep.swarm.patterns.loop import (
    FINISH,
    Act,
    Choice,
    Finish,
    Stop,
    Think,
    Turn,
    choice_schema,
    next_move,
    turn_messages,
    turns_of,
)
from hivekeep.swarm.patterns.sources import grounded_prose
from hivekeep.swarm.ports import Ports
from hivekeep.swarm.prompting.schema import answer_schema
from hivekeep.swarm.steps import Effect, RunLog, StepOutcome
from hivekeep.swarm.thinking import Thinker
from hivekeep.swarm.verification.grounding import locate, says_nothing
from hivekeep.swarm.verification.mentions import Context
from hivekeep.tools import EffectClass, Library, Registry, Tool, ToolContext

_ANSWER = FieldSpec(
    "answer", FieldType.PROSE, "Answer", "the answer", grounded=False, max_length=600
)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker is given: its task, its rights, and what others have found before it.

    ``output`` is the run's own folder, free of links.
    """

    task: TaskSpec
    grant: Grant
    tools: Registry
    known: str
    provenance: Provenance
    output: str


class Worker:
    """Drives one agent's loop until it finishes or is stopped."""

    def __init__(
        self, record: AgentRecord, log: RunLog, ports: Ports, library: Library, given: Assignment
    ) -> None:
        self._record = record
        self._log = log
        self._ports = ports
        self._library = library
        outputs = given.task.outputs or (_ANSWER,)
        self._given = replace(given, task=replace(given.task, outputs=outputs))
        self._plan: Plan = replace(log.record.request.plan, fields=outputs)
        self._think = Thinker(log, ports, record.id, self._plan)

    async def run(self) -> DocumentResult:
        """Go on from where the journal says the agent is.

        :raises BudgetError: if it is stopped because it used up what it had or went in a circle.
        """
        while True:
            turns = turns_of(self._record.steps)
            match next_move(turns):
                case Finish(answer):
                    return self._checked(answer, turns)
                case Stop(reason, why):
                    raise BudgetError(
                        "The sub-agent was stopped.", reason=reason, why=why,
                        next_step="Ask in other words, or split the request.",
                    )  # fmt: skip
                case Act() as move:
                    await self._act(move, turns)
                case Think() as move:
                    await self._choose(move, turns)

    async def _choose(self, move: Think, turns: list[Turn]) -> None:
        given = self._given
        messages = turn_messages(
            given.task, given.tools.granted(given.grant), given.known, turns,
            context_tokens=self._plan.context_tokens,
        )  # fmt: skip
        calls = given.tools.schemas(given.grant, self._library.names)
        schema = choice_schema(calls, answer_schema(self._plan), last=move.last)
        await self._think(f"think:{move.number}", messages, schema)

    async def _act(self, move: Act, turns: list[Turn]) -> None:
        key = f"tool:{move.number}"
        choice = move.choice
        known = self._log.recorded(self._record.id, key)
        context = self._context(key, turns)
        said = {"tool": choice.tool, "arguments": choice.arguments}
        done_before = self._done_before(move)
        if done_before is not None:
            await self._note(key, said, done_before)
            return
        try:
            if known and known.intent and "prepared" in known.intent:
                # What was meant before the crash, not what would be meant now.
                tool, prepared = given_tool(self._given, choice), known.intent["prepared"]
            else:
                call = self._given.tools.call(choice.tool, choice.arguments, self._given.grant)
                tool = self._given.tools.tool(call.name)
                await context.require(_use(tool, context))
                arguments = tool.spec.arguments.model_validate(call.arguments, strict=False)
                prepared = await tool.prepare(arguments, context)
        except (JournalError, AuditError, BudgetError):
            raise
        except HivekeepError as error:
            await self._note(key, said, {"text": f"Not possible: {error}", **_failed(error)})
            return
        intent = {**said, "effect": tool.spec.effect.value, "prepared": prepared}
        await self._perform(key, tool, intent, context)

    async def _perform(
        self, key: str, tool: Tool, intent: dict[str, Any], context: ToolContext
    ) -> None:
        async def perform() -> StepOutcome:
            try:
                result = await tool.perform(intent["prepared"], context)
            except (JournalError, AuditError, BudgetError, InDoubtError):
                raise
            except HivekeepError as error:
                return StepOutcome({"text": f"Failed: {error}", **_failed(error)}, calls=1)
            await self._ports.gate.record(
                "tool.call", run=self._log.record.id, agent=self._record.id,
                subject=tool.spec.name, outcome="done", label=result.provenance.label.value,
                effect=tool.spec.effect.value,
            )  # fmt: skip
            shown = {
                "text": result.text,
                "data": result.data,
                "provenance": encode(result.provenance),
            }
            return StepOutcome(shown, calls=1, written=result.written)

        effect = None
        if tool.spec.effect is not EffectClass.READ:
            effect = Effect(
                happened=lambda recorded: tool.happened(recorded.get("prepared", {}), context),
                confirmed=_confirmed,
            )
        expects = Spent(tool_calls=1, bytes_written=int(intent["prepared"].get("size", 0)))
        await self._log.step(
            key, StepKind.ACT, intent, perform, agent=self._record.id, effect=effect,
            expects=expects,
        )  # fmt: skip

    def _done_before(self, move: Act) -> dict[str, Any] | None:
        """The result of the same call, made earlier by this agent or by an attempt before."""
        before = move.repeats.data if move.repeats else None
        if before is None:
            step = self._record.steps.get(f"acted:{move.choice.fingerprint}")
            before = step.result if step and step.done else None
        if before is None:
            return None
        text = f"You did this before; the result was: {before.get('text', '')}"
        return {**{k: v for k, v in before.items() if k == "provenance"}, "text": text}

    async def _note(self, key: str, said: dict[str, Any], result: dict[str, Any]) -> None:
        async def perform() -> StepOutcome:
            return StepOutcome(result, calls=1)

        await self._log.step(
            key, StepKind.ACT, said, perform, agent=self._record.id, expects=Spent(tool_calls=1)
        )

    def _context(self, key: str, turns: list[Turn]) -> ToolContext:
        given = self._given
        described = (spec.described_by for spec in given.tools.granted(given.grant))
        provenance = join_all((given.provenance, *described))
        for turn in turns:
            if turn.data and (seen := turn.data.get("provenance")):
                provenance = provenance.join(decode(Provenance, seen))
        return ToolContext(
            run=self._log.record.id,
            agent=self._record.id,
            key=f"{self._record.id}/{key}",
            grant=given.grant,
            gate=self._ports.gate,
            library=self._library,
            output=given.output,
            provenance=provenance,
        )

    def _checked(self, answer: dict[str, Any], turns: list[Turn]) -> DocumentResult:
        """The agent's answer, each value looked for in what the agent was shown."""
        blocks = [Block(0, 1, self._given.known, locator="earlier results")]
        for turn in turns:
            if turn.shown and turn.choice.tool != FINISH:
                place = f"{turn.choice.tool} in turn {len(blocks)}"
                blocks.append(Block(len(blocks), 1, turn.shown, locator=place))
        seen = Document("what the agent saw", "text/plain", "", 0, 1, tuple(blocks))
        context = Context(self._plan, seen)
        values = tuple(_value(context, spec, answer.get(spec.name)) for spec in self._plan.fields)
        provenance = self._context("", turns).provenance
        return from_seen(grounded_prose(seen, DocumentResult(values)), provenance)


def _failed(error: HivekeepError) -> dict[str, Any]:
    """An error may repeat what a document or a server said, so it is labelled like it."""
    origin = Origin(Label.UNTRUSTED, OriginKind.TOOL, "a tool's error", quote=str(error))
    return {"error": str(error.code), "provenance": encode(of(origin))}


def _use(tool: Tool, context: ToolContext) -> Action:
    """What policy is asked before any call.

    Reading is judged by what is read, not by whom, and what asks as what it is asks with its label.
    """
    apart = tool.spec.effect is EffectClass.READ or tool.spec.asks_itself
    label = Label.TRUSTED if apart else context.provenance.label
    return Action(ActionKind.USE_TOOL, tool=tool.spec.name, label=label)


def given_tool(given: Assignment, choice: Choice) -> Tool:
    """The tool of a call that was begun before; the grant still has to hold it."""
    given.grant.require_tool(choice.tool)
    return given.tools.tool(choice.tool)


def _confirmed(intent: dict[str, Any]) -> dict[str, Any]:
    prepared = {key: value for key, value in intent.get("prepared", {}).items() if key != "data"}
    path = {"path": prepared["target"]} if "target" in prepared else {}
    return {"text": "It was done before an interruption.", "data": {**path, "confirmed": True}}


def _value(context: Context, spec: FieldSpec, raw: Any) -> FieldValue:
    if says_nothing(raw):
        return FieldValue(spec.name, None, ValueStatus.ABSENT)
    if not spec.grounded or spec.type is FieldType.PROSE:
        text = " ".join(raw.split())[: spec.max_length] if isinstance(raw, str) else raw
        return FieldValue(spec.name, text, ValueStatus.JUDGED)
    found = locate(context, spec, raw)
    if found is None:
        return FieldValue(spec.name, None, ValueStatus.ABSENT)
    if spec.type is FieldType.BOOLEAN:
        return FieldValue(spec.name, found.value, ValueStatus.JUDGED)
    if not found.places:
        reason = "It is in no result that the agent was shown."
        return FieldValue(spec.name, found.value, ValueStatus.NEEDS_REVIEW, (), reason)
    evidence = context.layout.evidence(found.places[0])
    return FieldValue(spec.name, found.value, ValueStatus.GROUNDED, tuple(evidence))
