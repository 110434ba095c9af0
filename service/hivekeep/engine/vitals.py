"""Whether a worker that has work is alive, judged from its beats.

Responsible for telling apart a stopped process, a deadlock, an endless computation and a machine
that is merely slow; killing is the caller's.  Invariant: a worker that finishes batches is never
called hung, however slow they are.
"""

from __future__ import annotations

from dataclasses import dataclass

# A deadlocked process still beats, which costs it less processor time than this while it is borne.
_BEATING_ONLY = 0.05


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each symptom is borne, in seconds.

    ``silent``: no beat at all, as from a stopped or starved process.  ``still``: beats, but no
    processor time used and no batch finished, as in a deadlock.  ``stuck``: processor time used,
    but no batch finished; the slowest batch seen so far, ten times, counts if it is longer.
    """

    silent: float = 15.0
    still: float = 20.0
    stuck: float = 120.0


@dataclass(slots=True)
class Vitals:
    """What was heard of one worker. Times are the caller's monotonic seconds."""

    patience: Patience
    heard: float
    batches: int = -1
    finished: float = 0.0
    slowest: float = 0.0
    worked: float = 0.0
    cpu: float = 0.0

    def begin(self, now: float) -> None:
        """Work is given to a worker that had none; until now it had no reason to beat."""
        self.heard = self.finished = self.worked = now

    def sign(self, now: float) -> None:
        """Anything at all was heard."""
        self.heard = now

    def beat(self, now: float, batches: int, cpu: float) -> None:
        """A beat with the counts of finished batches and of processor seconds."""
        self.heard = now
        if batches != self.batches:
            if self.batches >= 0:
                self.slowest = max(self.slowest, (now - self.finished) / (batches - self.batches))
            self.batches, self.finished, self.worked = batches, now, now
        if cpu - self.cpu > _BEATING_ONLY:
            self.worked, self.cpu = now, cpu

    def verdict(self, now: float) -> str:
        """What is wrong, as a sentence; empty if nothing is."""
        if now - self.heard > self.patience.silent:
            return f"It said nothing for {now - self.heard:.0f} s."
        if now - max(self.worked, self.finished) > self.patience.still:
            return f"It neither worked nor answered for {now - self.worked:.0f} s."
        limit = max(self.patience.stuck, 10 * self.slowest)
        if now - self.finished > limit:
            return f"It computed for {now - self.finished:.0f} s without finishing a batch."
        return ""

    def next_look(self, now: float) -> float:
        """Seconds until a verdict may change."""
        ends = (
            self.heard + self.patience.silent,
            max(self.worked, self.finished) + self.patience.still,
            self.finished + max(self.patience.stuck, 10 * self.slowest),
        )
        return max(min(ends) - now, 0.0) + 0.05
