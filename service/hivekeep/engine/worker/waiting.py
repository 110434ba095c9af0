"""The line of requests that wait for a slot, and each run's fair share of the model.

Responsible for the order of service: priority, then the run that has been served least, then the
earliest deadline, then arrival.  A waiting request is a small ticket here; its prompt is turned
into tokens only when it is about to be served.  Invariant: a run that waits is served no more than
about one request's worth behind any other run of the same priority.
"""

from __future__ import annotations

import heapq
import math
from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ticket:
    """A waiting request. ``deadline`` is on the caller's clock; ``order`` is that of arrival."""

    id: str
    run: str
    priority: int
    order: int
    deadline: float = math.inf


class Shares:
    """How much each run has been given: the virtual token counters of fair serving.

    A run that comes back is lifted to the least counter of those that are active, so that nobody
    saves up service by waiting (Sheng et al., "Fairness in Serving Large Language Models", 2024).
    """

    def __init__(self) -> None:
        self._given: dict[str, float] = {}

    def join(self, run: str, active: Iterable[str]) -> None:
        """``run`` asks for service while the runs in ``active`` are waiting or served."""
        others = [self._given.get(name, 0.0) for name in active if name != run]
        if others:
            self._given[run] = max(self._given.get(run, 0.0), min(others))

    def charge(self, run: str, tokens: float) -> None:
        """``tokens`` were computed for ``run``."""
        self._given[run] = self._given.get(run, 0.0) + tokens

    def given(self, run: str) -> float:
        """What ``run`` has been given."""
        return self._given.get(run, 0.0)

    def forget_all(self) -> None:
        """Nobody is active, so that nobody is ahead of anyone."""
        self._given.clear()


class WaitingLine:
    """Tickets in the order of service."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._tickets: dict[str, Ticket] = {}
        # By priority, then by run; each list is sorted by deadline and arrival.
        self._lines: dict[int, dict[str, list[tuple[float, int, Ticket]]]] = {}
        self._deadlines: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._tickets)

    def runs(self) -> set[str]:
        """Runs with a waiting request."""
        return {run for runs in self._lines.values() for run in runs}

    def add(self, ticket: Ticket) -> None:
        """Queue a ticket."""
        self._tickets[ticket.id] = ticket
        runs = self._lines.setdefault(ticket.priority, {})
        insort(runs.setdefault(ticket.run, []), (ticket.deadline, ticket.order, ticket))
        if ticket.deadline < math.inf:
            heapq.heappush(self._deadlines, (ticket.deadline, ticket.id))

    def remove(self, ticket_id: str) -> bool:
        """Take a ticket out; whether it was there."""
        ticket = self._tickets.pop(ticket_id, None)
        if ticket is None:
            return False
        runs = self._lines[ticket.priority]
        runs[ticket.run].remove((ticket.deadline, ticket.order, ticket))
        if not runs[ticket.run]:
            del runs[ticket.run]
        if not runs:
            del self._lines[ticket.priority]
        return True

    def expired(self, now: float) -> list[str]:
        """Tickets whose deadline has passed; they stay in the line."""
        late = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, name = heapq.heappop(self._deadlines)
            if name in self._tickets:
                late.append(name)
        return late

    def first(self, count: int) -> Iterator[Ticket]:
        """The next ``count`` tickets in the order of service."""
        for priority in sorted(self._lines):
            runs = self._lines[priority]
            heads = [(self._shares.given(run), line[0][1], run, 0) for run, line in runs.items()]
            heapq.heapify(heads)
            while heads and count > 0:
                given, _, run, at = heapq.heappop(heads)
                count -= 1
                yield runs[run][at][2]
                if at + 1 < len(runs[run]):
                    # A token's worth behind: runs that stand equal take turns.
                    heapq.heappush(heads, (given + 1, runs[run][at + 1][1], run, at + 1))
