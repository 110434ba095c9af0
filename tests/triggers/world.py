"""A watch service on a temporary folder, with everything it hands over at hand."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from hivekeep.domain.errors import HivekeepError
from hivekeep.triggers import Batch, FileState, Inventory, WatchConfig, WatchService

PATIENCE = 30.0


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> tuple[str, int]:
    data = path.read_bytes()
    return sha256(data), len(data)


@dataclass
class World:
    """One profile's folder, inventory and service; ``watching`` may be entered again and again."""

    base: Path
    refuse: HivekeepError | None = None
    hash_file: Callable[[Path], tuple[str, int]] = hash_file
    own: set[Path] = field(default_factory=set)
    remote: bool = False
    delivered: list[Batch] = field(default_factory=list)
    attempts: list[Batch] = field(default_factory=list)
    service: WatchService = field(init=False)
    inventory: Inventory = field(init=False)

    def __post_init__(self) -> None:
        self.inbox.mkdir()
        self.open_inventory()

    def open_inventory(self) -> None:
        self.inventory = Inventory(self.base / "inventory.db", clock=time.time)

    @property
    def inbox(self) -> Path:
        return self.base / "inbox"

    def config(self, **changes: object) -> WatchConfig:
        values: dict[str, object] = {
            "id": "w1",
            "folder": str(self.inbox),
            "recipe": "invoices",
            "recipe_hash": "r" * 64,
            "output": str(self.base / "results"),
            "settle_seconds": 0.05,
            "batch_seconds": 0.1,
            "closed_seconds": 0.02,
            **changes,
        }
        return WatchConfig(**values)  # type: ignore[arg-type]

    @asynccontextmanager
    async def watching(self, *configs: WatchConfig) -> AsyncIterator[WatchService]:
        async def on_batch(batch: Batch) -> None:
            self.attempts.append(batch)
            if self.refuse is not None:
                raise self.refuse
            self.delivered.append(batch)

        self.service = WatchService(
            self.inventory,
            on_batch,
            is_own_output=lambda path: path in self.own,
            hash_file=self.hash_file,
            is_remote=lambda _folder: self.remote,
            poll_seconds=0.05,
            retry_seconds=0.05,
        )
        async with anyio.create_task_group() as tasks:
            for config in configs or (self.config(),):
                await self.service.add(config)
            tasks.start_soon(self.service.run)
            await until(
                lambda: not {"stopped", "starting"} & set(self.service.status().values()),
                lambda: str(self.service.status()),
            )
            yield self.service
            tasks.cancel_scope.cancel()

    @property
    def names(self) -> list[str]:
        """The names of all delivered files, in the order of delivery."""
        return [file.path.name for batch in self.delivered for file in batch.files]

    async def delivery_of(self, *names: str) -> None:
        """Wait until every one of ``names`` was delivered and no delivery is unconfirmed."""
        await until(
            lambda: (
                set(names) <= set(self.names)
                and not any(self.inventory.undelivered(watch) for watch in self.service.status())
            ),
            lambda: f"delivered {self.names}",
        )

    async def sentinel(self, name: str = "sentinel.txt") -> None:
        """Drop one more file and wait for it: whatever came before it has been dealt with."""
        (self.inbox / name).write_text(name)
        await self.delivery_of(name)

    def states(self, watch: str = "w1") -> dict[str, FileState]:
        return {record.path.name: record.state for record in self.inventory.files(watch)}

    def reason(self, name: str, watch: str = "w1") -> str:
        (found,) = [r.reason for r in self.inventory.files(watch) if r.path.name == name]
        return found


async def until(condition: Callable[[], bool], say: Callable[[], str] = str) -> None:
    """Wait for ``condition`` or fail."""
    with anyio.move_on_after(PATIENCE):
        while not condition():  # noqa: ASYNC110  # files and threads set no event
            await anyio.sleep(0.005)
        return
    pytest.fail(f"waited {PATIENCE} s in vain: {say()}")
