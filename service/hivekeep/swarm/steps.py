"""Durable steps: intent journaled before, result after, and never done twice.

Responsible for the one function through which every step of every agent goes.  Invariant: a step
whose result is in the journal is not performed again, however often the process is killed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio

from hivekeep.domain.runs import StepKind, Usage
from hivekeep.journal import Event, Journal, NewEvent, encode
from hivekeep.swarm.events import Kind, RunRecord, StepRecord, apply


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What a step hands back: JSON-safe ``result``, tokens used, and blobs to keep with it."""

    result: dict[str, Any]
    usage: Usage | None = None
    blobs: tuple[bytes, ...] = field(default=())


class RunLog:
    """Journals the events of one run and folds them into its record at once."""

    def __init__(
        self,
        record: RunRecord,
        journal: Journal,
        observe: Callable[[Event], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.record = record
        self._journal = journal
        self._observe = observe
        self._monotonic = monotonic

    async def emit(
        self,
        kind: Kind,
        payload: dict[str, Any],
        *,
        agent: str = "",
        blobs: tuple[bytes, ...] = (),
    ) -> None:
        """Make one event durable, then fold and announce it."""
        new = NewEvent(run=self.record.id, kind=kind, payload=payload, agent=agent)
        # Shielded: an event that became durable must be folded too, or a run resumed in this
        # process would do the step again.
        with anyio.CancelScope(shield=True):
            for event in await self._journal.append([new], blobs=blobs):
                apply(self.record, event)
                self._observe(event)

    def blob(self, sha256: str) -> bytes:
        """Content kept by an earlier step."""
        return self._journal.blob(sha256)

    def recorded(self, agent: str, key: str) -> StepRecord | None:
        """The step as the journal knows it, or ``None`` if it was never begun."""
        owner = self.record.agents.get(agent)
        return (owner.steps if owner else self.record.steps).get(key)

    async def step(
        self,
        key: str,
        kind: StepKind,
        intent: dict[str, Any],
        perform: Callable[[], Awaitable[StepOutcome]],
        *,
        agent: str = "",
    ) -> dict[str, Any]:
        """Perform a step once and return its result, now or from the journal.

        A step with an effect outside must make ``perform`` harmless to repeat, because a kill
        between effect and result makes it run again with the same recorded intent.
        """
        known = self.recorded(agent, key)
        if known and known.done and known.result is not None:
            return known.result
        where = {"key": key, "kind": kind.value}
        await self.emit(Kind.STEP_INTENDED, {**where, "intent": intent}, agent=agent)
        begun = self._monotonic()
        try:
            outcome = await perform()
        except Exception as error:
            await self.emit(Kind.STEP_FAILED, {**where, "error": str(error)[:500]}, agent=agent)
            raise
        payload = {
            **where,
            "result": outcome.result,
            "seconds": round(self._monotonic() - begun, 4),
            "usage": encode(outcome.usage) if outcome.usage else None,
        }
        await self.emit(Kind.STEP_DONE, payload, agent=agent, blobs=outcome.blobs)
        return outcome.result
