"""How a model is run best on this machine: measured once, chosen, and remembered.

Responsible for starting the measurement, for the choice and for its file; measuring happens in
``worker.measure``.  Invariant: what was measured on another machine, with other weights or with
another llama.cpp is not used.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from hivekeep.domain.errors import EngineError
from hivekeep.engine.process import worker_environment
from hivekeep.engine.settings import Tuning, default_tuning

_FORMAT = 1
_SECONDS = 600.0
# With more than this in use by others, what is measured says nothing about the machine.
_TOO_BUSY = 0.4
# A smaller choice that reaches this share of the best is as good, and costs less.
_GOOD_ENOUGH = 0.95


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens a second: by threads (prefill, decode), prefill by chunk, decode by sequences, and
    both together by the prompt's share of the batch."""

    threads: dict[int, tuple[float, float]]
    chunks: dict[int, float]
    slots: dict[int, float]
    mixed: dict[int, float]
    offload: bool = False


def choose(rates: Rates) -> Tuning:
    """The smallest settings that come close to the best rate."""
    threads = _smallest({count: sum(pair) for count, pair in rates.threads.items()})
    # Agents share prompts, so that some more sequences than decoding needs are worth having.
    slots = max(_smallest(rates.slots), 4)
    return Tuning(
        threads=threads,
        slots=slots,
        chunk=_smallest(rates.mixed),
        chunk_alone=max(_smallest(rates.chunks), 64),
        offload=rates.offload,
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """Rates, and whether they are kept: not if other programs used the processors meanwhile."""

    rates: Rates
    kept: bool


class Calibrations:
    """The measurements of a user's machine, in ``folder``.

    :param busy: the share of the processors that is in use now, from 0 to 1.
    """

    def __init__(self, folder: Path, *, busy: Callable[[], float] | None = None) -> None:
        self._folder = folder
        self._busy = busy or _busy

    async def tuning(self, model: str, path: Path) -> Tuning:
        """What was chosen for the model; the default where nothing was measured."""
        rates = self.known(model, path)
        return choose(rates) if rates else default_tuning()

    def known(self, model: str, path: Path) -> Rates | None:
        """What was measured for these very weights on this very machine."""
        try:
            data = json.loads(self._file(model).read_bytes())
            if data["format"] == _FORMAT and data["of"] == _identity(path):
                return _rates(data["rates"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return None

    def measure(self, model: str, path: Path, *, gpu_layers: int = -1) -> Measured:
        """Measure now, which takes seconds to a minute, and remember it if the machine was free.

        :raises EngineError: if the model cannot be run.
        """
        busy = self._busy()
        command = [
            sys.executable, "-m", "hivekeep.engine.worker.measure", str(path), "--threads",
            str(default_tuning().threads), "--gpu-layers", str(gpu_layers),
        ]  # fmt: skip
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env=worker_environment(), timeout=_SECONDS, check=False,
            )  # fmt: skip
            data = json.loads(done.stdout)
        except (OSError, subprocess.TimeoutExpired, ValueError) as error:
            raise EngineError(
                f"The model '{model}' could not be measured.",
                why="Its process ended or took too long.",
                next_step="Close other programs and try again.",
            ) from error
        if "error" in data:
            raise EngineError(data["error"]["what"], why=data["error"]["why"])
        rates = _rates(data)
        kept = max(busy, self._busy()) <= _TOO_BUSY
        if kept:
            self._write(model, path, rates)
        return Measured(rates, kept)

    def _write(self, model: str, path: Path, rates: Rates) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = {"format": _FORMAT, "of": _identity(path), "rates": asdict(rates)}
        fresh = self._file(model).with_suffix(".new")
        fresh.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        fresh.replace(self._file(model))

    def _file(self, model: str) -> Path:
        return self._folder / f"{model}.json"


def machine() -> dict[str, Any]:
    """What makes this machine another one than the last."""
    return {
        "processor": _processor(),
        "usable": default_tuning().threads,
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "llama": version("llama-cpp-python"),
    }


def _identity(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {**machine(), "size": status.st_size, "modified": status.st_mtime_ns}


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            names = (line.partition(":")[2].strip() for line in file if "model name" in line)
            return next(names, platform.processor() or os.uname().machine)
    except OSError:
        return platform.processor() or platform.machine()


def _busy() -> float:
    return float(psutil.cpu_percent(interval=0.5)) / 100


def _smallest(rates: dict[int, float]) -> int:
    best = max(rates.values())
    return min(size for size, rate in rates.items() if rate >= _GOOD_ENOUGH * best)


def _rates(data: dict[str, Any]) -> Rates:
    def table(key: str) -> dict[int, float]:
        return {int(size): float(rate) for size, rate in data[key].items()}

    return Rates(
        threads={int(n): (float(a), float(b)) for n, (a, b) in data["threads"].items()},
        chunks=table("chunks"),
        slots=table("slots"),
        mixed=table("mixed"),
        offload=bool(data.get("offload")),
    )
