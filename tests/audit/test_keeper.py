"""The background thread ends when told to, whatever it is doing at that moment."""

from __future__ import annotations

import threading

from hivekeep.audit.keeper import Keeper


def _stopped(keeper: Keeper) -> bool:
    stopper = threading.Thread(target=keeper.stop, daemon=True)
    stopper.start()
    stopper.join(60)
    return not stopper.is_alive()


def test_stop_while_a_job_runs_is_not_lost() -> None:
    started, go_on = threading.Event(), threading.Event()

    def job() -> None:
        started.set()
        go_on.wait(60)

    keeper = Keeper({"index": (job, None)})
    keeper.soon("index")
    assert started.wait(60)
    stopper = threading.Thread(target=keeper.stop, daemon=True)
    stopper.start()
    # The thread is in its job, so it can only see the flag, never the notification.
    while not keeper._stopping:
        pass
    go_on.set()
    stopper.join(60)
    assert not stopper.is_alive()


def test_stop_at_once_ends_many_keepers() -> None:
    assert all(_stopped(Keeper({})) for _ in range(200))
