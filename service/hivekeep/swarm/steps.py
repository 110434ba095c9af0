"""Durable steps: intent journaled before, result after, and never done twice.

Responsible for the one function through which every step of every agent goes, and for steps in
doubt; what a step may use is ``spending``'s.  Invariant: an effect begins only when its intent is
durable, a step whose result is in the journal is not performed again,
however often the process is killed, and an effect that may have happened is never repeated blindly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

from hivekeep.domain.budgets import Budget, Spent
from hivekeep.domain.errors import InDoubtError
from hivekeep.domain.runs import StepKind, Usage
from hivekeep.journal import Event, NewEvent, encode
from hivekeep.swarm.events import AgentRecord, Kind, RunRecord, StepRecord, apply
from hivekeep.swarm.spending import Spending
from hivekeep.tools import Happened

HAPPENED, REPEAT = "happened", "repeat"
"""What a person may say of a step in doubt."""
_PURE = (StepKind.READ, StepKind.GENERATE, StepKind.CHECK)
"""Steps without an effect: they may begin while their intent is being made durable, and be cut."""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What a step hands back: JSON-safe ``result``, what it used, and blobs to keep with it.

    ``calls`` counts tool calls, ``written`` the bytes they wrote.
    """

    result: dict[str, Any]
    usage: Usage | None = None
    blobs: tuple[bytes, ...] = field(default=())
    calls: int = 0
    written: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """How to find out after a crash whether a step's effect took place.

    ``happened`` is asked with the recorded intent; ``confirmed`` makes the step's result of an
    intent whose effect is known to have taken place.
    """

    happened: Callable[[dict[str, Any]], Awaitable[Happened]]
    confirmed: Callable[[dict[str, Any]], dict[str, Any]]


Recall = Callable[[AgentRecord | None, str, StepKind, dict[str, Any]], "Recalled | None"]
"""Finds the result of an agent's step (its key, kind and intent) that was done before."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """A result from an earlier run, and that run's id."""

    run: str
    result: dict[str, Any]


class EventLog(Protocol):
    """Where events and blobs are kept; the journal is one."""

    async def append(
        self, events: Sequence[NewEvent], *, blobs: Sequence[bytes] = ()
    ) -> list[Event]:
        """Make ``events`` and ``blobs`` durable together and return the events as numbered."""
        ...

    def hand_over(
        self, events: Sequence[NewEvent], *, blobs: Sequence[bytes] = ()
    ) -> asyncio.Future[list[Event]]:
        """``append`` that is waited for later; what was handed over first is durable first."""
        ...

    def events(self, run: str | None = None, *, kinds: Sequence[str] = ()) -> Iterator[Event]:
        """The durable events in order, of one run and of some kinds if asked."""
        ...

    def blob(self, sha256: str) -> bytes:
        """:raises JournalError: if it is not there."""
        ...


