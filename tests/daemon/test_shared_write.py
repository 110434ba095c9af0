"""Records of many tasks in one write: none lost, none mixed up, one bad record alone refused."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, cast

import anyio
import pytest

from hivekeep.audit import AuditEvent, AuditLog
from hivekeep.daemon.shared_write import SharedWrite
from hivekeep.domain.errors import AuditError

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Log:
    """An audit log in memory whose first write waits until it is let go."""

    def __init__(self, *, held: bool = False) -> None:
        self.writes: list[list[str]] = []
        self.go = threading.Event()
        if not held:
            self.go.set()

    def append(self, event: AuditEvent) -> int:
        """One record."""
        return self.append_many([event])

    def append_many(self, events: Sequence[AuditEvent]) -> int:
        """Several, all or none."""
        assert self.go.wait(30)
        if any(event.action == "bad" for event in events):
            raise AuditError("A record is too large for the audit log.")
        self.writes.append([event.action for event in events])
        return 0


def shared(log: Log) -> SharedWrite:
    return SharedWrite(cast(AuditLog, log))


def event(action: str) -> AuditEvent:
    return AuditEvent("test", action)


async def test_what_comes_during_a_write_shares_the_next_one() -> None:
    log = Log(held=True)
    writes = shared(log)
    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(writes.append, event(str(number)))
        await anyio.wait_all_tasks_blocked()
        log.go.set()
    assert [action for write in log.writes for action in write] == [str(n) for n in range(200)]
    assert len(log.writes) <= 3


async def test_a_task_writes_in_its_order_and_only_returns_when_written() -> None:
    log = Log()
    writes = shared(log)

    async def task(name: str) -> None:
        for number in range(20):
            await writes.append(event(f"{name}{number}"))
            assert any(f"{name}{number}" in write for write in log.writes)

    async with anyio.create_task_group() as tasks:
        for name in "abcdefgh":
            tasks.start_soon(task, name)
    written = [action for write in log.writes for action in write]
    assert len(written) == 160
    assert [a for a in written if a[0] == "c"] == [f"c{n}" for n in range(20)]


async def test_only_the_bad_record_is_refused() -> None:
    log = Log(held=True)
    writes = shared(log)
    failed: list[str] = []

    async def task(action: str) -> None:
        try:
            await writes.append(event(action))
        except AuditError:
            failed.append(action)

    async with anyio.create_task_group() as tasks:
        for action in ("first", "a", "bad", "b"):
            tasks.start_soon(task, action)
        await anyio.wait_all_tasks_blocked()
        log.go.set()
    assert failed == ["bad"]
    assert sorted(action for write in log.writes for action in write) == ["a", "b", "first"]


async def test_a_cancelled_task_takes_nobodys_record_along() -> None:
    log = Log(held=True)
    writes = shared(log)
    done: list[str] = []

    async def task(action: str, **_: Any) -> None:
        await writes.append(event(action))
        done.append(action)

    async with anyio.create_task_group() as tasks, anyio.create_task_group() as doomed:
        doomed.start_soon(task, "leads the first")
        await anyio.wait_all_tasks_blocked()
        doomed.start_soon(task, "leads the second")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(task, "follows")
        await anyio.wait_all_tasks_blocked()
        doomed.cancel_scope.cancel()
        log.go.set()
    assert "follows" in done
    assert log.writes == [["leads the first"], ["leads the second", "follows"]]
