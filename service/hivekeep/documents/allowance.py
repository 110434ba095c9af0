"""A time limit that a machine's sleep does not use up.

Responsible for counting seconds; not for what is done when they are used up.  Invariant: between
two looks at the clock no more counts than the looks are meant to be apart, twice over, so that
minutes in which this process was stopped or the machine slept count as a moment.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import anyio

_TICK = 0.5


class Allowance:
    """Cancels the block that it is entered for once ``seconds`` of running time are used up.

    ``expired`` then says so.  Used within an asyncio event loop.
    """

    def __init__(self, seconds: float, *, tick: float = _TICK) -> None:
        self.left = self._whole = seconds
        self.expired = False
        self._tick = tick
        self._paused = False
        self._scope = anyio.CancelScope()

    def __enter__(self) -> Self:
        self._scope.__enter__()
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timer = self._loop.call_later(min(self._tick, self.left), self._look)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._timer.cancel()
        return self._scope.__exit__(exc_type, exc_value, traceback)

    @property
    def used(self) -> float:
        """The seconds that have been counted."""
        self._count()
        return self._whole - self.left

    def pause(self) -> None:
        """Count nothing until :meth:`go_on`."""
        self._count()
        self._paused = True

    def go_on(self) -> None:
        """Count again."""
        self._count()
        self._paused = False

    def _count(self) -> None:
        now = self._loop.time()
        if not self._paused:
            self.left -= min(now - self._last, 2 * self._tick)
        self._last = now

    def _look(self) -> None:
        self._count()
        if self.left > 0:
            self._timer = self._loop.call_later(min(self._tick, self.left), self._look)
            return
        self.expired = True
        self._scope.cancel()
