"""Decides when a file has settled and when a batch is complete.

Responsible for the decision only: observations and the time are handed in, so that a property test
can run it ten thousand times.  Invariant: a file settles only after its size and times were seen
unchanged since the last sign of life: over ``settle_seconds``, or over ``closed_seconds`` if that
sign was that somebody closed it or moved it in, and nothing speaks against it.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from enum import StrEnum

from hivekeep.triggers.model import Fingerprint

WRITER_PATIENCE = 60.0
"""Seconds for which an unchanged file is left alone because someone has it open for writing."""
WRITER_RECHECK = 1.0
"""Seconds between two looks at such a file."""
BATCH_LIMIT_SECONDS = 30.0
"""A batch closes after this time, also if files keep coming."""


class Verdict(StrEnum):
    """What an observation means."""

    WAITING = "waiting"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds for which a file has to be quiet: by default, and if it was ``closed``."""

    settle: float
    closed: float


@dataclass(frozen=True, slots=True)
class Pending:
    """A file that may still change: quiet since when (seconds), and when to look again.

    ``closed`` says that the latest sign of life was that it was closed or moved in.
    """

    quiet_since: float
    check_at: float
    fingerprint: Fingerprint | None = None
    closed: bool = False


def decide(
    pending: Pending, seen: Fingerprint, now: float, waits: Waits
) -> tuple[Verdict, Pending]:
    """What ``seen`` at ``now`` means for a pending file, and its state afterwards."""
    same = seen == pending.fingerprint
    quiet_since = pending.quiet_since if same else now
    # Changed without a sign, it has a writer of whom the system does not tell.
    closed = pending.closed and (same or pending.fingerprint is None)
    # An empty file is often only a name that a program keeps for what it is about to write.
    ready_at = quiet_since + (waits.closed if closed and seen.size else waits.settle)
    verdict = Verdict.SETTLED if now >= ready_at else Verdict.WAITING
    return verdict, Pending(quiet_since, ready_at, seen, closed)


def is_patient(pending: Pending, now: float) -> bool:
    """Whether a file that someone has open for writing is still left alone."""
    return now - pending.quiet_since < WRITER_PATIENCE


class Settling:
    """The pending files of one watched folder, by path; times are monotonic seconds."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._pending: dict[str, Pending] = {}
        # Lazily corrected: an entry counts only if it still agrees with ``_pending``.
        self._order: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, path: str) -> bool:
        return path in self._pending

    def touch(self, path: str, now: float, *, closed: bool = False) -> None:
        """A sign of life: look at ``path`` at once and start its quiet time anew."""
        self._put(path, Pending(quiet_since=now, check_at=now, closed=closed))

    def drop(self, path: str) -> None:
        """Forget ``path``: it is gone or was dealt with."""
        self._pending.pop(path, None)

    def due(self, now: float, at_most: int) -> list[str]:
        """The paths that have to be looked at now; each must then be observed or dropped."""
        paths: dict[str, None] = {}
        while self._order and self._order[0][0] <= now and len(paths) < at_most:
            check_at, path = heapq.heappop(self._order)
            if path in self._pending and self._pending[path].check_at == check_at:
                paths[path] = None
        return list(paths)

    def next_check(self) -> float | None:
        """When the next look is due, ``None`` if nothing is pending."""
        while self._order:
            check_at, path = self._order[0]
            if path in self._pending and self._pending[path].check_at == check_at:
                return check_at
            heapq.heappop(self._order)
        return None

    def observe(self, path: str, seen: Fingerprint, now: float) -> Verdict:
        """Take in what ``path`` looks like; a settled file stays until it is taken or dropped."""
        pending = self._pending.get(path) or Pending(now, now)
        verdict, after = decide(pending, seen, now, self._waits)
        if verdict is Verdict.SETTLED:
            self._pending[path] = after
        else:
            self._put(path, after)
        return verdict

    def peek(self, path: str) -> Pending:
        """What is known of the pending ``path``."""
        return self._pending[path]

    def take(self, path: str) -> Pending:
        """Remove and return ``path``, which has settled."""
        return self._pending.pop(path)

    def wait_for_writer(self, path: str, pending: Pending, now: float) -> None:
        """Put back ``path``, which is unchanged but open for writing."""
        recheck = now + max(self._waits.settle, WRITER_RECHECK)
        self._put(path, replace(pending, check_at=recheck))

    def distrust(self, path: str, pending: Pending) -> None:
        """Put back ``path``, of which the system does not tell whether someone writes to it."""
        check_at = pending.quiet_since + self._waits.settle
        self._put(path, replace(pending, check_at=check_at, closed=False))

    def _put(self, path: str, pending: Pending) -> None:
        self._pending[path] = pending
        heapq.heappush(self._order, (pending.check_at, path))


@dataclass(frozen=True, slots=True)
class Window:
    """An open batch: when its first and its latest file settled, in seconds."""

    opened: float
    latest: float

    def closes_at(self, batch_seconds: float) -> float:
        """When the batch is complete if no further file settles."""
        return min(self.latest + batch_seconds, self.opened + BATCH_LIMIT_SECONDS)
