"""Plain data between whoever asks for inference and whoever does it.

The engine protocol of the design speaks in these types whether a request is served by the local
worker or by a remote server.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hivekeep.domain.runs import Usage


class Role(StrEnum):
    """Who speaks in a prompt."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a prompt."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One inference request.

    ``schema`` is a JSON Schema that the answer is constrained to, or ``None`` for free text.
    ``prefix`` names prompts that begin alike (a recipe's instructions): requests with the same
    prefix are worth scheduling together.  Lower ``priority`` runs first.  ``temperature`` 0 is
    greedy and makes ``seed`` irrelevant.  The answer ends before the first of the ``stop`` strings.
    A request that has not ended ``deadline_seconds`` after it was made fails.  ``adapter`` is the
    path of a LoRA adapter that the model answers with.
    """

    id: str
    run: str
    agent: str
    model: str
    messages: tuple[Message, ...]
    schema: dict[str, Any] | None = None
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0
    priority: int = 10
    prefix: str = ""
    stop: tuple[str, ...] = ()
    deadline_seconds: float | None = None
    adapter: str = ""


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """A piece of one request's answer as it is produced."""

    request: str
    text: str


@dataclass(frozen=True, slots=True)
class RestartEvent:
    """A request's answer begins anew, because its worker or connection broke.

    Whoever showed the pieces that came before has to forget them.
    """

    request: str


@dataclass(frozen=True, slots=True)
class FinishEvent:
    """The end of one request's answer: the whole text, why it ended, and what it cost.

    ``logprobs`` holds one ``(start, end, logprob)`` per sampled token, ``start`` and ``end`` being
    UTF-8 byte offsets into ``text``; forced tokens have log-probability 0.
    """

    request: str
    text: str
    reason: FinishReason
    usage: Usage
    seconds: float
    logprobs: tuple[tuple[int, int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class FailEvent:
    """A request that failed although the engine lives on."""

    request: str
    what: str
    why: str = ""
    next_step: str = ""


EngineEvent = TokenEvent | RestartEvent | FinishEvent | FailEvent
