"""The worker's loop: takes requests, lets scheduler and executor work, and tells what happened.

Responsible for one request's life from tokens to finish; the batch is the scheduler's, the
computation the executor's.  Invariant: one request's error fails that request only.
"""

from __future__ import annotations

import codecs
import queue
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hivekeep.domain.errors import EngineError
from hivekeep.domain.inference import (
    EngineEvent,
    FailEvent,
    FinishEvent,
    FinishReason,
    GenerateRequest,
    TokenEvent,
)
from hivekeep.domain.runs import Usage
from hivekeep.engine.worker.constraint import Constraint
from hivekeep.engine.worker.executor import Executor, Logits
from hivekeep.engine.worker.scheduler import Job, Scheduler
from hivekeep.engine.worker.wire import Beat, Cancel

_BEAT_SECONDS = 1.0
_RATE_SECONDS = 5.0


@dataclass(slots=True)
class _Answer:
    """One request in work."""

    request: GenerateRequest
    job: Job
    constraint: Constraint | None
    random: np.random.Generator
    begun: float
    data: bytearray = field(default_factory=bytearray)
    logprobs: list[tuple[int, int, float]] = field(default_factory=list)
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )


class Loop:
    """Serves requests from ``inbox`` until ``None`` arrives."""

    def __init__(
        self,
        executor: Executor,
        scheduler: Scheduler,
        inbox: queue.SimpleQueue[GenerateRequest | Cancel | None],
        emit: Callable[[EngineEvent | Beat], None],
    ) -> None:
        self._executor = executor
        self._scheduler = scheduler
        self._inbox = inbox
        self._emit = emit
        self._answers: dict[str, _Answer] = {}
        self._arrivals = 0
        self._last_beat = 0.0
        self._recent: deque[tuple[float, int]] = deque()

    def run(self) -> None:
        """Work until told to end; sleeps without waking while there is nothing to do."""
        while self._take():
            self._step()

    def _take(self) -> bool:
        """Take in every command that waits, or wait for one if there is nothing to compute."""
        while True:
            try:
                command = self._inbox.get(block=not self._answers)
            except queue.Empty:
                return True
            if command is None:
                return False
            if isinstance(command, Cancel):
                self._cancel(command.id)
            else:
                self._begin(command)

    def _begin(self, request: GenerateRequest) -> None:
        try:
            tokens = self._executor.prompt(request.messages)
            room = self._scheduler.capacity - len(tokens)
            if room < 1:
                raise EngineError(
                    "The prompt is too long for the model's context.",
                    why=f"It has {len(tokens)} tokens; {self._scheduler.capacity} fit.",
                    next_step="Lower the recipe's context_tokens.",
                )
            constraint = (
                Constraint(self._executor.tokenizer, request.schema) if request.schema else None
            )
        except EngineError as error:
            self._emit(FailEvent(request.id, error.what, error.why, error.next_step))
            return
        self._arrivals += 1
        job = Job(
            id=request.id, run=request.run, priority=request.priority, order=self._arrivals,
            tokens=tokens, prompt_length=len(tokens), max_tokens=min(request.max_tokens, room),
        )  # fmt: skip
        answer = _Answer(
            request, job, constraint, np.random.default_rng(request.seed), time.monotonic()
        )
        self._answers[request.id] = answer
        self._force(answer)
        self._scheduler.add(job)

    def _cancel(self, request: str) -> None:
        answer = self._answers.get(request)
        if answer:
            self._finish(answer, FinishReason.CANCELLED)

    def _step(self) -> None:
        for placement in self._scheduler.admit():
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
        self._beat(sum(len(piece.tokens) for piece in pieces))

    def _advance(self, answer: _Answer, row: Logits) -> None:
        try:
            token, logprob = _sample(row, answer)
            if self._executor.ends(token):
                self._finish(answer, FinishReason.STOP)
                return
            if answer.constraint:
                answer.constraint.accept(token)
            self._append(answer, [token], logprob)
            self._force(answer)
        except EngineError as error:
            self._scheduler.remove(answer.job.id)
            del self._answers[answer.request.id]
            self._emit(FailEvent(answer.request.id, error.what, error.why, error.next_step))
            return
        if answer.constraint and answer.constraint.complete:
            self._finish(answer, FinishReason.STOP)
        elif self._is_full(answer):
            self._finish(answer, FinishReason.LENGTH)

    def _is_full(self, answer: _Answer) -> bool:
        limit = min(answer.job.prompt_length + answer.job.max_tokens, self._scheduler.capacity)
        return len(answer.job.tokens) >= limit

    def _force(self, answer: _Answer) -> None:
        """Add what the grammar forces: computed together with the next token, never sampled."""
        if answer.constraint:
            forced = answer.constraint.forced()
            room = self._scheduler.capacity - len(answer.job.tokens)
            if forced[:room]:
                self._append(answer, forced[:room], 0.0)

    def _append(self, answer: _Answer, tokens: list[int], logprob: float) -> None:
        answer.job.tokens.extend(tokens)
        text = ""
        for token in tokens:
            piece = self._executor.piece(token)
            start = len(answer.data)
            answer.data += piece
            answer.logprobs.append((start, len(answer.data), round(logprob, 4)))
            text += answer.decoder.decode(piece)
        if text:
            self._emit(TokenEvent(answer.request.id, text))

    def _finish(self, answer: _Answer, reason: FinishReason) -> None:
        self._scheduler.remove(answer.job.id)
        del self._answers[answer.request.id]
        job = answer.job
        self._emit(
            FinishEvent(
                request=answer.request.id,
                text=answer.data.decode("utf-8", "replace"),
                reason=reason,
                usage=Usage(
                    prompt=job.prompt_length,
                    cached=min(job.reused, job.prompt_length),
                    completion=len(job.tokens) - job.prompt_length,
                ),
                seconds=round(time.monotonic() - answer.begun, 4),
                logprobs=tuple(answer.logprobs),
            )
        )

    def _beat(self, tokens: int) -> None:
        now = time.monotonic()
        self._recent.append((now, tokens))
        while self._recent and self._recent[0][0] < now - _RATE_SECONDS:
            self._recent.popleft()
        if now - self._last_beat >= _BEAT_SECONDS:
            self._last_beat = now
            span = max(now - self._recent[0][0], _BEAT_SECONDS)
            rate = sum(count for _, count in self._recent) / span
            self._emit(Beat(self._scheduler.active, self._scheduler.waiting, round(rate, 1)))


def _sample(row: Logits, answer: _Answer) -> tuple[int, float]:
    """The next token and its log-probability among the allowed ones."""
    logits = row
    if answer.constraint:
        allowed = answer.constraint.allowed()
        size = min(len(allowed), len(row))
        logits = np.where(allowed[:size], row[:size], -np.inf)
        if not np.isfinite(logits).any():
            raise EngineError("The grammar allows no further token.")
    highest = float(logits.max())
    weights = np.exp(logits - highest)
    total = float(weights.sum())
    temperature = answer.request.temperature
    if temperature <= 0:
        token = int(logits.argmax())
    else:
        scaled = np.exp((logits - highest) / temperature, dtype=np.float64)
        token = int(answer.random.choice(len(scaled), p=scaled / scaled.sum()))
    return token, float(logits[token]) - highest - float(np.log(total))
