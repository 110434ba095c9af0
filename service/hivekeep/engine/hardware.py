"""The hardware's own limits, against which a model's rates are judged.

Responsible for two short measurements and what follows from them; both are estimates, made with
numpy, not the best the machine can do.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from hivekeep.domain.errors import EngineError

_BYTES = 1 << 27
_SIDE = 1024
_SECONDS = 0.7
_LONGEST_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """``bandwidth`` is bytes read a second, ``flops`` single-precision operations a second."""

    bandwidth: float
    flops: float

    def decode(self, weights: int) -> float:
        """Tokens a second of one sequence: each needs all weights from memory once."""
        return self.bandwidth / weights

    def prefill(self, parameters: int) -> float:
        """Tokens a second of a long prompt: each needs a multiplication and an addition a weight.

        Quantised kernels multiply integers and may exceed this.
        """
        return self.flops / (2.0 * parameters)


def measure_limits(threads: int) -> Limits:
    """Measure for about two seconds."""
    import numpy as np

    parts = [np.ones(_BYTES // 8 // threads) for _ in range(threads)]

    def read(part: object) -> int:
        begun, rounds = time.perf_counter(), 0
        while time.perf_counter() - begun < _SECONDS:
            np.asarray(part).sum()
            rounds += 1
        return rounds

    begun = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        rounds = sum(pool.map(read, parts))
    bandwidth = rounds * parts[0].nbytes / (time.perf_counter() - begun)
    matrix = np.ones((_SIDE, _SIDE), dtype=np.float32)
    begun, products = time.perf_counter(), 0
    while time.perf_counter() - begun < _SECONDS:
        np.dot(matrix, matrix)
        products += 1
    flops = products * 2.0 * _SIDE**3 / (time.perf_counter() - begun)
    return Limits(bandwidth, flops)


def limits_measured_apart(threads: int) -> Limits:
    """Measure in a process of its own, so that the caller's never holds the memory it takes.

    :raises EngineError: if that is not possible.
    """
    command = [sys.executable, "-m", "hivekeep.engine.hardware", str(threads)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=_LONGEST_SECONDS, check=True,
        )  # fmt: skip
        return Limits(**json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise EngineError(
            "The machine itself could not be measured.",
            why="The process that measures it ended or took too long.",
            next_step="Close other programs and try again.",
        ) from error


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(measure_limits(int(sys.argv[1])))))
