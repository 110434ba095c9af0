"""Documents that killed their reader twice, remembered over runs and restarts.

Responsible for the ledger of crashes by content; not for reading.  Invariant: a quarantined
document is not opened again until a person lets it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hivekeep.domain.errors import DocumentError, NotFoundError
from hivekeep.journal import Event, NewEvent
from hivekeep.swarm.steps import EventLog

CRASHED, RELEASED = "document.crashed", "document.released"
KINDS = (CRASHED, RELEASED)
KILLS = 2
"""How often a document may kill its reader before it is not opened any more."""
DEADLY = frozenset({"crashed", "memory"})
"""The reasons of a ``DocumentError`` that mean a killed reader."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A document that killed its reader: where it was met, why, how often, and when last."""

    sha256: str
    path: str
    reason: str
    why: str
    kills: int
    at: float

    @property
    def held(self) -> bool:
        """Whether it is in quarantine."""
        return self.kills >= KILLS


class Quarantine:
    """The ledger of one profile, kept in the journal outside of any run."""

    def __init__(self, journal: EventLog) -> None:
        self._journal = journal
        self._known: dict[str, Poison] = {}
        self._fold(journal.events(kinds=KINDS))

    @property
    def held(self) -> tuple[Poison, ...]:
        """What is in quarantine, oldest first."""
        return tuple(poison for poison in self._known.values() if poison.held)

    def require_clean(self, sha256: str, path: str) -> None:
        """:raises DocumentError: with the reason ``quarantined`` if the document is held."""
        poison = self._known.get(sha256)
        if sha256 and poison is not None and poison.held:
            raise quarantined(path, poison)

    async def note(self, sha256: str, path: str, error: DocumentError) -> None:
        """A document killed its reader.

        :raises DocumentError: with the reason ``quarantined`` if that was once too often.
        """
        if not sha256:
            return
        payload = {"sha256": sha256, "path": path, "reason": error.reason, "why": error.why}
        self._fold(await self._journal.append([NewEvent("", CRASHED, payload)]))
        self.require_clean(sha256, path)

    async def release(self, sha256: str) -> Poison:
        """Let a document be opened again; the beginning of its hash is enough.

        :raises NotFoundError: if it is not in quarantine.
        """
        found = [p for p in self.held if sha256 and p.sha256.startswith(sha256)]
        if len(found) != 1:
            raise NotFoundError(
                f"No document in quarantine begins with '{sha256}'.",
                next_step="'hivekeep runs quarantine' lists them.",
            )
        event = NewEvent("", RELEASED, {"sha256": found[0].sha256})
        self._fold(await self._journal.append([event]))
        return found[0]

    def _fold(self, events: Iterable[Event]) -> None:
        for event in events:
            sha256 = event.payload["sha256"]
            if event.kind == RELEASED:
                self._known.pop(sha256, None)
                continue
            before = self._known.get(sha256)
            self._known[sha256] = Poison(
                sha256,
                event.payload["path"],
                event.payload["reason"],
                event.payload["why"],
                (before.kills if before else 0) + 1,
                event.at,
            )


def quarantined(path: str, poison: Poison) -> DocumentError:
    """The error for a document that is not opened any more."""
    name = path.rsplit("/", 1)[-1]
    return DocumentError(
        f"'{name}' is in quarantine.",
        reason="quarantined",
        why=f"It killed its reader {poison.kills} times ({poison.reason}). {poison.why}".strip(),
        next_step="Save it in another format, or let it out with "
        f"'hivekeep runs quarantine --release {poison.sha256[:12]}'.",
    )
