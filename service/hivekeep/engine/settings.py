"""How local inference is run: what a person may set, and what was measured on this machine.

Plain data; the engine reads it, ``calibration`` makes the measured part.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from hivekeep.engine.vitals import Patience


@dataclass(frozen=True, slots=True)
class Tuning:
    """What suits one model on one machine.

    ``slots`` sequences are computed together; ``chunk`` prefill tokens ride along with decoding,
    ``chunk_alone`` fill a batch without it.  ``offload`` says whether a graphics processor is used.
    """

    threads: int
    slots: int = 8
    chunk: int = 64
    chunk_alone: int = 256
    offload: bool = False


def default_tuning() -> Tuning:
    """What is used until a machine was measured: a thread for each usable processor."""
    affinity = getattr(os, "sched_getaffinity", None)
    return Tuning(threads=len(affinity(0)) if affinity else os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How a worker is run.

    ``slots`` and ``threads`` 0 mean what was measured.  Each sequence has ``context`` tokens; a
    request that needs more gets a worker with more, up to ``most_context`` and the model's own.  A
    worker without work ends after ``idle_seconds``, one that hangs (see :class:`Patience`) is
    killed.  A request is given to at most ``attempts`` workers.  ``gpu_layers`` layers go to a
    graphics processor where llama.cpp was built for one; negative means all.
    """

    slots: int = 0
    context: int = 4096
    most_context: int = 1 << 18
    threads: int = 0
    idle_seconds: float = 300.0
    load_seconds: float = 300.0
    attempts: int = 3
    gpu_layers: int = -1
    patience: Patience = field(default_factory=Patience)
