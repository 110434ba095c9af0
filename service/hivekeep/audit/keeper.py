"""Does in the background what must not hold up an append: anchors, new signing keys, indexes.

Responsible for when; ``log`` knows how.  Invariant: while nothing is written it sleeps without a
timeout, so an idle log causes no wake-ups.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from hivekeep.domain.errors import HivekeepError
from hivekeep_verify.frames import FormatError

logger = logging.getLogger(__name__)
_ANCHOR_WRITES = 1_000


class Keeper:
    """One thread with a deadline for each job, counted from the first write not dealt with yet.

    :param jobs: what to do, and how many seconds after a write; ``None``: only when asked to.
    """

    def __init__(self, jobs: Mapping[str, tuple[Callable[[], None], float | None]]) -> None:
        self._jobs = {name: job for name, (job, _) in jobs.items()}
        self._delays = {name: wait for name, (_, wait) in jobs.items() if wait is not None}
        self._due: dict[str, float] = {}
        self._armed = False
        self._writes = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="audit-keeper", daemon=True)
        self._thread.start()

    def written(self) -> None:
        """Something was written."""
        with self._changed:
            self._writes += 1
            if not self._armed:
                self._armed = True
                now = time.monotonic()
                for name, delay in self._delays.items():
                    self._due.setdefault(name, now + delay)
                self._changed.notify()
            if self._writes == _ANCHOR_WRITES:
                self._due["anchor"] = 0.0
                self._changed.notify()

    def soon(self, name: str, *, wait: float = 0.0) -> None:
        """Do a job as soon as the thread is free, but not before so many seconds have passed."""
        with self._changed:
            self._due[name] = time.monotonic() + wait
            self._changed.notify()

    def stop(self) -> None:
        """End the thread; what is due is left to the caller."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                name = self._next()
                if self._stopping:
                    return
                if name is None:
                    continue
                del self._due[name]
                self._armed = False
                if name == "anchor":
                    self._writes = 0
            try:
                self._jobs[name]()
            except (HivekeepError, FormatError, OSError) as error:
                # Appends go on: the old key still signs, and the state says that this failed.
                logger.warning("audit log: %s was not done: %s", name, error)

    def _next(self) -> str | None:
        if self._stopping:
            # Said while a job ran, or before this thread first waited: nobody will notify again.
            return None
        if not self._due:
            self._changed.wait()
            return None
        name = min(self._due, key=lambda each: self._due[each])
        left = self._due[name] - time.monotonic()
        if left > 0:
            self._changed.wait(left)
            return None
        return name
