"""The worker's loop: takes requests, lets scheduler and executor work, and tells what happened.

Responsible for one request's life from arrival to finish; the batch is the scheduler's, the
computation the executor's.  Invariants: one request's error fails that request only, and a request
that waits is held as its text alone.
"""

from __future__ import annotations

import json
import math
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hivekeep.domain.errors import EngineError
from hivekeep.domain.inference import (
    FailEvent,
    FinishEvent,
    FinishReason,
    GenerateRequest,
    TokenEvent,
)
from hivekeep.domain.runs import Usage
from hivekeep.engine.worker.answer import AnswerText
from hivekeep.engine.worker.constraint import Constraint, check_schema
from hivekeep.engine.worker.executor import Executor
from hivekeep.engine.worker.heartbeat import Heartbeat
from hivekeep.engine.worker.sampling import Logits, choose
from hivekeep.engine.worker.scheduler import Job, Scheduler
from hivekeep.engine.worker.waiting import Ticket
from hivekeep.engine.worker.wire import Cancel, Outgrown, WorkerMessage


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A request as it waits; equal schemas are one string, however many requests have them."""

    request: GenerateRequest
    schema: str
    at: float


@dataclass(slots=True)
class _Answer:
    """One request in work."""

    request: GenerateRequest
    job: Job
    constraint: Constraint | None
    random: np.random.Generator
    begun: float
    text: AnswerText


class Loop:
    """Serves requests from ``inbox`` until ``None`` arrives.

    :param clock: monotonic seconds.
    """

    def __init__(
        self,
        executor: Executor,
        scheduler: Scheduler,
        inbox: queue.SimpleQueue[GenerateRequest | Cancel | None],
        emit: Callable[[WorkerMessage], None],
        heartbeat: Heartbeat,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor = executor
        self._scheduler = scheduler
        self._inbox = inbox
        self._emit = emit
        self._heartbeat = heartbeat
        self._clock = clock
        self._arrivals: dict[str, _Arrival] = {}
        self._answers: dict[str, _Answer] = {}
        self._schemas: dict[str, str] = {}
        self._count = 0

    def run(self) -> None:
        """Work until told to end; sleeps without waking while there is nothing to do."""
        while self._take():
            self._step()

    def _take(self) -> bool:
        """Take in every command that waits, or wait for one if there is nothing to compute."""
        while True:
            idle = not self._answers and not self._arrivals
            if idle:
                self._heartbeat.idle()
                self._schemas.clear()
            try:
                command = self._inbox.get(block=idle)
            except queue.Empty:
                return True
            self._heartbeat.busy()
            if command is None:
                return False
            if isinstance(command, Cancel):
                self._cancel(command.id)
            else:
                self._arrive(command)

    def _arrive(self, request: GenerateRequest) -> None:
        """Refuse what can never be answered, before anything is computed; else queue it."""
        schema = json.dumps(request.schema) if request.schema is not None else ""
        try:
            AnswerText(request.stop)
            if schema and schema not in self._schemas:
                check_schema(self._executor.tokenizer, schema)
                self._schemas[schema] = schema
        except EngineError as error:
            self._fail(request.id, error)
            return
        now = self._clock()
        deadline = math.inf if request.deadline_seconds is None else now + request.deadline_seconds
        self._count += 1
        waiting = replace(request, schema=None)
        self._arrivals[request.id] = _Arrival(waiting, self._schemas.get(schema, ""), now)
        self._scheduler.add(
            Ticket(request.id, request.run, request.priority, self._count, deadline)
        )

    def _prepare(self, ticket: Ticket) -> Job | None:
        """A waiting request's turn comes near: make its tokens."""
        arrival = self._arrivals.pop(ticket.id)
        request = arrival.request
        try:
            tokens = self._executor.prompt(request.messages)
            needed = len(tokens) + request.max_tokens
            if self._scheduler.capacity < needed and self._executor.most_context >= needed:
                self._emit(Outgrown(request.id, needed))
                return None
            room = self._scheduler.capacity - len(tokens)
            if room < 1:
                raise EngineError(
                    "The prompt is too long for the model's context.",
                    why=f"It has {len(tokens)} tokens; {self._scheduler.capacity} fit.",
                    next_step="Lower the recipe's context_tokens, or use a model with more.",
                )
            constraint = (
                Constraint(self._executor.tokenizer, arrival.schema) if arrival.schema else None
            )
        except EngineError as error:
            self._fail(request.id, error)
            return None
        job = Job(
            id=request.id, run=request.run, priority=request.priority, order=ticket.order,
            tokens=tokens, prompt_length=len(tokens), max_tokens=min(request.max_tokens, room),
            deadline=ticket.deadline,
        )  # fmt: skip
        answer = _Answer(
            request, job, constraint, np.random.default_rng(request.seed), arrival.at,
            AnswerText(request.stop),
        )  # fmt: skip
        self._answers[request.id] = answer
        self._force(answer)
        return job

    def _cancel(self, request: str) -> None:
        if request in self._answers:
            self._finish(self._answers[request], FinishReason.CANCELLED)
        elif self._arrivals.pop(request, None):
            self._scheduler.remove(request)
            self._emit(FinishEvent(request, "", FinishReason.CANCELLED, Usage(), 0.0))

    def _step(self) -> None:
        for late in self._scheduler.expired(self._clock()):
            self._drop(late, EngineError("The request's deadline passed before it was answered."))
        for placement in self._scheduler.admit(self._prepare):
            self._executor.place(placement)
        pieces = self._scheduler.plan()
        if not pieces:
            return
        logits = self._executor.decode(pieces)
        self._scheduler.computed(pieces)
        for slot, row in logits.items():
            job = self._scheduler.slots[slot].job
            if job is not None:
                self._advance(self._answers[job.id], row)
        tokens = sum(len(piece.tokens) for piece in pieces)
        self._heartbeat.computed(tokens, self._scheduler.active, self._scheduler.waiting)

    def _advance(self, answer: _Answer, row: Logits) -> None:
        if answer.constraint and answer.constraint.complete:
            # Everything was forced, as by a schema with one value.
            self._finish(answer, FinishReason.STOP)
            return
        try:
            allowed = answer.constraint.allowed() if answer.constraint else None
            token, logprob = choose(row, allowed, answer.request.temperature, answer.random)
            if self._executor.ends(token):
                self._finish(answer, FinishReason.STOP)
                return
            if answer.constraint:
                answer.constraint.accept(token)
            self._append(answer, [token], logprob)
            self._force(answer)
        except EngineError as error:
            self._drop(answer.request.id, error)
            return
        if answer.text.stopped or (answer.constraint and answer.constraint.complete):
            self._finish(answer, FinishReason.STOP)
        elif self._is_full(answer):
            self._finish(answer, FinishReason.LENGTH)

    def _is_full(self, answer: _Answer) -> bool:
        limit = min(answer.job.prompt_length + answer.job.max_tokens, self._scheduler.capacity)
        return len(answer.job.tokens) >= limit

    def _force(self, answer: _Answer) -> None:
        """Add what the grammar forces: computed together with the next token, never sampled."""
        if answer.constraint and not answer.text.stopped:
            forced = answer.constraint.forced()
            room = self._scheduler.capacity - len(answer.job.tokens)
            if forced[:room]:
                self._append(answer, forced[:room], 0.0)

    def _append(self, answer: _Answer, tokens: list[int], logprob: float) -> None:
        answer.job.tokens.extend(tokens)
        pieces = [answer.text.add(self._executor.piece(token), logprob) for token in tokens]
        text = "".join(pieces)
        if text:
            self._emit(TokenEvent(answer.request.id, text))

    def _finish(self, answer: _Answer, reason: FinishReason) -> None:
        self._scheduler.remove(answer.job.id)
        del self._answers[answer.request.id]
        job = answer.job
        rest = answer.text.rest()
        if rest:
            self._emit(TokenEvent(answer.request.id, rest))
        self._emit(
            FinishEvent(
                request=answer.request.id,
                text=answer.text.text,
                reason=reason,
                usage=Usage(
                    prompt=job.prompt_length,
                    cached=job.reused,
                    completion=len(job.tokens) - job.prompt_length,
                ),
                seconds=round(self._clock() - answer.begun, 4),
                logprobs=answer.text.logprobs,
            )
        )

    def _drop(self, request: str, error: EngineError) -> None:
        """A request in the line or in work fails."""
        self._scheduler.remove(request)
        self._answers.pop(request, None)
        self._arrivals.pop(request, None)
        self._fail(request, error)

    def _fail(self, request: str, error: EngineError) -> None:
        self._emit(FailEvent(request, error.what, error.why, error.next_step))
