"""Tells the inventory of watched folders what became of their files.

Responsible for carrying results from the journal to the inventory, also those of an earlier
process; it decides nothing.  Invariant: marking twice is harmless, so nothing is lost by a kill
between the two files.
"""

from __future__ import annotations

import math
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from hivekeep.domain.runs import AgentState
from hivekeep.journal import Event
from hivekeep.swarm.events import AgentRecord, Kind, RunRecord
from hivekeep.triggers import FileState, Inventory


class Bookkeeper:
    """Marks files of watched folders as done or failed while ``run`` runs."""

    def __init__(self, inventory: Inventory, records: dict[str, RunRecord]) -> None:
        self._inventory = inventory
        self._records = records
        self._send, self._receive = anyio.create_memory_object_stream[tuple[str, str]](math.inf)

    def observe(self, event: Event) -> None:
        """Take note of an ended agent; called from the event loop, returns at once."""
        if event.kind == Kind.AGENT_ENDED:
            record = self._records.get(event.run)
            if record is not None and record.request.watch:
                self._send.send_nowait((event.run, event.agent))

    def is_own_output(self, path: Path) -> bool:
        """Whether a run has published, or is about to publish, this very file."""
        wanted = str(path)
        return any(
            wanted == item.get("target") or wanted == item.get("temporary")
            for record in list(self._records.values())
            if (step := record.steps.get("deliver:prepare")) and step.result
            for item in step.result["files"]
        )

    async def run(self) -> None:
        """First catch up with runs of earlier processes, then follow this one's."""
        for record in list(self._records.values()):
            if record.request.watch:
                await run_sync(self._mark_all, record)
        async for run, agent in self._receive:
            record = self._records[run]
            await run_sync(self._mark, record, record.agents[agent])

    def _mark_all(self, record: RunRecord) -> None:
        running = {
            (file.path, file.sha256)
            for file in self._inventory.files(record.request.watch, FileState.RUNNING)
        }
        for agent in record.agents.values():
            if (Path(agent.input.path), agent.input.sha256) in running:
                self._mark(record, agent)

    def _mark(self, record: RunRecord, agent: AgentRecord) -> None:
        if agent.state is AgentState.DONE:
            state, reason = FileState.DONE, ""
        elif agent.state is AgentState.FAILED:
            state, reason = FileState.FAILED, agent.failure.line if agent.failure else ""
        else:
            return
        path = Path(agent.input.path)
        self._inventory.mark(path, agent.input.sha256, state, reason, watch=record.request.watch)
