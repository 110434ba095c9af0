"""Forgets runs that policy says are old enough.

Responsible for when a run goes and for saying so in the audit log first; the journal gives the room
back.  Invariant: a run that has not ended, or that one not ended builds on, is never forgotten;
results on the disk are the user's and stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import anyio

from hivekeep.daemon.gate import PolicyGate
from hivekeep.journal import Journal
from hivekeep.swarm.events import RunRecord

_DAY = 86_400.0
_EVERY = _DAY / 4


def expired(records: Mapping[str, RunRecord], *, now: float, days: int | None) -> list[str]:
    """The runs that ended more than ``days`` days ago; none if ``days`` is ``None``."""
    if days is None:
        return []
    needed = {record.request.previous for record in records.values() if not record.state.ended}
    return [
        name
        for name, record in records.items()
        if record.state.ended
        and name not in needed
        and record.ended is not None
        and now - record.ended > days * _DAY
    ]


@dataclass(frozen=True, slots=True)
class Retention:
    """Applies ``retention.run_days`` while ``run`` runs: at once, then every six hours."""

    gate: PolicyGate
    journal: Journal
    records: dict[str, RunRecord]
    clock: Callable[[], float]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.apply()
            await anyio.sleep(_EVERY)

    async def apply(self) -> list[str]:
        """Forget what has expired by now; the ids of those runs."""
        days = self.gate.policy.current().settings.retention.run_days
        runs = expired(self.records, now=self.clock(), days=days)
        for run in runs:
            await self.gate.record(
                "run.forget", subject=run, outcome="removed", rule="retention.run_days"
            )
            # It may have been resumed while that was written.
            if self.records[run].state.ended:
                del self.records[run]
                await anyio.to_thread.run_sync(self.journal.forget, [run])
        return runs
