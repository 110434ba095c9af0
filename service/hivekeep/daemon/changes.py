"""Tells waiting clients that something changed.

Responsible for waking the live views; it carries no data, so a slow client can never make the
daemon's memory grow: it reads the present state when it is ready for it.
"""

from __future__ import annotations

import anyio


class Changes:
    """A counter that can be awaited."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._version = 0

    @property
    def version(self) -> int:
        """How often something has changed."""
        return self._version

    def notify(self) -> None:
        """Wake everyone who waits."""
        self._version += 1
        self._event.set()
        self._event = anyio.Event()

    async def wait(self, since: int, *, at_most: float) -> int:
        """Wait until the version differs from ``since`` or ``at_most`` seconds have passed."""
        if self._version == since:
            event = self._event
            with anyio.move_on_after(at_most):
                await event.wait()
        return self._version
