"""What the desk remembers, as durable events and the state folded from them.

Responsible for the one transition function; where events are kept is handed in.  Invariant: the
state after a restart is the fold of the events before it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Protocol, cast

from pydantic import TypeAdapter

from hivekeep.domain.approvals import ApprovalRequest, Grant, Verdict


class Kind(StrEnum):
    """Every event of an approval."""

    REQUESTED = "approval.requested"
    ANSWERED = "approval.answered"
    USED = "approval.used"
    GRANTED = "approval.granted"
    REVOKED = "approval.revoked"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event; ``run`` is empty for what the daemon itself asks."""

    kind: Kind
    run: str
    payload: dict[str, Any]


class Ledger(Protocol):
    """Durable storage of entries in order."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """Durable when this returns."""
        ...

    def load(self) -> Iterable[Entry]:
        """Every entry in order."""
        ...


@dataclass(slots=True)
class Case:
    """One request with its verdict, once there is one.

    ``used`` is true when the agent has taken the answer, so that one yes is good for one action.
    """

    request: ApprovalRequest
    verdict: Verdict | None = None
    used: bool = False


@dataclass(slots=True)
class State:
    """All cases, oldest first, and the lasting grants."""

    cases: dict[str, Case] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        """Fold one entry into the state."""
        payload = entry.payload
        match entry.kind:
            case Kind.REQUESTED:
                request = _read(ApprovalRequest, payload["request"])
                self.cases[request.id] = Case(request)
            case Kind.ANSWERED:
                if case := self.cases.get(payload["id"]):
                    case.verdict = case.verdict or _read(Verdict, payload["verdict"])
            case Kind.USED:
                if case := self.cases.get(payload["id"]):
                    case.used = True
            case Kind.GRANTED:
                grant = _read(Grant, payload["grant"])
                self.grants[grant.id] = grant
            case Kind.REVOKED:
                self.grants.pop(payload["id"], None)


def requested(request: ApprovalRequest) -> Entry:
    """A question was asked."""
    return Entry(Kind.REQUESTED, request.asker.run, {"request": plain_data(request)})


def answered(request: ApprovalRequest, verdict: Verdict) -> Entry:
    """It has its final answer."""
    payload = {"id": request.id, "verdict": plain_data(verdict)}
    return Entry(Kind.ANSWERED, request.asker.run, payload)


def used(request: ApprovalRequest) -> Entry:
    """The answer was taken by whoever asked."""
    return Entry(Kind.USED, request.asker.run, {"id": request.id})


def granted(grant: Grant) -> Entry:
    """A lasting yes was given."""
    return Entry(Kind.GRANTED, grant.run, {"grant": plain_data(grant)})


def revoked(grant: Grant, by: str) -> Entry:
    """A lasting yes was taken back."""
    return Entry(Kind.REVOKED, grant.run, {"id": grant.id, "by": by})


def plain_data(value: object) -> Any:
    """A dataclass as JSON-safe data."""
    return _adapter(cast(Hashable, type(value))).dump_python(value, mode="json")


def _read(kind: Any, data: Any) -> Any:
    return _adapter(kind).validate_python(data)


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, kind))
