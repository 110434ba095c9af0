"""What the engine's threads do while they wait for one another, and what that costs.

llama.cpp's OpenMP threads meet at a barrier after every operation of the network.  Each way of
waiting is measured in a process of its own, in turn, on the machine as it is and, with ``--busy``,
beside a process that keeps one processor occupied.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from statistics import median

from benchmarks.engine_setup import InstalledFiles, machine_line
from benchmarks.setup import report
from hivekeep.engine.process import worker_environment
from hivekeep.engine.store import DEFAULT_MODEL

OURS = "ours"
WAYS: dict[str, dict[str, str]] = {
    "asleep at once": {"OMP_WAIT_POLICY": "passive"},
    OURS: {},
    "spinning, as OpenMP does by default": {},
}


def measure(model: str) -> dict[str, float]:
    """Tokens a second: one sequence, eight, and eight beside a prompt in pieces of 64."""
    from hivekeep.engine.settings import default_tuning
    from hivekeep.engine.worker.executor import Executor, ModelOptions
    from hivekeep.engine.worker.scheduler import Piece

    executor = Executor(
        InstalledFiles().resolve(model), ModelOptions(9, 512, default_tuning().threads, 512)
    )
    chance = random.Random(3)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(chance.randrange(1000, 20000) for _ in range(count))

    def timed(batches: list[list[Piece]]) -> float:
        begun = time.perf_counter()
        for batch in batches:
            executor.decode(batch)
        count = sum(len(piece.tokens) for batch in batches for piece in batch)
        return count / (time.perf_counter() - begun)

    timed([[Piece(slot, 0, tokens(16), True)] for slot in range(8)])
    step = [[Piece(s, 16 + at, tokens(1), True) for s in range(8)] for at in range(14)]
    prompt = [Piece(8, 64 * at, tokens(64), at == 3) for at in range(4)]
    both = [[*decode, piece] for decode, piece in zip(step[10:], prompt, strict=True)]
    alone = [[Piece(0, 30 + at, tokens(1), True)] for at in range(10)]
    return {"eight": timed(step[:10]), "eight and a prompt": timed(both), "one": timed(alone)}


def main() -> None:
    """Take turns, print each way's medians, and the ratio to the next best way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", action="store_true", help="beside one busy process")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.model)))
        return
    print(f"{options.model}, {machine_line()}{', one busy process' if options.busy else ''}")
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if options.busy else None
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    command = [sys.executable, "-m", "benchmarks.engine_threads", "--one", "--model", options.model]
    try:
        for _ in range(options.rounds):
            for way, changed in WAYS.items():
                chosen = {} if way != OURS else worker_environment()
                environment = {**os.environ, **chosen, **changed}
                done = subprocess.run(
                    command, env=environment, capture_output=True, text=True, check=True
                )
                found[way].append(json.loads(done.stdout.splitlines()[-1]))
    finally:
        if rival:
            rival.kill()
    sums = {}
    for way, rates in found.items():
        middle = {kind: median(each[kind] for each in rates) for kind in rates[0]}
        sums[way] = sum(middle.values())
        shown = ", ".join(f"{kind} {rate:.1f}" for kind, rate in middle.items())
        print(f"{way:36} {shown} tokens/s")
    value = sums[OURS] / max(rate for way, rate in sums.items() if way != OURS)
    report(
        "engine_threads", value, "ratio", ">= 1", holds=value >= 1,
        against="the better of sleeping at once and OpenMP's default", n=options.rounds,
    )  # fmt: skip


if __name__ == "__main__":
    main()
