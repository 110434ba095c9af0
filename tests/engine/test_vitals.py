"""Telling a hung worker from a slow one, on a clock of our own."""

from __future__ import annotations

from hivekeep.engine.vitals import Patience, Vitals


def vitals() -> Vitals:
    found = Vitals(Patience(silent=10, still=15, stuck=100), 0.0)
    found.begin(0.0)
    return found


def test_a_worker_that_finishes_batches_is_never_hung() -> None:
    worker = vitals()
    for second in range(1, 3000):
        worker.beat(second, second // 60, second * 0.5)
        assert worker.verdict(second) == ""


def test_silence_is_found_in_seconds() -> None:
    worker = vitals()
    worker.beat(5.0, 1, 1.0)
    assert worker.verdict(14.9) == ""
    assert "said nothing" in worker.verdict(15.1)
    assert worker.next_look(14.0) < 1.1


def test_a_deadlock_beats_but_uses_no_processor() -> None:
    worker = vitals()
    for second in range(1, 20):
        worker.beat(second, 1, 2.0 + second * 0.001)
        if second < 15:
            assert worker.verdict(second) == ""
    assert "neither worked nor answered" in worker.verdict(19)


def test_an_endless_computation_is_stuck_but_a_slow_machine_is_not() -> None:
    worker = vitals()
    for second in range(1, 200):
        worker.beat(second, 1, second)
        assert (worker.verdict(second) == "") is (second <= 101)
    slow = vitals()
    for second in range(1, 400):
        slow.beat(second, second // 40, second)
    # Its batches take 40 s, so it is given 400.
    for second in range(400, 700):
        slow.beat(second, 9, second)
        assert slow.verdict(second) == ""
