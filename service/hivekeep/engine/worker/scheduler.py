"""Decides which tokens are computed next, for whom, and in which slot.

Responsible for admission, prefix reuse, eviction and the make-up of each batch as plain data; it
never touches the model, so it is tested without one.  Invariants: a slot's ``cached`` lists exactly
the tokens whose keys and values are in its sequence, and no batch exceeds its budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from hivekeep.engine.worker.prefixes import PrefixTree
from hivekeep.engine.worker.waiting import Shares, Ticket, WaitingLine

# Fewer shared tokens are computed again sooner than they are copied.
_MIN_SHARED = 32
# Pending tokens up to this many (a sampled token and what the grammar forces after it) go first.
_SHORT = 32
# How far down the line admission looks for a request that can be placed. Only these have tokens.
_LOOK_AHEAD = 16
# After so many prefilled tokens whoever decodes gets a turn.
_LONGEST_STALL = 1024
# A decoded token weighs as much of a run's share as this many prefilled ones.
_DECODE_WEIGHT = 2.0


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
    deadline: float = math.inf
    placed: bool = False


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


# Makes the job of a waiting ticket; ``None`` if that request has ended after all.
Prepare = Callable[[Ticket], Job | None]


class Scheduler:
    """The line and the slots of one model.

    :param slots: number of sequences.
    :param capacity: tokens that fit into one sequence.
    :param chunk: prefill tokens in a batch in which other jobs decode.
    :param chunk_alone: prefill tokens in a batch without decoding.
    """

    def __init__(
        self, slots: int, capacity: int, *, chunk: int = 64, chunk_alone: int = 256
    ) -> None:
        self.slots = [Slot(index) for index in range(slots)]
        self.capacity = capacity
        self._chunk = chunk
        self._chunk_alone = chunk_alone
        self._shares = Shares()
        self._line = WaitingLine(self._shares)
        # Jobs that have tokens but no slot: those looked at, and those that had to give way.
        self._prepared: dict[str, Job] = {}
        self._held = PrefixTree()
        # The prompts that slots are computing: what they will hold in a moment.
        self._coming = PrefixTree()
        self._clock = 0
        self._stalled = 0

    @property
    def active(self) -> int:
        """Jobs that hold a slot."""
        return sum(slot.job is not None for slot in self.slots)

    @property
    def waiting(self) -> int:
        """Requests that wait for a slot."""
        return len(self._line)

    @property
    def tokenised(self) -> int:
        """Waiting requests whose prompts are held as tokens; bounded however many wait."""
        return len(self._prepared)

    def add(self, ticket: Ticket) -> None:
        """Queue a request."""
        live = {slot.job.run for slot in self.slots if slot.job}
        active = self._line.runs() | live
        if not active:
            self._shares.forget_all()
        elif ticket.run not in active:
            self._shares.join(ticket.run, active)
        self._line.add(ticket)

    def remove(self, job_id: str) -> Slot | None:
        """Forget a job, finished or cancelled; its slot, if any, is free and keeps its cache."""
        self._line.remove(job_id)
        self._prepared.pop(job_id, None)
        for slot in self.slots:
            if slot.job and slot.job.id == job_id:
                slot.job = None
                self._coming.cut(slot.index, 0)
                return slot
        return None

    def expired(self, now: float) -> list[str]:
        """Requests, waiting or in work, whose deadline has passed."""
        live = [slot.job.id for slot in self.slots if slot.job and slot.job.deadline <= now]
        return live + self._line.expired(now)

    def admit(self, prepare: Prepare) -> list[Placement]:
        """Place waiting requests into free slots, reusing the longest computed prefix anywhere.

        A request that is more urgent than one in work takes its slot; that one waits again and
        goes on from its own tokens.
        """
        placed: list[Placement] = []
        while len(self._line):
            placement = self._place_next(prepare)
            if placement is None:
                break
            placed.append(placement)
        return placed

    def plan(self) -> list[Piece]:
        """The next batch: prefill, decoding, or both.

        Among equals prefill goes first: a decode step reads all weights for as many tokens as there
        are jobs that decode, so it is cheapest when all slots do.  Jobs that decode do not wait for
        less urgent prompts, nor for more than ``_LONGEST_STALL`` tokens of equally urgent ones;
        then a smaller piece of a prompt is computed with their tokens.
        """
        busy = [slot for slot in self.slots if slot.pending]
        short = [slot for slot in busy if slot.pending <= _SHORT]
        long = sorted((slot for slot in busy if slot.pending > _SHORT), key=_urgency)
        if not short or self._goes_first(long, short):
            return self._prefill(long, self._chunk_alone)
        return [self._piece(slot, slot.pending) for slot in short] + self._prefill(
            long, self._chunk
        )

    def computed(self, pieces: list[Piece]) -> None:
        """The batch was decoded: its tokens are in the cache now."""
        self._clock += 1
        decoded = any(len(piece.tokens) <= _SHORT for piece in pieces)
        self._stalled = 0 if decoded else self._stalled + sum(len(p.tokens) for p in pieces)
        for piece in pieces:
            slot = self.slots[piece.slot]
            slot.cached.extend(piece.tokens)
            self._held.extend(piece.slot, list(piece.tokens))
            slot.last_used = self._clock
            if slot.job:
                decoded = piece.start >= slot.job.prompt_length
                weight = _DECODE_WEIGHT if decoded else 1.0
                self._shares.charge(slot.job.run, len(piece.tokens) * weight)
                if len(slot.cached) >= slot.job.prompt_length:
                    self._coming.cut(slot.index, 0)

    def largest_batch(self) -> int:
        """The most tokens that ``plan`` can ask for at once."""
        return max(self._chunk, self._chunk_alone) + _SHORT * len(self.slots)

    def _goes_first(self, long: list[Slot], short: list[Slot]) -> bool:
        """Whether prefill is computed before those who decode."""
        if not long:
            return False
        prompt = _urgency(long[0])[0]
        decoding = min(_urgency(slot)[0] for slot in short)
        return prompt < decoding or (prompt == decoding and self._stalled < _LONGEST_STALL)

    def _prefill(self, long: list[Slot], budget: int) -> list[Piece]:
        """At most ``budget`` tokens of prompts, the most urgent first."""
        pieces: list[Piece] = []
        for slot in long:
            if budget <= 0:
                break
            piece = self._piece(slot, min(slot.pending, budget))
            budget -= len(piece.tokens)
            pieces.append(piece)
        return pieces

    def _piece(self, slot: Slot, count: int) -> Piece:
        assert slot.job is not None
        start = len(slot.cached)
        tokens = tuple(slot.job.tokens[start : start + count])
        return Piece(slot.index, start, tokens, start + count == len(slot.job.tokens))

    def _place_next(self, prepare: Prepare) -> Placement | None:
        full = all(slot.job for slot in self.slots)
        least = max((slot.job.priority for slot in self.slots if slot.job), default=0)
        for ticket in list(self._line.first(_LOOK_AHEAD)):
            if full and ticket.priority >= least:
                break
            job = self._prepared.get(ticket.id) or prepare(ticket)
            if job is None:
                self._line.remove(ticket.id)
                continue
            self._prepared[ticket.id] = job
            placement = self._place(job)
            if placement:
                self._line.remove(ticket.id)
                del self._prepared[ticket.id]
                return placement
        return None

    def _place(self, job: Job) -> Placement | None:
        best = self._held.longest(job.tokens)
        if self._worth_waiting(job, best.length):
            return None
        free = [slot for slot in self.slots if slot.job is None] or [self._give_way()]
        own = self._in_place(job, free, best.length)
        copy_from: int | None = None
        if own is not None:
            keep = self._held.shared_with(own.index, job.tokens)
        else:
            own = min(free, key=self._worth)
            keep = self._held.shared_with(own.index, job.tokens)
            if best.length >= keep + _MIN_SHARED:
                keep, copy_from = best.length, min(best.holders)
        # The last token is always computed, because its logits are needed.
        keep = min(keep, len(job.tokens) - 1)
        own.job, own.cached = job, job.tokens[:keep]
        self._held.cut(own.index, 0)
        self._held.extend(own.index, own.cached)
        self._coming.cut(own.index, 0)
        self._coming.extend(own.index, job.tokens[: job.prompt_length])
        if not job.placed:
            job.reused, job.placed = min(keep, job.prompt_length), True
        return Placement(own.index, job, copy_from, keep)

    def _give_way(self) -> Slot:
        """Send the least urgent job back into the line; among equals the one that loses least."""
        slot = max(
            (slot for slot in self.slots if slot.job),
            key=lambda slot: (_urgency(slot)[0], -len(slot.cached)),
        )
        job = slot.job
        assert job is not None
        self._prepared[job.id] = job
        self._line.add(Ticket(job.id, job.run, job.priority, job.order, job.deadline))
        slot.job = None
        self._coming.cut(slot.index, 0)
        return slot

    def _in_place(self, job: Job, free: list[Slot], best: int) -> Slot | None:
        """A free slot that holds nearly the longest prefix itself, so that nothing is copied."""
        if best < _MIN_SHARED:
            return None
        shared = {slot.index: self._held.shared_with(slot.index, job.tokens) for slot in free}
        near = [slot for slot in free if shared[slot.index] > best - _MIN_SHARED]
        if not near:
            return None
        chosen = max(near, key=lambda slot: (shared[slot.index], -slot.last_used))
        lost = min(self._held.unique(chosen.index), len(chosen.cached) - shared[chosen.index])
        spare = any(not self._worth(slot)[0] for slot in free if slot is not chosen)
        # Somebody's history is kept while a slot without any is free to take a copy.
        return None if lost > _MIN_SHARED and spare else chosen

    def _worth(self, slot: Slot) -> tuple[bool, int]:
        """What overwriting a free slot loses: anything worth copying, and when it was used."""
        return self._held.unique(slot.index) >= _MIN_SHARED, slot.last_used

    def _worth_waiting(self, job: Job, held: int) -> bool:
        """Whether a slot is just computing a prefix that this job could reuse in a moment."""
        match = self._coming.longest(job.tokens)
        if match.length < held + _MIN_SHARED:
            return False
        return any(
            match.length >= len(self.slots[index].cached) + _MIN_SHARED for index in match.holders
        )


def _urgency(slot: Slot) -> tuple[int, int]:
    """Sorts busy slots: the lowest priority number first, then arrival."""
    return (slot.job.priority, slot.job.order) if slot.job else (1 << 31, 0)