class RunLog:
    """Journals the events of one run and folds them into its record at once.

    :param recall: where the results of an earlier run are taken from.
    :param most: what any run may use at most.
    """

    def __init__(
        self,
        record: RunRecord,
        journal: EventLog,
        observe: Callable[[Event], None],
        monotonic: Callable[[], float],
        recall: Recall | None = None,
        most: Budget = Budget(),
    ) -> None:
        self.record = record
        self._journal = journal
        self._observe = observe
        self._monotonic = monotonic
        self._recall = recall
        self._spending = Spending(record, most, monotonic)

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens are bounded, so that a call's caller should say what it expects."""
        return self._spending.counts_tokens

    async def emit(
        self,
        kind: Kind,
        payload: dict[str, Any],
        *,
        agent: str = "",
        blobs: tuple[bytes, ...] = (),
    ) -> None:
        """Make one event durable, then fold and announce it."""
        await self._folded(self._stored(kind, payload, agent, blobs))

    def _stored(
        self, kind: Kind, payload: dict[str, Any], agent: str, blobs: tuple[bytes, ...] = ()
    ) -> asyncio.Future[list[Event]]:
        new = NewEvent(run=self.record.id, kind=kind, payload=payload, agent=agent)
        return self._journal.hand_over([new], blobs=blobs)

    async def _folded(self, stored: asyncio.Future[list[Event]]) -> None:
        """Wait until what was handed over is durable, then fold and announce it."""
        # Shielded: an event that became durable must be folded too, or a run resumed in this
        # process would do the step again.
        with anyio.CancelScope(shield=True):
            for event in await stored:
                self._fold(event)

    def _fold(self, event: Event) -> None:
        apply(self.record, event)
        self._observe(event)

    def _folding(self, stored: asyncio.Future[list[Event]]) -> asyncio.Future[None]:
        """Let an event be folded as soon as it is durable; what is returned is done then."""
        folded: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def fold(_done: asyncio.Future[list[Event]]) -> None:
            # A future of its own: whoever finds ``stored`` done need not wait for this callback.
            try:
                for event in stored.result():
                    self._fold(event)
            except Exception as failure:  # noqa: BLE001 - raised by whoever waits
                folded.set_exception(failure)
                folded.exception()
            else:
                folded.set_result(None)

        stored.add_done_callback(fold)
        return folded

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
        effect: Effect | None = None,
        expects: Spent = Spent(),
    ) -> dict[str, Any]:
        """Perform a step once and return its result, now or from the journal.

        A step with an effect outside either makes ``perform`` harmless to repeat, because a kill
        between effect and result makes it run again with the same recorded intent, or says with
        ``effect`` how to find out whether it happened.  ``expects`` is what the step may use.

        :raises BudgetError: if the agent or the run has nothing left for another step.
        :raises InDoubtError: if its effect may have taken place and nobody can tell.
        """
        known = self.recorded(agent, key)
        if known and known.done and known.result is not None:
            return known.result
        where = {"key": key, "kind": kind.value}
        owner = self.record.agents.get(agent)
        if known and effect:
            settled = await self._settle(known, effect, where, agent)
            if settled is not None:
                return settled
        # What was achieved is delivered in any case.
        bounded = kind is not StepKind.DELIVER
        if bounded:
            await self._spending.admit(agent, owner, expects)
        if self._recall and (found := self._recall(owner, key, kind, intent)):
            payload = {**where, "intent": intent, "result": found.result, "from": found.run}
            await self.emit(Kind.STEP_DONE, payload, agent=agent)
            return found.result
        with self._spending.open(agent, expects) if bounded else nullcontext():
            return await self._perform(where, intent, perform, agent)

    async def _perform(
        self,
        where: dict[str, Any],
        intent: dict[str, Any],
        perform: Callable[[], Awaitable[StepOutcome]],
        agent: str,
    ) -> dict[str, Any]:
        intent_event = {**where, "intent": intent}
        intended = self._folding(self._stored(Kind.STEP_INTENDED, intent_event, agent))
        pure = where["kind"] in _PURE
        if not pure:
            await _durable(intended)
        begun = self._monotonic()
        try:
            if pure:
                with self._spending.in_time(agent):
                    outcome = await perform()
            else:
                outcome = await perform()
        except Exception as error:
            await _durable(intended)
            await self.emit(Kind.STEP_FAILED, {**where, "error": str(error)[:500]}, agent=agent)
            raise
        except BaseException:
            # A step given up: whoever goes on with the run in this process has to find its intent.
            await _durable(intended)
            raise
        payload = {
            **where,
            "result": outcome.result,
            "seconds": round(self._monotonic() - begun, 4),
            "elapsed": round(self._spending.elapsed(), 4),
            "usage": encode(outcome.usage) if outcome.usage else None,
        }
        if outcome.calls or outcome.written:
            payload |= {"calls": outcome.calls, "written": outcome.written}
        stored = self._stored(Kind.STEP_DONE, payload, agent, outcome.blobs)
        # Both are waited for: the result must not count without its intent either.
        await _durable(intended)
        await self._folded(stored)
        return outcome.result

    async def _settle(
        self, known: StepRecord, effect: Effect, where: dict[str, Any], agent: str
    ) -> dict[str, Any] | None:
        """The result of a step that was begun before, or ``None`` if it has to be performed."""
        intent = known.intent or {}
        if known.verdict == REPEAT:
            return None
        happened = Happened.YES
        if known.verdict != HAPPENED:
            happened = await effect.happened(intent)
        if happened is Happened.NO:
            return None
        if happened is Happened.UNKNOWN:
            why = "It was under way when the program ended, and its traces do not tell."
            await self.emit(Kind.STEP_DOUBTED, {**where, "why": why}, agent=agent)
            raise InDoubtError(
                f"Nobody can tell whether step '{known.key}' took place.",
                why=why,
                next_step=f"See 'hivekeep runs show {self.record.id}', look for yourself, then "
                f"'hivekeep runs resolve {self.record.id}'.",
            )
        result = effect.confirmed(intent)
        await self.emit(Kind.STEP_DONE, {**where, "result": result, "calls": 1}, agent=agent)
        return result


async def _durable(done: asyncio.Future[None]) -> None:
    """Wait until an event is durable and folded, whatever happens meanwhile."""
    with anyio.CancelScope(shield=True):
        await done
