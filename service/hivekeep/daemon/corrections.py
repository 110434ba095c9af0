"""Values that a person has put right, kept beside what the swarm had found.

Responsible for remembering who changed what; the swarm's own result is never altered.  Invariant:
a correction is audited and journaled before it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from hivekeep.audit import AuditEvent, AuditLog
from hivekeep.domain.errors import NotFoundError
from hivekeep.domain.saying import say
from hivekeep.domain.values import FieldValue, RowsValue, Scalar
from hivekeep.journal import Journal, NewEvent, decode, encode
from hivekeep.swarm.events import AgentRecord, RunRecord

KIND = "value.corrected"


@dataclass(frozen=True, slots=True)
class Correction:
    """One value put right. ``row`` counts from 0 and is ``None`` for a field that is no table."""

    agent: str
    field: str
    row: int | None
    column: str
    before: Scalar
    after: Scalar
    author: str
    at: float
    note: str = ""


class Corrections:
    """The corrections of one profile's runs."""

    def __init__(self, journal: Journal, audit: AuditLog) -> None:
        self._journal, self._audit = journal, audit

    def of(self, run: str) -> list[Correction]:
        """Every correction of a run, oldest first."""
        return [decode(Correction, e.payload) for e in self._journal.events(run, kinds=[KIND])]

    async def make(self, record: RunRecord, correction: Correction) -> Correction:
        """Keep one.

        :raises NotFoundError: if the run has no such value.
        """
        agent = record.agents.get(correction.agent)
        before = None if agent is None else _present(agent, correction)
        kept = Correction(**{**encode(correction), "before": before})
        event = AuditEvent(
            actor=kept.author,
            action="value.correct",
            subject=f"{kept.field} {kept.column}".strip(),
            outcome="kept",
            detail={"run": record.id, **encode(kept)},
        )
        await anyio.to_thread.run_sync(self._audit.append, event)
        await self._journal.append([NewEvent(record.id, KIND, encode(kept), agent=kept.agent)])
        return kept


def _present(agent: AgentRecord, correction: Correction) -> Scalar:
    value = agent.result.get(correction.field) if agent.result else None
    if isinstance(value, FieldValue) and correction.row is None:
        return value.value
    if isinstance(value, RowsValue) and correction.row is not None:
        row = value.rows[correction.row] if correction.row < len(value.rows) else ()
        for cell in row:
            if cell.name == correction.column:
                return cell.value
    raise NotFoundError(
        say("error.no_value", "There is no value '{field}' to correct.", field=correction.field),
        why=say("why.no_value", "The document has no such field, row or column."),
    )
