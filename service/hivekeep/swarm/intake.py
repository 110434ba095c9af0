"""The documents of one run: those it began with, and those that join it while it is at work.

Responsible for handing each document out once and for when a run may deliver; which documents may
join is the coordinator's to decide.  Invariant: a document that has joined is handed out, or the
run ends without delivering, so none is left out of a result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

import anyio

from hivekeep.swarm.events import AgentRecord

LONGEST_SECONDS = 600.0
"""A run takes in no more documents after this time, so that its result comes also where files never
stop arriving."""


class Intake:
    """One run's documents in this process; times are seconds of the event loop's clock.

    :param documents: those that the run has already and that have not ended.
    :param batch_seconds: how long to wait for another one after the latest, once all others have
        ended; with 0 nothing joins.
    """

    def __init__(self, documents: Iterable[AgentRecord], batch_seconds: float = 0.0) -> None:
        self._waiting = deque(documents)
        self._seconds = batch_seconds
        self._open = batch_seconds > 0
        self._latest = anyio.current_time() if self._open else 0.0
        self._closes_at = self._latest + LONGEST_SECONDS
        self._joining = self._at_work = 0
        self._changed = anyio.Event()

    @property
    def open(self) -> bool:
        """Whether another document may join."""
        return self._open and anyio.current_time() < self._closes_at

    @contextmanager
    def joining(self) -> Iterator[None]:
        """Documents are about to join; the run does not deliver meanwhile."""
        self._joining += 1
        try:
            yield
        finally:
            self._joining -= 1
            self._wake()

    def add(self, documents: Iterable[AgentRecord]) -> None:
        """Take in documents that are journaled as the run's."""
        self._waiting.extend(documents)
        self._latest = anyio.current_time()
        self._wake()

    def ended(self) -> None:
        """A document that was handed out is done with."""
        self._at_work -= 1
        self._wake()

    def close(self) -> None:
        """Let nothing join any more, except what is about to."""
        self._open = False
        self._wake()

    async def settled(self) -> None:
        """Return once what was about to join has joined or was turned away."""
        while self._joining:
            await self._changed.wait()

    async def arrivals(self) -> AsyncIterator[AgentRecord]:
        """Each document as it comes, until no more can; ``ended`` has to follow for each."""
        while await self._another():
            self._at_work += 1
            yield self._waiting.popleft()

    async def _another(self) -> bool:
        """Wait for a document; false if none will come any more."""
        while not self._waiting:
            deadline = float("inf")
            if not self._joining:
                if not self.open:
                    break
                if not self._at_work:
                    deadline = min(self._latest + self._seconds, self._closes_at)
                    if anyio.current_time() >= deadline:
                        break
            with anyio.CancelScope(deadline=deadline):
                await self._changed.wait()
        self._open = self._open and bool(self._waiting)
        return bool(self._waiting)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
