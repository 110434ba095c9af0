"""Audit records of many tasks in one write.

Responsible for handing what tasks record at the same time to the audit log together, from one
thread; what is recorded is theirs.  Invariant: ``append`` returns only when its record is on the
disk, and records of one task are written in its order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from hivekeep.audit import AuditEvent, AuditLog
from hivekeep.domain.errors import AuditError


@dataclass(slots=True)
class _Batch:
    events: list[AuditEvent] = field(default_factory=list)
    written: anyio.Event = field(default_factory=anyio.Event)
    errors: dict[int, Exception] = field(default_factory=dict)


class SharedWrite:
    """The way of one event loop's tasks to the audit log.

    The first task of a batch writes it for all; meanwhile the next batch gathers.
    """

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._gathering: _Batch | None = None
        self._writing = anyio.Lock()

    async def append(self, event: AuditEvent) -> None:
        """Record ``event``.

        :raises AuditError: if it could not be written.
        """
        batch, place = self._gathering, 0
        if batch is not None:
            place = len(batch.events)
            batch.events.append(event)
            await batch.written.wait()
        else:
            self._gathering = batch = _Batch([event])
            # Shielded: the others of the batch wait for this task, whatever becomes of it.
            with anyio.CancelScope(shield=True):
                await self._write(batch)
        if error := batch.errors.get(place):
            raise error

    async def _write(self, batch: _Batch) -> None:
        async with self._writing:
            # From here on the next task begins a new batch.
            self._gathering = None
            try:
                batch.errors = await anyio.to_thread.run_sync(self._write_now, batch.events)
            except Exception as error:  # noqa: BLE001 - raised by every task of the batch
                batch.errors = dict.fromkeys(range(len(batch.events)), error)
            finally:
                batch.written.set()

    def _write_now(self, events: list[AuditEvent]) -> dict[int, Exception]:
        try:
            self._audit.append_many(events)
        except AuditError as error:
            if len(events) == 1:
                return {0: error}
        else:
            return {}
        # Perhaps only one of them cannot be written, such as one that is too large.
        errors: dict[int, Exception] = {}
        for place, event in enumerate(events):
            try:
                self._audit.append(event)
            except AuditError as error:
                errors[place] = error
        return errors
