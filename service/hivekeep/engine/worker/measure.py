"""A process that measures how fast a model runs here, in every way that is worth choosing between.

Responsible for measuring; what is chosen is ``calibration``'s.  Run as ``python -m``, it prints one
JSON object and ends; like a worker it is confined before the model is parsed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hivekeep.domain.errors import EngineError
from hivekeep.engine.worker.confinement import confine_to_model
from hivekeep.sandbox import SandboxError

_CONTEXT = 640
_SLOTS = 16
_PREFILL = 256
_DECODE_SECONDS = 0.8


def main() -> int:
    """Measure, print, end."""
    parser = argparse.ArgumentParser(prog="hivekeep.engine.worker.measure")
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, required=True, help="the most that are tried")
    parser.add_argument("--gpu-layers", type=int, default=0)
    options = parser.parse_args()
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        confine_to_model(options.model)
        found = _measure(options.model, options.threads, options.gpu_layers)
    except (EngineError, SandboxError) as error:
        found = {"error": error.as_dict()}
    json.dump(found, output)
    output.close()
    return 0


def _measure(model: Path, threads: int, gpu_layers: int) -> dict[str, object]:
    from hivekeep.engine.worker.executor import Executor, ModelOptions

    options = ModelOptions(_SLOTS, _CONTEXT, threads, _PREFILL + 2 * _SLOTS, gpu_layers)
    bench = _Bench(Executor(model, options))
    candidates = sorted({1, max(threads // 2, 1), threads})
    by_threads = {}
    for count in candidates:
        bench.executor.use_threads(count)
        by_threads[count] = (bench.prefill(128), bench.decode(4))
    best = max(candidates, key=lambda count: sum(by_threads[count]))
    bench.executor.use_threads(best)
    return {
        "threads": by_threads,
        "chunks": {size: bench.prefill(size) for size in (32, 64, 128, 256)},
        "slots": {count: bench.decode(count) for count in (1, 2, 4, 8, 16)},
        "mixed": {size: bench.mixed(size) for size in (32, 64, 128)},
        "offload": bench.executor.gpu_layers != 0,
    }


class _Bench:
    """Rates in tokens a second; every run starts from empty sequences."""

    def __init__(self, executor: object) -> None:
        from hivekeep.engine.worker.executor import Executor

        assert isinstance(executor, Executor)
        self.executor = executor
        # Ordinary tokens: what they mean does not matter for how long they take.
        self.tokens = executor.tokenize("The quick brown fox jumps. " * 200, special=False)
        self.prefill(32)

    def prefill(self, chunk: int) -> float:
        """One long prompt in batches of ``chunk``."""
        self._reset()
        total = max(chunk, 128)
        begun = time.perf_counter()
        for start in range(0, total, chunk):
            self._batch({0: (start, chunk)})
        return total / (time.perf_counter() - begun)

    def decode(self, slots: int) -> float:
        """``slots`` sequences, a token each at a time."""
        self._reset()
        self._batch(dict.fromkeys(range(slots), (0, 8)))
        return self._while(lambda at: self._batch(dict.fromkeys(range(slots), (at, 1))), slots)

    def mixed(self, chunk: int) -> float:
        """Half of the sequences decode while another's prompt is computed."""
        self._reset()
        half = _SLOTS // 2
        self._batch(dict.fromkeys(range(half), (0, 8)))
        place = {"at": 0}

        def step(at: int) -> None:
            if place["at"] + chunk > _CONTEXT - 8:
                self.executor.clear(_SLOTS - 1)
                place["at"] = 0
            pieces = dict.fromkeys(range(half), (at, 1))
            self._batch({**pieces, _SLOTS - 1: (place["at"], chunk)})
            place["at"] += chunk

        return self._while(step, half + chunk)

    def _while(self, step: Callable[[int], None], tokens: int) -> float:
        begun, steps = time.perf_counter(), 0
        while steps < 2 or (time.perf_counter() - begun < _DECODE_SECONDS and steps < 400):
            step(8 + steps)
            steps += 1
        return tokens * steps / (time.perf_counter() - begun)

    def _batch(self, parts: dict[int, tuple[int, int]]) -> None:
        from hivekeep.engine.worker.scheduler import Piece

        self.executor.decode(
            [
                Piece(slot, start, tuple(self.tokens[start : start + count]), True)
                for slot, (start, count) in parts.items()
            ]
        )

    def _reset(self) -> None:
        for slot in range(_SLOTS):
            self.executor.clear(slot)


if __name__ == "__main__":
    sys.exit(main())
