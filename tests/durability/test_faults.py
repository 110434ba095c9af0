"""A run meets a disk that is really full, and a clock that is set back, and loses nothing by it.

The others of the kind are elsewhere: kills and a stopped process beside this file, a truncated or
flipped journal in ``tests/journal``, a killed or hanging engine in ``tests/engine``.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from benchmarks.killing import RUN, Stage, carry_on, differences, ended_in_child, traces
from tests.small_disk import small_disk

from hivekeep.journal import Journal, journal_key
from hivekeep.swarm.events import Kind

HOUR = 3_600.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "12m") as place:
        yield place


def leave(place: Path, room: int) -> Path:
    """A file that leaves ``room`` bytes of the disk."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    size = filler.stat().st_size
    with filler.open("r+b") as file:
        file.truncate(max(size - room, 0))
    return filler


def test_a_disk_that_fills_up_in_the_middle_of_a_run(disk: Path) -> None:
    stage = Stage(disk / "stage", documents=10)
    stage.set_up()
    carry_on(stage)
    wanted = traces(stage)
    assert wanted.problems == ()
    stage.set_up()
    stopped = 0
    for room in (100_000, 300_000, 500_000, 700_000, 900_000):
        filler = leave(disk, room)
        stopped += not ended_in_child(stage)
        filler.unlink()
    assert stopped >= 2
    assert ended_in_child(stage)
    # What failed for want of room was begun again, but nothing was done twice.
    found = traces(stage)
    assert [line for line in differences(wanted, found) if "begun again" not in line] == []


def kinds(audited: Counter[str]) -> Counter[str]:
    """How often each kind of record was written; the names of results hold the time."""
    found: Counter[str] = Counter()
    for what, count in audited.items():
        found[what.split()[0]] += count
    return found


def set_back_after(readings: int) -> Callable[[], float]:
    """A clock that ticks, and that somebody sets back an hour after so many readings."""
    count = itertools.count()

    def read() -> float:
        now = next(count)
        return 1_800_000_000.0 + now - (HOUR if now >= readings else 0.0)

    return read


@pytest.mark.parametrize("readings", [3, 40])
def test_a_clock_that_is_set_back_an_hour_in_the_middle_of_a_run(
    readings: int, tmp_path: Path
) -> None:
    stage = Stage(tmp_path / "stage", documents=10)
    stage.set_up()
    carry_on(stage)
    wanted = traces(stage)
    stage.set_up()
    carry_on(stage, clock=set_back_after(readings), wall=set_back_after(readings))
    found = traces(stage)
    assert found.problems == ()  # the audit log verifies as well
    assert found.done == wanted.done
    assert kinds(found.audited) == kinds(wanted.audited)
    moved = [{n: h for n, h in t.files.items() if n[:8] != "results/"} for t in (wanted, found)]
    assert moved[0] == moved[1]
    path = stage.root / "journal.db"
    with Journal(path, key=journal_key(stage.keys, path), clock=lambda: 0.0) as journal:
        times = [event.at for event in journal.events(RUN)]
        (begun,) = (event.at for event in journal.events(RUN, kinds=[Kind.RUN_STARTED]))
    assert times == sorted(times)  # so no duration is negative
    assert begun <= times[-1]
