"""Signs of life from a worker, independent of what its main thread computes.

Responsible for saying once a second whether there is work, how many batches were computed and how
much processor time was used; judging that is the daemon's.  Invariant: nothing is sent, and nothing
wakes, while the worker is idle.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from hivekeep.engine.worker.wire import Beat

_BEAT_SECONDS = 1.0
_RATE_SECONDS = 5.0


class Heartbeat:
    """Beats while ``busy``; ``emit`` is called from a thread of its own."""

    def __init__(self, emit: Callable[[Beat], None]) -> None:
        self._emit = emit
        self._busy = threading.Event()
        self._batches = 0
        self._active = 0
        self._waiting = 0
        self._recent: deque[tuple[float, int]] = deque()
        threading.Thread(target=self._run, daemon=True, name="heartbeat").start()

    def busy(self) -> None:
        """There is work."""
        self._busy.set()

    def idle(self) -> None:
        """There is nothing to do."""
        self._busy.clear()
        self._recent.clear()

    def computed(self, tokens: int, active: int, waiting: int) -> None:
        """A batch of ``tokens`` was computed."""
        self._batches += 1
        self._active, self._waiting = active, waiting
        self._recent.append((time.monotonic(), tokens))

    def _run(self) -> None:
        while True:
            self._busy.wait()
            self._emit(
                Beat(self._active, self._waiting, self._rate(), self._batches, time.process_time())
            )
            time.sleep(_BEAT_SECONDS)

    def _rate(self) -> float:
        now = time.monotonic()
        recent = [entry for entry in tuple(self._recent) if entry[0] >= now - _RATE_SECONDS]
        while self._recent and self._recent[0][0] < now - _RATE_SECONDS:
            self._recent.popleft()
        if not recent:
            return 0.0
        span = max(now - recent[0][0], _BEAT_SECONDS)
        return round(sum(count for _, count in recent) / span, 1)
