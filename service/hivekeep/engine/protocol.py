"""The seam between whoever needs inference and whoever provides it.

Responsible for the protocol only: a local worker and a remote server both speak it, so that the
swarm never knows which one answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hivekeep.domain.inference import EngineEvent, FinishEvent, GenerateRequest
from hivekeep.engine.tally import RunUsage


class EngineState(StrEnum):
    """Whether a model is in memory."""

    UNLOADED = "unloaded"
    LOADING = "loading"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What the engine is doing.

    ``active`` requests hold a slot, ``waiting`` ones do not yet.  ``tokens_per_second`` counts
    prefilled and decoded tokens over the last few seconds.  ``rss`` is the worker's resident memory
    in bytes, ``restarts`` how often a worker had to be replaced.  ``slots`` sequences of
    ``context`` tokens each are open.  ``usage`` has what recent runs have cost.
    """

    state: EngineState = EngineState.UNLOADED
    model: str = ""
    active: int = 0
    waiting: int = 0
    tokens_per_second: float = 0.0
    rss: int = 0
    restarts: int = 0
    slots: int = 0
    context: int = 0
    usage: tuple[RunUsage, ...] = ()


class Engine(Protocol):
    """Answers inference requests."""

    def generate(self, requests: Sequence[GenerateRequest]) -> AsyncIterator[EngineEvent]:
        """Events of all ``requests`` as they happen; each ends with a finish or a failure.

        Closing the iterator cancels what has not ended.
        """
        ...

    async def complete(self, request: GenerateRequest) -> FinishEvent:
        """The whole answer to one request.

        :raises EngineError: if the request failed for good.
        """
        ...

    def status(self) -> EngineStatus:
        """What the engine is doing now; cheap."""
        ...
