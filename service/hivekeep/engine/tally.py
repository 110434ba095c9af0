"""What each run and agent has cost in tokens.

Responsible for counting; bounded, so that a daemon that runs for months keeps only recent runs.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from hivekeep.domain.runs import Usage

_MOST_RUNS = 64


@dataclass(frozen=True, slots=True)
class RunUsage:
    """What one run has used: answered ``requests`` of ``agents`` sub-agents, and their tokens."""

    run: str
    requests: int
    agents: int
    usage: Usage


@dataclass(slots=True)
class _Count:
    requests: int = 0
    total: Usage = Usage()
    agents: dict[str, Usage] = field(default_factory=dict)


class Tally:
    """Counters by run and agent, the most recently used runs last."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, _Count] = OrderedDict()

    def add(self, run: str, agent: str, usage: Usage) -> None:
        """A request of ``agent`` was answered."""
        count = self._runs.setdefault(run, _Count())
        self._runs.move_to_end(run)
        count.requests += 1
        count.total += usage
        count.agents[agent] = count.agents.get(agent, Usage()) + usage
        while len(self._runs) > _MOST_RUNS:
            self._runs.popitem(last=False)

    def runs(self) -> tuple[RunUsage, ...]:
        """Every run that is remembered."""
        return tuple(
            RunUsage(run, count.requests, len(count.agents), count.total)
            for run, count in self._runs.items()
        )

    def agents(self, run: str) -> dict[str, Usage]:
        """The run's agents; empty if it is not remembered."""
        return dict(self._runs[run].agents) if run in self._runs else {}
