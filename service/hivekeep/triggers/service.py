"""All watched folders of a profile.

Responsible for which folders are watched and for the lifetime of their tasks; what happens in one
of them is ``folder``.  Invariant: a folder's trouble is its own and shows in ``status``.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from anyio.abc import TaskGroup
from anyio.to_thread import run_sync

from hivekeep.triggers.examine import HashFile
from hivekeep.triggers.folder import WatchedFolder, WatchPorts
from hivekeep.triggers.inventory import Inventory
from hivekeep.triggers.model import Batch, WatchConfig
from hivekeep.triggers.remote import is_remote as lies_on_network


def _random_id() -> str:
    return uuid.uuid4().hex


class WatchService:
    """Watches folders while ``run`` runs; use it from the event loop of ``run`` only.

    :param on_batch: takes over a batch; it must be idempotent by the batch's id.  A
        ``HivekeepError`` from it holds the batch back, and it is delivered again later.
    :param is_own_output: whether Hivekeep wrote a file; called in a worker thread.
    :param hash_file: the SHA-256 and size of a file; called in a worker thread.
    :param is_remote: whether a folder has to be polled.
    :param poll_seconds: time between two looks at a folder that is polled or missing.
    :param retry_seconds: wait after a refused delivery; doubles up to five minutes.
    """

    def __init__(
        self,
        inventory: Inventory,
        on_batch: Callable[[Batch], Awaitable[None]],
        *,
        is_own_output: Callable[[Path], bool],
        hash_file: HashFile,
        is_remote: Callable[[Path], bool] = lies_on_network,
        new_id: Callable[[], str] = _random_id,
        poll_seconds: float = 5.0,
        retry_seconds: float = 5.0,
    ) -> None:
        self._inventory = inventory
        self._ports = WatchPorts(
            on_batch=on_batch,
            is_own_output=is_own_output,
            hash_file=hash_file,
            is_remote=is_remote,
            new_id=new_id,
            poll_seconds=poll_seconds,
            retry_seconds=retry_seconds,
        )
        self._configs: dict[str, WatchConfig] = {}
        self._running: dict[str, _Running] = {}
        self._tasks: TaskGroup | None = None

    async def run(self) -> None:
        """Watch every added folder until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                for config in self._configs.values():
                    if not config.paused:
                        self._start(config, tasks)
                await anyio.sleep_forever()
        finally:
            self._tasks = None
            self._running.clear()

    async def add(self, config: WatchConfig) -> None:
        """Watch one more folder; returns once it is watched, if ``run`` runs already.

        A folder with the same id is replaced.  A paused one keeps what waits in it, and rests.
        """
        await self._stop(config.id)
        self._configs[config.id] = config
        if self._tasks is not None and not config.paused:
            await self._start(config, self._tasks).folder.ready.wait()

    async def remove(self, watch: str) -> None:
        """Stop watching a folder and forget what waited in it; harmless if it is not watched."""
        await self._stop(watch)
        if self._configs.pop(watch, None) is not None:
            await run_sync(self._inventory.forget, watch)

    def status(self) -> dict[str, str]:
        """What to say of each watched folder, by id.

        That is ``watching``, ``polling``, ``paused``, or the trouble.
        """
        return {watch: self._state(config) for watch, config in self._configs.items()}

    def _state(self, config: WatchConfig) -> str:
        if config.paused:
            return "paused"
        running = self._running.get(config.id)
        return running.folder.state if running else "stopped"

    def _start(self, config: WatchConfig, tasks: TaskGroup) -> _Running:
        folder = WatchedFolder(config, self._inventory, self._ports)
        running = _Running(folder)
        self._running[config.id] = running
        tasks.start_soon(running.run, name=f"watch {config.id}")
        return running

    async def _stop(self, watch: str) -> None:
        running = self._running.pop(watch, None)
        if running is not None:
            running.scope.cancel()
            await running.ended.wait()


class _Running:
    def __init__(self, folder: WatchedFolder) -> None:
        self.folder = folder
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()

    async def run(self) -> None:
        try:
            with self.scope:
                await self.folder.run()
        finally:
            self.ended.set()
