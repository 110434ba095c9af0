"""Kill -9 at 200 random instants: nothing lost, nothing done twice, the same deliverable.

    make bench NAME=kill_recovery ARGS="--kills 200 --seed 1"

Runs move or copy real files and write real workbooks, through the real coordinator, encrypted
journal, policy gate and audit log; reading and thinking are scripted.  Each run is killed again and
again until it ends, then compared with an undisturbed one: every file's bytes, every step's result,
each step journaled as done exactly once and never begun again after that, audit log and journal
sound.  Every other run begins with a few documents that the others join, as in a watched folder.
``--stop`` also stops a run for so many seconds (SIGSTOP), as a machine does that sleeps.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.killing import Stage, Traces, differences, killed_after, traces
from benchmarks.setup import report
from hivekeep.domain.fields import FileActionKind


def undisturbed(stage: Stage) -> tuple[Traces, float]:
    """What a run leaves behind that nobody disturbs, and how long it takes."""
    stage.set_up()
    begun = time.monotonic()
    assert not killed_after(stage, 600)
    seconds = time.monotonic() - begun
    found = traces(stage)
    assert not differences(found, found), differences(found, found)
    return found, seconds


def disturbed(stage: Stage, instants: Iterator[float]) -> tuple[Traces, int]:
    """What a run leaves behind that is killed at each of ``instants`` until it ends."""
    stage.set_up()
    kills = 0
    while killed_after(stage, next(instants)):
        kills += 1
    return traces(stage), kills


def main() -> None:
    """Measure and report."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--documents", type=int, default=24)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--stop", type=float, default=0.0)
    chosen = options.parse_args()
    chance = random.Random(chosen.seed)
    wrong: list[str] = []
    kills = runs = steps = again = 0
    with tempfile.TemporaryDirectory() as folder:
        base = Stage(Path(folder) / "stage", chosen.documents)
        stages = [
            replace(base, action=kind, batches=batches)
            for batches in (1, 6)
            for kind in (FileActionKind.MOVE, FileActionKind.COPY)
        ]
        wanted = {stage: undisturbed(stage) for stage in stages}
        while kills < chosen.kills:
            stage = stages[runs % len(stages)]
            expected, seconds = wanted[stage]
            found, more = disturbed(stage, iter(lambda: chance.uniform(0, seconds * 0.7), None))  # noqa: B023
            wrong += differences(expected, found)
            kills, runs, steps = kills + more, runs + 1, steps + len(found.steps)
            again += found.calls - expected.calls
            print(f"\r{kills} kills in {runs} runs, {len(wrong)} differences", end="", flush=True)
        print()
        if chosen.stop:
            expected, seconds = wanted[stages[0]]
            stages[0].set_up()
            killed_after(stages[0], seconds / 2, stopped_for=chosen.stop)
            wrong += differences(expected, traces(stages[0]))
            print(f"stopped for {chosen.stop:.0f} s and let go on")
    for line in wrong[:20]:
        print(line)
    print(
        f"{runs} runs of {chosen.documents} documents, {steps} steps in all, {again} reads and "
        f"model calls made again because a kill cut them off, seed {chosen.seed}"
    )
    report(
        "kill_recovery", len(wrong), "differences", "0 lost, 0 done twice", holds=not wrong,
        against="an undisturbed run of the same documents", n=kills,
    )  # fmt: skip


if __name__ == "__main__":
    main()
