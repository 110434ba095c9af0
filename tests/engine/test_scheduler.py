"""The scheduler's promises, checked without a model."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from hivekeep.engine.worker.scheduler import Job, Scheduler
from hivekeep.engine.worker.waiting import Shares, Ticket, WaitingLine

PREFIX = list(range(1000, 1100))


class Desk:
    """A scheduler with the prompts of its requests, and a pretend model."""

    def __init__(self, scheduler: Scheduler, *, answers: int = 2) -> None:
        self.scheduler = scheduler
        self.answers = answers
        self.prompts: dict[str, list[int]] = {}
        self.sequences: dict[int, list[int]] = {slot.index: [] for slot in scheduler.slots}
        self.ended: list[str] = []
        self.computed = 0

    def add(
        self, number: int, tokens: list[int], *, run: str = "r", priority: int = 10,
        deadline: float = math.inf,
    ) -> None:  # fmt: skip
        self.prompts[f"j{number}"] = list(tokens)
        self.scheduler.add(Ticket(f"j{number}", run, priority, number, deadline))

    def prepare(self, ticket: Ticket) -> Job | None:
        tokens = self.prompts[ticket.id]
        return Job(
            ticket.id, ticket.run, ticket.priority, ticket.order, list(tokens), len(tokens), 4,
            deadline=ticket.deadline,
        )  # fmt: skip

    def step(self) -> bool:
        """One batch; false if there was nothing to do. Checks what every step must keep."""
        scheduler = self.scheduler
        for placement in scheduler.admit(self.prepare):
            source = placement.copy_from if placement.copy_from is not None else placement.slot
            kept = self.sequences[source][: placement.keep]
            assert kept == placement.job.tokens[: placement.keep]
            assert placement.keep < len(placement.job.tokens)
            self.sequences[placement.slot] = list(kept)
        pieces = scheduler.plan()
        assert sum(len(piece.tokens) for piece in pieces) <= scheduler.largest_batch()
        assert len({piece.slot for piece in pieces}) == len(pieces)
        scheduler.computed(pieces)
        for piece in pieces:
            self.computed += len(piece.tokens)
            assert piece.start == len(self.sequences[piece.slot])
            self.sequences[piece.slot] += piece.tokens
            slot = scheduler.slots[piece.slot]
            assert slot.cached == self.sequences[piece.slot]
            assert slot.job is not None
            if piece.wants_logits:
                self._answer(slot.job)
        return bool(pieces)

    def drain(self) -> list[str]:
        for _ in range(20_000):
            if not self.step():
                break
        return self.ended

    def _answer(self, job: Job) -> None:
        if len(job.tokens) - job.prompt_length >= self.answers:
            self.scheduler.remove(job.id)
            self.ended.append(job.id)
        else:
            job.tokens.append(7)


REQUESTS = st.lists(
    st.tuples(
        st.lists(st.integers(1, 4), min_size=1, max_size=120),
        st.sampled_from(["a", "b"]),
        st.integers(1, 3),
        st.integers(0, 30),
    ),
    max_size=25,
)


@given(
    requests=REQUESTS, slots=st.integers(1, 6), chunk=st.integers(1, 64),
    cancelled=st.sets(st.integers(0, 24)),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_every_request_ends_whatever_comes_when(
    requests: list[tuple[list[int], str, int, int]], slots: int, chunk: int, cancelled: set[int]
) -> None:
    desk = Desk(Scheduler(slots, 200, chunk=chunk, chunk_alone=2 * chunk))
    arrivals = sorted(enumerate(requests), key=lambda each: each[1][3])
    gone: set[str] = set()
    for step in range(31):
        for number, (tokens, run, priority, when) in arrivals:
            if when == step:
                desk.add(number, tokens, run=run, priority=priority)
            elif when == step - 1 and number in cancelled and f"j{number}" not in desk.ended:
                desk.scheduler.remove(f"j{number}")
                gone.add(f"j{number}")
        desk.step()
    desk.drain()
    assert sorted([*desk.ended, *gone]) == sorted(desk.prompts)
    assert desk.scheduler.active == desk.scheduler.waiting == desk.scheduler.tokenised == 0


def test_a_shared_prefix_is_computed_once() -> None:
    desk = Desk(Scheduler(4, 400), answers=0)
    for number in range(4):
        own = range(2000 + 50 * number, 2050 + 50 * number)
        desk.add(number, [*PREFIX, number, *own])
    desk.drain()
    assert desk.computed == len(PREFIX) + 4 * 51


def test_an_agents_history_is_kept_while_others_come_and_go() -> None:
    desk = Desk(Scheduler(3, 400), answers=0)
    history = [*PREFIX, *range(2000, 2060)]
    desk.add(0, history)
    desk.drain()
    # Short requests take the slots whose loss costs nothing, one after another.
    for number in range(1, 7):
        desk.add(number, [number, 5, 6])
        desk.drain()
    before = desk.computed
    desk.add(9, [*history, 1, 2, 3])
    desk.drain()
    assert desk.computed - before == 3


def test_a_run_with_many_requests_does_not_starve_another() -> None:
    desk = Desk(Scheduler(2, 400))
    for number in range(20):
        desk.add(number, [number + 1, 5, 6], run="large")
    desk.add(99, [77, 78], run="small")
    assert desk.drain().index("j99") <= 4


def test_runs_get_equal_shares_of_tokens_not_of_requests() -> None:
    desk = Desk(Scheduler(1, 1000), answers=0)
    for number in range(10):
        desk.add(number, [number, *range(100, 400)], run="long")
        desk.add(100 + number, [500 + number, *range(600, 699)], run="short")
    order = desk.drain()
    first = order[:8]
    # Three short requests cost about what one long one does.
    assert sum(int(name[1:]) >= 100 for name in first) >= 5


def test_a_run_that_comes_late_does_not_get_back_what_it_never_asked_for() -> None:
    shares = Shares()
    shares.charge("old", 10_000)
    shares.join("new", ["old"])
    assert shares.given("new") == 10_000


def test_priority_comes_before_arrival() -> None:
    desk = Desk(Scheduler(1, 400))
    desk.add(1, [1, 2, 3])
    desk.add(2, [4, 5, 6], priority=1)
    assert desk.drain() == ["j2", "j1"]


def test_an_urgent_request_takes_the_slot_of_another_which_goes_on_later() -> None:
    desk = Desk(Scheduler(1, 400), answers=40)
    desk.add(1, PREFIX)
    for _ in range(10):
        desk.step()
    (slot,) = desk.scheduler.slots
    assert slot.job is not None
    told = len(slot.job.tokens)
    desk.add(2, [4, 5, 6], priority=1)
    desk.step()
    assert slot.job.id == "j2"
    assert desk.drain() == ["j2", "j1"]
    assert told > len(PREFIX)


def test_an_urgent_prompt_fills_the_batch_while_others_decode() -> None:
    desk = Desk(Scheduler(2, 4000, chunk=64, chunk_alone=256), answers=100)
    desk.add(1, [1, 2, 3])
    desk.step()
    desk.add(2, list(range(1000)), priority=1)
    desk.scheduler.admit(desk.prepare)
    assert max(len(piece.tokens) for piece in desk.scheduler.plan()) == 256


def test_a_burst_is_prefilled_first_and_then_decodes_in_full_width() -> None:
    desk = Desk(Scheduler(4, 4000, chunk=64, chunk_alone=256), answers=5)
    for number in range(4):
        desk.add(number, [number] * 100)
    widths = []
    while desk.step():
        short = [slot for slot in desk.scheduler.slots if slot.pending == 1]
        widths.append(len(short))
    assert 4 in widths
    assert len(widths) <= 2 + 5 + 1


def test_jobs_that_decode_wait_for_a_bounded_number_of_prefilled_tokens() -> None:
    desk = Desk(Scheduler(2, 8000, chunk=64, chunk_alone=256), answers=100)
    desk.add(1, [1, 2, 3])
    desk.step()
    desk.add(2, list(range(6000)))
    stall = longest = mixed = 0
    while any(slot.pending > 32 for slot in desk.scheduler.slots) or not mixed:
        before = desk.computed
        desk.scheduler.admit(desk.prepare)
        pieces = desk.scheduler.plan()
        decodes = any(len(piece.tokens) <= 32 for piece in pieces)
        mixed += decodes and len(pieces) > 1
        desk.step()
        stall = 0 if decodes else stall + desk.computed - before
        longest = max(longest, stall)
    assert longest <= 1024 + 256
    assert mixed >= 4


def test_jobs_that_decode_do_not_wait_for_a_less_urgent_prompt() -> None:
    desk = Desk(Scheduler(2, 4000, chunk=64, chunk_alone=256), answers=100)
    desk.add(1, [1, 2, 3], priority=1)
    desk.step()
    desk.add(2, list(range(1000)))
    desk.scheduler.admit(desk.prepare)
    assert sorted(len(piece.tokens) for piece in desk.scheduler.plan()) == [1, 64]


def test_a_cancelled_job_frees_its_slot_at_once() -> None:
    desk = Desk(Scheduler(1, 400))
    desk.add(1, list(range(300)))
    desk.add(2, [1, 2])
    desk.step()
    desk.scheduler.remove("j1")
    (placement,) = desk.scheduler.admit(desk.prepare)
    assert placement.job.id == "j2"


def test_three_hundred_waiting_requests_are_held_without_tokens() -> None:
    desk = Desk(Scheduler(4, 4000), answers=3)
    for number in range(300):
        desk.add(number, [*PREFIX, number, *range(3000, 3200)])
    most = 0
    while desk.step():
        most = max(most, desk.scheduler.tokenised)
    assert len(desk.ended) == 300
    assert most <= 16


def test_deadlines_order_a_run_and_expire() -> None:
    line = WaitingLine(Shares())
    line.add(Ticket("late", "r", 10, 1))
    line.add(Ticket("soon", "r", 10, 2, deadline=5.0))
    assert [ticket.id for ticket in line.first(5)] == ["soon", "late"]
    assert line.expired(4.9) == []
    assert line.expired(5.0) == ["soon"]
    desk = Desk(Scheduler(1, 400), answers=50)
    desk.add(1, [1, 2, 3], deadline=9.0)
    desk.step()
    assert desk.scheduler.expired(9.0) == ["j1"]
