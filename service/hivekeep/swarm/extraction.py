"""The road from a document's blocks to checked values, with as few computed tokens as it takes.

Responsible for what is asked, of which model, and how often; wording is ``prompting``'s, judgement
``verification``'s.  Invariant: every value goes through ``check``, whether labels, a draft or the
plan's model stated it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import anyio

from hivekeep.domain.documents import Document
from hivekeep.domain.errors import HivekeepError
from hivekeep.domain.fields import FieldType, Plan
from hivekeep.domain.inference import Message
from hivekeep.domain.runs import StepKind
from hivekeep.domain.values import DocumentResult
from hivekeep.journal import decode, encode
from hivekeep.swarm.answers import Answer, parse_answer
from hivekeep.swarm.patterns.sampling import Sampling
from hivekeep.swarm.prompting import extraction_messages, reask_messages, request_groups
from hivekeep.swarm.prompting.schema import answer_schema
from hivekeep.swarm.steps import StepOutcome
from hivekeep.swarm.thinking import Thinker
from hivekeep.swarm.verification import Context, check, open_fields, unconvincing

_Step = Callable[
    [str, StepKind, dict[str, Any], Callable[[], Awaitable[StepOutcome]]],
    Awaitable[dict[str, Any]],
]


_Compute = Callable[[Document, Answer, Answer | None, Context], Awaitable[DocumentResult]]


def most_extraction_steps(plan: Plan) -> int:
    """Questions, drafts, check, and once more what was in doubt."""
    return 3 + len(request_groups(plan)) + (1 if plan.draft_model else 0)


@dataclass(frozen=True, slots=True)
class Extraction:
    """The model calls and checks of one document; ``step`` makes a check durable.

    ``compute`` does the checking, here or elsewhere.
    """

    plan: Plan
    document: Document
    think: Thinker
    step: _Step
    compute: _Compute

    async def run(self) -> DocumentResult:
        """Labels first, then the questions they leave open, then what is in doubt."""
        context = Context(self.plan, self.document)
        asked = None
        if self.plan.labels_first:
            asked = _in_company(
                self.plan,
                open_fields(context, check(self.plan, self.document, {}, context=context)),
            )
        answer = await self._first_answers(context, asked)
        result = await self._check("check", context, answer)
        again = reask_messages(context, result, asked)
        if again is None:
            return result
        messages, schema = again
        second = await self._ask("generate:again", messages, schema)
        return await self._check("check:again", context, answer, second)

    async def _first_answers(self, context: Context, asked: tuple[str, ...] | None) -> Answer:
        """Ask about the fields in ``asked``, all if ``None``, in as many questions as it takes."""
        plan = self.plan
        answers: list[Answer] = []
        tables = {spec.name for spec in plan.fields if spec.type is FieldType.ROWS}

        async def ask(number: int, names: tuple[str, ...]) -> None:
            key = f"generate:{number}"
            if plan.draft_model and not tables.intersection(names):
                draft = await self._question(f"{key}:draft", names, plan.draft_model)
                answers.insert(0, draft)
                names = unconvincing(context, names, draft.values, draft.confidence)
            if names:
                answers.append(await self._question(key, names))

        # All at once: the engine then computes what these prompts share a single time.
        await together(ask(*group) for group in enumerate(request_groups(plan, asked)))
        return reduce(or_, answers, Answer())

    async def _question(self, key: str, names: tuple[str, ...], model: str = "") -> Answer:
        messages = extraction_messages(self.plan, self.document, fields=names)
        return await self._ask(key, messages, answer_schema(self.plan, fields=names), model)

    async def _ask(
        self, key: str, messages: tuple[Message, ...], schema: dict[str, Any], model: str = ""
    ) -> Answer:
        said = await self.think.answer(key, messages, schema, Sampling(model=model))
        return Answer(parse_answer(str(said["text"])), said.get("confidence") or {})

    async def _check(
        self, key: str, context: Context, first: Answer, second: Answer | None = None
    ) -> DocumentResult:
        async def perform() -> StepOutcome:
            result = await self.compute(self.document, first, second, context)
            return StepOutcome({"result": encode(result)})

        done = await self.step(key, StepKind.CHECK, {}, perform)
        return decode(DocumentResult, done["result"])


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


def _in_company(plan: Plan, asked: tuple[str, ...]) -> tuple[str, ...]:
    """``asked``, and every name if a required one is open.

    Asked for the seller alone, the 1.5B model answers null where no label says "seller"; asked for
    seller and buyer, it tells the two apart.
    """
    names = [spec for spec in plan.fields if spec.type is FieldType.NAME]
    if not any(spec.required and spec.name in asked for spec in names):
        return asked
    wanted = {*asked, *(spec.name for spec in names)}
    return tuple(spec.name for spec in plan.fields if spec.name in wanted)
