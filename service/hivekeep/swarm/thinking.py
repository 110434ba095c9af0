"""One model call as a durable, audited step, whoever makes it.

Responsible for what is journaled and audited around a call; prompts and what is done with the
answer belong to the caller.  Invariant: every call of a model is in the audit log with the hashes
of prompt and answer before its answer counts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from hivekeep.domain.budgets import Spent
from hivekeep.domain.fields import Plan
from hivekeep.domain.inference import GenerateRequest, Message
from hivekeep.domain.runs import StepKind
from hivekeep.journal import encode
from hivekeep.swarm.answers import confidences
from hivekeep.swarm.patterns.sampling import GREEDY, Sampling, generate_intent
from hivekeep.swarm.ports import Ports
from hivekeep.swarm.prompting.budget import estimate_tokens
from hivekeep.swarm.steps import RunLog, StepOutcome


@dataclass(frozen=True, slots=True)
class Thinker:
    """The model calls of one agent; ``agent`` is empty for the run's own."""

    log: RunLog
    ports: Ports
    agent: str
    plan: Plan

    async def __call__(
        self,
        key: str,
        messages: tuple[Message, ...],
        schema: dict[str, Any] | None,
        sampling: Sampling = GREEDY,
    ) -> str:
        """The answer's text; see ``answer``."""
        return str((await self.answer(key, messages, schema, sampling))["text"])

    async def answer(
        self,
        key: str,
        messages: tuple[Message, ...],
        schema: dict[str, Any] | None,
        sampling: Sampling = GREEDY,
    ) -> dict[str, Any]:
        """The journaled answer: its ``text``, the ``reason`` why it ended, and how sure it was.

        :raises EngineError: if the request failed for good.
        :raises BudgetError: if nothing is left for another step.
        """
        model = sampling.model or self.plan.model
        prompt = json.dumps([encode(message) for message in messages])
        prompt_hash = hashlib.sha256(prompt.encode()).hexdigest()
        request = GenerateRequest(
            id=f"{self.agent or self.log.record.id}/{key}",
            run=self.log.record.id,
            agent=self.agent,
            model=model,
            messages=messages,
            schema=schema,
            max_tokens=self.plan.max_tokens,
            temperature=sampling.temperature,
            seed=sampling.seed,
            prefix=self.plan.recipe_hash,
            # An adapter is made for one model; a second look asks another.
            adapter=self.plan.adapter if model == self.plan.model else "",
        )

        async def perform() -> StepOutcome:
            finish = await self.ports.engine.complete(request)
            await self.ports.gate.record(
                "model.call", run=self.log.record.id, agent=self.agent,
                subject=model, outcome=finish.reason.value, prompt_sha256=prompt_hash,
                answer_sha256=hashlib.sha256(finish.text.encode()).hexdigest(),
                model_sha256=self._sha256(model), usage=encode(finish.usage),
                sampling=encode(sampling),
            )  # fmt: skip
            result: dict[str, Any] = {"text": finish.text, "reason": finish.reason.value}
            if schema is not None:
                result["confidence"] = confidences(finish.text, finish.logprobs)
            return StepOutcome(result, usage=finish.usage)

        expects = Spent()
        if self.log.counts_tokens:
            sent = sum(estimate_tokens(message.content) for message in messages)
            expects = Spent(tokens=sent + self.plan.max_tokens)
        known_as = f"{model} with {request.adapter}" if request.adapter else model
        intent = generate_intent(prompt_hash, known_as, schema, self.plan.max_tokens, sampling)
        return await self.log.step(
            key, StepKind.GENERATE, intent, perform, agent=self.agent, expects=expects
        )

    def _sha256(self, model: str) -> str:
        request = self.log.record.request
        known = {self.plan.draft_model: request.draft_model_sha256}
        return (known | {request.plan.model: request.model_sha256}).get(model, "")
