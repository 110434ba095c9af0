"""The scheduler's promises, checked without a model."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hivekeep.engine.worker.scheduler import Job, Scheduler, common_prefix

PREFIX = list(range(1000, 1100))


def job(number: int, tokens: list[int], *, run: str = "r", priority: int = 10) -> Job:
    return Job(f"j{number}", run, priority, number, list(tokens), len(tokens), 4)


def drain(scheduler: Scheduler, answers: int = 2) -> list[str]:
    """Run to the end with a pretend model that answers ``answers`` tokens; the order of ends."""
    ended: list[str] = []
    for _ in range(10_000):
        scheduler.admit()
        pieces = scheduler.plan()
        if not pieces:
            break
        scheduler.computed(pieces)
        for piece in pieces:
            current = scheduler.slots[piece.slot].job
            if piece.wants_logits and current is not None:
                if len(current.tokens) - current.prompt_length >= answers:
                    scheduler.remove(current.id)
                    ended.append(current.id)
                else:
                    current.tokens.append(7)
    return ended


@given(
    prompts=st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=120), max_size=25),
    slots=st.integers(1, 6),
    chunk=st.integers(1, 64),
)
@settings(max_examples=150, deadline=None)
def test_every_job_ends_and_slots_hold_what_was_computed(
    prompts: list[list[int]], slots: int, chunk: int
) -> None:
    scheduler = Scheduler(slots, 200, chunk=chunk, chunk_alone=2 * chunk)
    for number, tokens in enumerate(prompts):
        scheduler.add(job(number, tokens))
    sequences: dict[int, list[int]] = {index: [] for index in range(slots)}
    ended = 0
    for _ in range(20_000):
        for placement in scheduler.admit():
            source = placement.copy_from if placement.copy_from is not None else placement.slot
            kept = sequences[source][: placement.keep]
            assert kept == placement.job.tokens[: placement.keep]
            assert placement.keep < len(placement.job.tokens)
            sequences[placement.slot] = list(kept)
        pieces = scheduler.plan()
        if not pieces:
            break
        assert sum(len(piece.tokens) for piece in pieces) <= scheduler.largest_batch()
        assert len({piece.slot for piece in pieces}) == len(pieces)
        scheduler.computed(pieces)
        for piece in pieces:
            assert piece.start == len(sequences[piece.slot])
            sequences[piece.slot] += piece.tokens
            assert scheduler.slots[piece.slot].cached == sequences[piece.slot]
            current = scheduler.slots[piece.slot].job
            assert current is not None
            if piece.wants_logits:
                scheduler.remove(current.id)
                ended += 1
    assert ended == len(prompts)
    assert scheduler.active == scheduler.waiting == 0


def test_a_shared_prefix_is_computed_once() -> None:
    scheduler = Scheduler(4, 400)
    for number in range(4):
        scheduler.add(
            job(number, [*PREFIX, number, *range(2000 + 50 * number, 2050 + 50 * number)])
        )
    computed = 0
    for _ in range(200):
        scheduler.admit()
        pieces = scheduler.plan()
        if not pieces:
            break
        computed += sum(len(piece.tokens) for piece in pieces)
        scheduler.computed(pieces)
        for piece in pieces:
            current = scheduler.slots[piece.slot].job
            if piece.wants_logits and current:
                scheduler.remove(current.id)
    assert computed == len(PREFIX) + 4 * 51


def test_a_run_with_many_requests_does_not_starve_another() -> None:
    scheduler = Scheduler(2, 400)
    for number in range(20):
        scheduler.add(job(number, [number + 1, 5, 6], run="large"))
    scheduler.add(job(99, [77, 78], run="small"))
    assert drain(scheduler).index("j99") <= 4


def test_priority_comes_before_arrival() -> None:
    scheduler = Scheduler(1, 400)
    scheduler.add(job(1, [1, 2, 3]))
    scheduler.add(job(2, [4, 5, 6], priority=1))
    assert drain(scheduler) == ["j2", "j1"]


def test_a_cancelled_job_frees_its_slot_at_once() -> None:
    scheduler = Scheduler(1, 400)
    scheduler.add(job(1, list(range(300))))
    scheduler.add(job(2, [1, 2]))
    scheduler.admit()
    scheduler.computed(scheduler.plan())
    scheduler.remove("j1")
    (placement,) = scheduler.admit()
    assert placement.job.id == "j2"


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_prefix_is_the_longest(one: list[int], two: list[int]) -> None:
    length = common_prefix(one, two)
    assert one[:length] == two[:length]
    assert one[: length + 1] != two[: length + 1] or length == min(len(one), len(two))
