"""What the daemon does with the audit log for the people who ask it.

Responsible for the verbs of ``hivekeep audit``; the log itself is ``hivekeep.audit``'s.  Invariant:
whatever gives out content or changes who can read it is decided by policy and recorded first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import anyio

from hivekeep import __version__
from hivekeep.audit import AuditEvent, AuditLog, Query, Recipient, records, search, verify
from hivekeep.audit.custody import rewrap, shred
from hivekeep.audit.export import FORMATS
from hivekeep.audit.proving import certificate_chain, prove
from hivekeep.audit.reading import owner_reader
from hivekeep.audit.record import plain
from hivekeep.daemon.gate import PolicyGate
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import PolicyDeniedError, UsageError
from hivekeep.secrets import KeyStore


@dataclass(frozen=True, slots=True)
class AuditDesk:
    """The daemon's verbs about its log."""

    log: AuditLog
    keys: KeyStore
    gate: PolicyGate

    async def show(self, limit: int, after: int | None) -> list[dict[str, Any]]:
        """The newest records, newest last; with ``after``, those that follow a record."""

        def load() -> list[dict[str, Any]]:
            if after is None:
                return [as_data(r) for r in records(self.log.folder, self.keys, limit=limit)]
            if after + 1 >= self.log.count:
                return []  # asked again and again by who follows the log
            found = records(self.log.folder, self.keys, after=after)
            return [as_data(record) for record in found[:limit]]

        return await anyio.to_thread.run_sync(load)

    async def search(
        self, values: dict[str, str], since: str, until: str, text: str, limit: int
    ) -> list[dict[str, Any]]:
        """The newest records that match.

        :raises UsageError: if a field is not indexed, or a time is none.
        """
        query = Query(values, _moment(since, 0.0), _moment(until, float("inf")), text)
        reader = owner_reader(self.keys)
        look = partial(search, self.log.folder, reader, query, limit=limit)
        return [as_data(record) for record in await anyio.to_thread.run_sync(look)]

    async def verify(self) -> dict[str, Any]:
        """Check the whole log, content included."""
        witnessed = await anyio.to_thread.run_sync(self.log.witnessed)
        check = partial(verify, self.log.folder, self.keys, witnessed=witnessed)
        report = await anyio.to_thread.run_sync(check)
        return {
            "ok": report.ok,
            "records": report.events,
            "entries": report.records,
            "checkpoints": report.checkpoints,
            "epochs": len(report.keys),
            "witnessed": len(witnessed),
            "problems": [str(problem) for problem in report.problems],
            "remarks": [*report.remarks, *self._unwritten()],
        }

    def _unwritten(self) -> list[str]:
        state = self.log.state
        if state.state == "ok":
            return []
        return [f"The log accepts no records, so nothing is done: {state.why}."]

    async def prove(self, record: int, *, reveal: bool, older: str) -> dict[str, Any]:
        """A proof that a record is in the log; revealing its content is an export."""
        if reveal:
            await self._allow_export(f"record {record}", confirmed=True)
        reader = owner_reader(self.keys)
        make = partial(prove, self.log.folder, record, reader, reveal=reveal, older=older)
        return await anyio.to_thread.run_sync(make)

    async def export(
        self, kind: str, values: dict[str, str], since: str, until: str, *, confirmed: bool
    ) -> dict[str, Any]:
        """All matching records in another system's format, one string a line.

        :raises PolicyDeniedError: if policy forbids it, or wants a person's yes first.
        """
        if kind not in FORMATS:
            raise UsageError(
                f"There is no export format '{kind}'.", next_step=f"Formats: {', '.join(FORMATS)}."
            )
        await self._allow_export(kind, confirmed=confirmed)
        query = Query(values, _moment(since, 0.0), _moment(until, float("inf")))
        reader = owner_reader(self.keys)

        def make() -> list[str]:
            found = search(self.log.folder, reader, query)
            return list(FORMATS[kind](found, __version__))

        return {"format": kind, "lines": await anyio.to_thread.run_sync(make)}

    async def anchor(self) -> dict[str, Any]:
        """Write the newest checkpoint to the key store and all witnesses now."""
        await anyio.to_thread.run_sync(self.log.anchor)
        return {"checkpoint": self.log.checkpoint, **self.places()}

    def places(self) -> dict[str, Any]:
        """How the places outside the log are."""
        return {
            "witnesses": [
                {"target": w.target, "current": w.current, "why": w.why}
                for w in self.log.witness_states()
            ],
            "sinks": [
                {"target": s.target, "next": s.next_record, "why": s.why}
                for s in self.log.sink_states()
            ],
        }

    async def show_keys(self) -> dict[str, Any]:
        """The public keys to keep elsewhere, and who can read the log."""
        chain, first = await anyio.to_thread.run_sync(certificate_chain, self.log.folder)
        return {
            "origin": self.log.origin,
            "first": str(first),
            "current": str(self.log.public_key),
            "epoch": self.log.state.epoch,
            "certificates": len(chain),
            "readers": ["owner", *(str(r) for r in self.log.settings.recipients)],
        }

    async def rotate(self, *, owner: bool) -> dict[str, Any]:
        """A new signing key; wrap all content keys for the readers of policy anew.

        :param owner: also replace the owner's key.
        """
        recipients: tuple[Recipient, ...] = self.log.settings.recipients
        await self._note("audit.rotate_keys", outcome="begun")
        change = partial(rewrap, self.log, recipients, new_owner_key=owner)
        count = await anyio.to_thread.run_sync(change)
        await anyio.to_thread.run_sync(self.log.evolve)
        return {"segments": count, "epoch": self.log.state.epoch}

    async def shred(self, days: int) -> dict[str, Any]:
        """Destroy the content of all segments that are older, if policy does not keep them."""
        least = self.gate.policy.current().settings.retention.audit_days
        if days < least:
            raise PolicyDeniedError(
                f"Audit records have to be kept for {least} days.",
                rule="retention.audit_days",
                next_step="'hivekeep policy explain' says who set it.",
            )
        await self._note("audit.shred", outcome="begun", days=days)
        destroy = partial(shred, self.log, older_than_days=days)
        return {"segments": await anyio.to_thread.run_sync(destroy)}

    async def _allow_export(self, what: str, *, confirmed: bool) -> None:
        action = Action(ActionKind.EXPORT_AUDIT, target="")
        decision = self.gate.policy.current().decide(action, confirmed=confirmed)
        event = AuditEvent(
            "user", "audit.export", subject=what, rule=decision.rule,
            outcome="allowed" if decision.allowed else "denied",
            approval="Export records of the audit log in readable form?" if confirmed else "",
        )  # fmt: skip
        await anyio.to_thread.run_sync(self.log.append, event)
        if not decision.allowed:
            raise PolicyDeniedError(
                decision.reason,
                rule=decision.rule,
                why=f"The rule is {decision.rule}, from {decision.source}.",
                next_step="Confirm the question, or use --yes; a denial by policy stays one.",
            )

    async def _note(self, action: str, *, outcome: str, **detail: Any) -> None:
        event = AuditEvent("user", action, outcome=outcome, detail=detail)
        await anyio.to_thread.run_sync(self.log.append, event)


def as_data(record: Any) -> dict[str, Any]:
    """A record for the local API: its fields, with the time in seconds as well."""
    said: dict[str, Any] = plain(record)
    empty = dict.fromkeys(("subject", "outcome", "rule", "user", "job", "agent", "result"), "")
    return {**empty, "detail": {}, **said, "time": record.time, "when": said["time"]}


def _moment(text: str, default: float) -> float:
    if not text:
        return default
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"'{text}' is not a time.", next_step="Write it as 2026-11-25 or 2026-11-25T14:30."
        ) from error
    return moment.astimezone().timestamp()
