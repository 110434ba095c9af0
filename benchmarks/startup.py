"""How long the daemon takes from its start until it answers, without a model.

Beside each start, in turn, an interpreter starts that imports only what the local API is served
with, which is the least that any such program needs.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.stage import Stage

from benchmarks.setup import report

GOAL_SECONDS = 1.0
_LEAST = "import anyio, starlette, uvicorn, pydantic, cryptography"


def started(stage: Stage) -> float:
    """Seconds from the start of the process to its first answer."""
    begin = time.perf_counter()
    stage.start()
    seconds = time.perf_counter() - begin
    if stage.stop() != 0:
        raise SystemExit(stage.log())
    return seconds


def imported() -> float:
    """Seconds that a fresh interpreter needs for the imports."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", _LEAST], check=True)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    ours: list[float] = []
    least: list[float] = []
    with tempfile.TemporaryDirectory(prefix="hivekeep-startup-") as scratch:
        stage = Stage(Path(scratch))
        first = started(stage)  # makes the profile and its keys, and fills the disk's cache
        try:
            for _ in range(options.rounds):
                ours.append(started(stage))
                least.append(imported())
        finally:
            stage.close()
    median, bare = statistics.median(ours), statistics.median(least)
    print(f"first start, which makes the profile    {first:6.2f} s")
    print(f"start to ready, median of {options.rounds:<3}           {median:6.2f} s")
    print(f"  fastest {min(ours):.2f} s, slowest {max(ours):.2f} s")
    print(f"imports of the API's libraries alone    {bare:6.2f} s")
    report(
        "startup", median, "s", "<= 1 s", holds=median <= GOAL_SECONDS,
        against=f"imports of the API's libraries alone {bare:.3f} s, ratio {median / bare:.2f}",
        n=options.rounds,
    )  # fmt: skip


if __name__ == "__main__":
    main()
