"""Decides which tokens are computed next, for whom, and in which slot.

Responsible for admission, prefix reuse and the make-up of each batch as plain data; it never
touches the model, so it is tested without one.  Invariants: a slot's ``cached`` lists exactly the
tokens whose keys and values are in its sequence, and no batch exceeds its budget.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

# Fewer shared tokens are computed again sooner than they are copied.
_MIN_SHARED = 32
# Pending tokens up to this many (a sampled token and what the grammar forces after it) go first.
_SHORT = 32
# How far down the queue admission looks for a request that can be placed.
_LOOK_AHEAD = 32


@dataclass(slots=True)
class Job:
    """One request in work: prompt tokens, then every token sampled or forced so far.

    ``order`` is the order of arrival.  ``reused`` counts prompt tokens that were not computed.
    """

    id: str
    run: str
    priority: int
    order: int
    tokens: list[int]
    prompt_length: int
    max_tokens: int
    reused: int = 0


@dataclass(slots=True)
class Slot:
    """One sequence of the model's context, with the tokens whose keys and values it holds."""

    index: int
    cached: list[int] = field(default_factory=list)
    job: Job | None = None
    last_used: int = 0

    @property
    def pending(self) -> int:
        """How many tokens of its job are still to be computed."""
        return len(self.job.tokens) - len(self.cached) if self.job else 0


@dataclass(frozen=True, slots=True)
class Placement:
    """A job enters a slot: copy the sequence of ``copy_from`` if set, then cut to ``keep``."""

    slot: int
    job: Job
    copy_from: int | None
    keep: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens of one job for the next batch, at positions from ``start``."""

    slot: int
    start: int
    tokens: tuple[int, ...]
    wants_logits: bool


class Scheduler:
    """The queue and the slots of one model.

    :param slots: number of sequences.
    :param capacity: tokens that fit into one sequence.
    :param chunk: prefill tokens in a batch in which other jobs decode; small, so that many decode
        steps ride along with one long prompt.
    :param chunk_alone: prefill tokens in a batch without decoding.
    """

    def __init__(
        self, slots: int, capacity: int, *, chunk: int = 64, chunk_alone: int = 256
    ) -> None:
        self.slots = [Slot(index) for index in range(slots)]
        self.capacity = capacity
        self._chunk = chunk
        self._chunk_alone = chunk_alone
        self._waiting: list[Job] = []
        self._clock = 0

    @property
    def active(self) -> int:
        """Jobs that hold a slot."""
        return sum(slot.job is not None for slot in self.slots)

    @property
    def waiting(self) -> int:
        """Jobs that wait for a slot."""
        return len(self._waiting)

    def add(self, job: Job) -> None:
        """Queue a job; its prompt must fit the capacity with room for one token."""
        if not job.tokens or len(job.tokens) >= self.capacity:
            raise ValueError("the prompt does not fit a slot")
        self._waiting.append(job)

    def remove(self, job_id: str) -> Slot | None:
        """Forget a job, finished or cancelled; its slot, if any, is free and keeps its cache."""
        self._waiting = [job for job in self._waiting if job.id != job_id]
        for slot in self.slots:
            if slot.job and slot.job.id == job_id:
                slot.job = None
                return slot
        return None

    def admit(self) -> list[Placement]:
        """Place waiting jobs into free slots, reusing the longest computed prefix anywhere."""
        placed: list[Placement] = []
        while self._waiting and any(slot.job is None for slot in self.slots):
            placement = self._place_next()
            if placement is None:
                break
            placed.append(placement)
        return placed

    def plan(self) -> list[Piece]:
        """The next batch: all short pending tokens, then one share of prefill, oldest job first."""
        busy = [slot for slot in self.slots if slot.pending]
        short = [slot for slot in busy if slot.pending <= _SHORT]
        pieces = [self._piece(slot, slot.pending) for slot in short]
        left = self._chunk if short else self._chunk_alone
        long = [slot for slot in busy if slot.pending > _SHORT]
        for slot in sorted(long, key=lambda slot: slot.job.order if slot.job else 0):
            if left <= 0:
                break
            piece = self._piece(slot, min(slot.pending, left))
            left -= len(piece.tokens)
            pieces.append(piece)
        return pieces

    def computed(self, pieces: list[Piece]) -> None:
        """The batch was decoded: its tokens are in the cache now."""
        self._clock += 1
        for piece in pieces:
            slot = self.slots[piece.slot]
            slot.cached.extend(piece.tokens)
            slot.last_used = self._clock

    def largest_batch(self) -> int:
        """The most tokens that ``plan`` can ask for at once."""
        return max(self._chunk, self._chunk_alone) + _SHORT * len(self.slots)

    def _piece(self, slot: Slot, count: int) -> Piece:
        assert slot.job is not None
        start = len(slot.cached)
        tokens = tuple(slot.job.tokens[start : start + count])
        return Piece(slot.index, start, tokens, start + count == len(slot.job.tokens))

    def _place_next(self) -> Placement | None:
        live = Counter(slot.job.run for slot in self.slots if slot.job)
        # Lower priority numbers first, then the run with the fewest slots, then arrival.
        order = sorted(self._waiting, key=lambda job: (job.priority, live[job.run], job.order))
        for job in order[:_LOOK_AHEAD]:
            placement = self._place(job)
            if placement:
                self._waiting.remove(job)
                return placement
        return None

    def _place(self, job: Job) -> Placement | None:
        shared = {slot.index: common_prefix(slot.cached, job.tokens) for slot in self.slots}
        best = max(self.slots, key=lambda slot: shared[slot.index])
        if self._worth_waiting(job, shared[best.index]):
            return None
        free = [slot for slot in self.slots if slot.job is None]
        own = max(free, key=lambda slot: (shared[slot.index], -slot.last_used))
        copy_from: int | None = None
        keep = shared[own.index]
        if shared[best.index] >= keep + _MIN_SHARED:
            # Overwrite the cache that was used longest ago.
            own = min(free, key=lambda slot: slot.last_used)
            copy_from, keep = best.index, shared[best.index]
        # The last token is always computed, because its logits are needed.
        keep = min(keep, len(job.tokens) - 1)
        own.job, own.cached = job, job.tokens[:keep]
        job.reused = keep
        return Placement(own.index, job, copy_from, keep)

    def _worth_waiting(self, job: Job, shared: int) -> bool:
        """Whether a slot is just computing a prefix that this job could reuse in a moment."""
        return any(
            slot.job is not None
            and len(slot.cached) < slot.job.prompt_length
            and common_prefix(slot.job.tokens, job.tokens)
            >= max(shared, len(slot.cached)) + _MIN_SHARED
            for slot in self.slots
        )


def common_prefix(one: list[int], two: list[int]) -> int:
    """How many tokens two sequences share at their beginning."""
    length = min(len(one), len(two))
    if one[:length] == two[:length]:
        return length
    low, high = 0, length
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == two[:middle] else (low, middle - 1)
    return low
