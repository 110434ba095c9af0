"""Batches of one watched folder on their way to whoever works on them.

Responsible for handing over settled files, together with those that came while a batch was refused,
and for delivering each batch until it is accepted; not for finding files.  Invariant: a batch is in
the inventory before it is delivered, and leaves the outbox only after its delivery was confirmed
there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from hivekeep.domain.errors import HivekeepError
from hivekeep.triggers.examine import look
from hivekeep.triggers.inventory import Inventory
from hivekeep.triggers.model import Batch, FoundFile, WatchConfig
from hivekeep.triggers.settle import Settling, Window

BATCH_FILES = 300
"""Most files in one batch, so that a run stays within its bounds on agents and steps."""
MAX_DELAY = 300.0
"""Seconds between two attempts to deliver a batch that is held back, at most."""


@dataclass(slots=True)
class _Held:
    batch: Batch
    due: float
    delay: float
    reason: str = ""


class Outbox:
    """What is ready of one watched folder; times are seconds of the event loop's clock.

    :param retry_seconds: the wait after a first failed delivery; it doubles with each further one.
    """

    def __init__(
        self,
        config: WatchConfig,
        inventory: Inventory,
        on_batch: Callable[[Batch], Awaitable[None]],
        new_id: Callable[[], str],
        retry_seconds: float,
    ) -> None:
        self._config = config
        self._inventory = inventory
        self._on_batch = on_batch
        self._new_id = new_id
        self._retry_seconds = retry_seconds
        self._files: dict[str, FoundFile] = {}
        self._window: Window | None = None
        self._held: dict[str, _Held] = {}

    @property
    def reason(self) -> str:
        """Why a batch is held back, or nothing."""
        return next((held.reason for held in self._held.values() if held.reason), "")

    async def recall(self) -> None:
        """Take up what an earlier process left, as the inventory knows it."""
        watch = self._config.id
        await run_sync(self._inventory.forget_unbatched, watch)
        left = await run_sync(self._inventory.undelivered, watch)
        self._files, self._window = {}, None
        self._held = {
            id_: self._new_held(Batch(id_, self._config, files)) for id_, files in left.items()
        }

    def add(self, found: Sequence[FoundFile], now: float) -> None:
        """Take in files that have settled."""
        for file in found:
            self._files[str(file.path)] = file
        if found:
            self._window = Window(self._window.opened if self._window else now, now)

    def discard(self, paths: Sequence[str]) -> None:
        """Forget waiting files whose content was given up."""
        for path in paths:
            self._files.pop(path, None)

    def next_due(self) -> float | None:
        """When there is something to do, or ``None``."""
        times = [held.due for held in self._held.values()]
        if self._window is not None:
            times.append(self._closes_at(self._window))
        return min(times, default=None)

    async def close(self, now: float, root: Path, pending: Settling) -> bool:
        """Make batches of the waiting files, unless they only gather behind a refused one.

        Files in ``pending`` are changing again and wait for the next batch.

        :returns: whether content was given up with a vanished file, so that a copy of it that was
            passed over has to be found anew.
        """
        if not self._files or (self._window and now < self._closes_at(self._window)):
            return False
        ready = {path: file for path, file in self._files.items() if path not in pending}
        gone = set(await run_sync(_vanished, list(ready), root))
        files = [file for path, file in ready.items() if path not in gone]
        self._files = {path: file for path, file in self._files.items() if path not in ready}
        self._window = Window(now, now) if self._files and self.reason else None
        for start in range(0, len(files), BATCH_FILES):
            chunk = tuple(files[start : start + BATCH_FILES])
            batch = Batch(self._new_id(), self._config, chunk)
            await run_sync(self._inventory.assign, batch.id, self._config.id, chunk)
            self._held[batch.id] = self._new_held(batch)
        if gone:
            lost = [ready[path] for path in gone]
            await run_sync(self._inventory.drop, self._config, lost)
        return bool(gone)

    async def deliver(self, now: float) -> None:
        """Deliver every batch that is due; one that is refused is tried again later."""
        for held in [held for held in self._held.values() if held.due <= now]:
            batch = held.batch
            try:
                await self._on_batch(batch)
            except HivekeepError as error:
                held.reason = str(error)
                held.due = anyio.current_time() + held.delay
                held.delay = min(held.delay * 2, MAX_DELAY)
                await run_sync(self._inventory.note, batch.id, held.reason)
                continue
            with anyio.CancelScope(shield=True):  # taken over is taken over, also while we stop
                await run_sync(self._inventory.delivered, batch.id, self._config.id, batch.files)
            del self._held[batch.id]

    def _closes_at(self, window: Window) -> float:
        return window.closes_at(self._config.batch_seconds) if self.reason else window.opened

    def _new_held(self, batch: Batch) -> _Held:
        return _Held(batch, due=anyio.current_time(), delay=self._retry_seconds)


def _vanished(paths: Sequence[str], root: Path) -> list[str]:
    return [path for path in paths if look(path, root) is None]
