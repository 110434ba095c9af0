"""A pause that a person has asked for, kept across restarts.

Responsible for one moment in time and for waiting until it; what waits is decided by the gate.
Invariant: a pause always ends, by its time or by ``resume``; no document is lost through it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import anyio

from hivekeep.domain.errors import StorageError

LONGEST_SECONDS = 7 * 24 * 3600.0


class Pause:
    """The pause of one profile, in ``path``. Times are seconds since the epoch."""

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self._until = self._load()
        self._changed = anyio.Event()

    @property
    def until(self) -> float | None:
        """When it ends; ``None`` if there is none."""
        return self._until if self._until > self._clock() else None

    def set(self, seconds: float) -> None:
        """Pause from now on for ``seconds``; 0 ends a pause.

        :raises StorageError: if it cannot be remembered; then nothing has changed.
        """
        until = self._clock() + min(seconds, LONGEST_SECONDS) if seconds > 0 else 0.0
        temporary = self._path.with_suffix(".new")
        try:
            with temporary.open("w", encoding="ascii") as file:
                json.dump({"until": until}, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise StorageError(
                "The pause cannot be remembered.", why=f"{self._path}: {error.strerror}."
            ) from error
        self._until = until
        self._changed.set()
        self._changed = anyio.Event()

    async def passed(self) -> None:
        """Return once nothing is paused."""
        while (until := self.until) is not None:
            changed = self._changed
            with anyio.move_on_after(max(until - self._clock(), 0.01)):
                await changed.wait()

    def _load(self) -> float:
        try:
            return float(json.loads(self._path.read_text(encoding="ascii"))["until"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0  # a pause that cannot be read is none: work goes on, nothing is lost
