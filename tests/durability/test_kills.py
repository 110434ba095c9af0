"""A run with real files that is killed at random instants ends as if nothing had happened.

``make bench NAME=kill_recovery`` does the same two hundred times.
"""

from __future__ import annotations

import os
import random
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.kill_recovery import disturbed, undisturbed
from benchmarks.killing import (
    Stage,
    differences,
    ended_in_child,
    in_child,
    killed_after,
    traces,
)

from hivekeep.daemon.mover import InputMover
from hivekeep.documents import file_sha256
from hivekeep.domain.fields import FileActionKind
from hivekeep.journal import Journal, NewEvent, journal_key
from hivekeep.swarm.events import Kind


@pytest.mark.parametrize("batches", [1, 5])
@pytest.mark.parametrize("action", [FileActionKind.MOVE, FileActionKind.COPY])
def test_nothing_is_lost_and_nothing_done_twice(
    action: FileActionKind, batches: int, tmp_path: Path
) -> None:
    stage = Stage(tmp_path / "stage", documents=10, action=action, batches=batches)
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


def test_a_full_disk_in_the_middle_costs_nothing_but_time(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "stage", documents=10)
    wanted, _ = undisturbed(stage)
    stage.set_up()
    stopped = 0
    for limit in (40_000, 120_000, 250_000, 450_000):
        stopped += not finished_within(stage, limit)
    assert stopped >= 2
    assert finished_within(stage, None)
    found = traces(stage)
    # What failed for want of room was begun again, but nothing was done twice.
    assert [line for line in differences(wanted, found) if "begun again" not in line] == []


def finished_within(stage: Stage, limit: int | None) -> bool:
    """Go on in a child that may write no file beyond ``limit`` bytes; whether the run ended."""

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return ended_in_child(stage, prepare=prepare)


def test_a_kill_while_the_source_is_removed_leaves_nothing_behind(tmp_path: Path) -> None:
    source, target = tmp_path / "a.txt", tmp_path / "archive" / "a.txt"
    source.write_text("content")
    target.parent.mkdir()
    mover = InputMover()
    prepared = mover.prepare("move", source, target, file_sha256(source)[0])

    def work() -> None:
        real = os.unlink

        def unlink(name: Any, **more: Any) -> None:
            if str(name).endswith(".hivekeep-aside"):
                os.kill(os.getpid(), signal.SIGKILL)
            real(name, **more)

        os.unlink = unlink  # type: ignore[assignment]
        mover.perform(prepared)

    _, status = os.waitpid(in_child(work), 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert mover.perform(prepared) == target
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]
