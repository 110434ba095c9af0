"""A run with real files that is killed at random instants ends as if nothing had happened.

``make bench NAME=kill_recovery`` does the same two hundred times.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.kill_recovery import disturbed, undisturbed
from benchmarks.killing import Stage, differences, killed_after, traces

from hivekeep.domain.fields import FileActionKind
from hivekeep.journal import Journal, NewEvent, journal_key
from hivekeep.swarm.events import Kind


@pytest.mark.parametrize("action", [FileActionKind.MOVE, FileActionKind.COPY])
def test_nothing_is_lost_and_nothing_done_twice(action: FileActionKind, tmp_path: Path) -> None:
    stage = Stage(tmp_path / "stage", documents=10, action=action)
    wanted, seconds = undisturbed(stage)
    assert len([name for name in wanted.files if name.startswith("results/")]) == 2
    assert len([name for name in wanted.files if name.startswith("archive/")]) == 9

    def instants() -> Iterator[float]:
        chance = random.Random(action)
        for _ in range(6):
            yield chance.uniform(0, seconds * 0.5)
        yield 600

    found, kills = disturbed(stage, instants())
    assert kills >= 1
    assert differences(wanted, found) == []


def test_a_stopped_process_goes_on_as_if_no_time_had_passed(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "stage", documents=10)
    wanted, seconds = undisturbed(stage)
    stage.set_up()
    killed_after(stage, seconds / 2, stopped_for=2)
    assert differences(wanted, traces(stage)) == []


def test_the_comparison_sees_what_it_is_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "stage", documents=4)
    wanted, _ = undisturbed(stage)
    moved = next(stage.archive.rglob("*.txt"))
    moved.with_name("0000 (2).txt").write_bytes(moved.read_bytes())
    path = stage.root / "journal.db"
    with Journal(path, key=journal_key(stage.keys, path), clock=lambda: 0.0) as journal:
        step = next(iter(journal.events(kinds=[Kind.STEP_DONE])))
        again = step.run, Kind.STEP_INTENDED, step.payload, step.agent
        journal.append_now([NewEvent(*again), NewEvent(again[0], Kind.STEP_DONE, *again[2:])])
    found = " ".join(differences(wanted, traces(stage)))
    assert "0000 (2).txt" in found
    assert "begun again" in found
    assert "done 2 times" in found
