"""A disk that is really full, and one that is really read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.audit.world import World
from tests.small_disk import small_disk

from hivekeep.audit import AuditEvent, records
from hivekeep.domain.errors import AuditError


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "1m") as place:
        yield place


def test_a_full_disk_stops_everything_until_there_is_room(disk: Path) -> None:
    world = World(disk / "audit")
    filler = disk / "filler"
    filler.write_bytes(bytes(500_000))
    log = world.open()
    acknowledged = 0
    with suppress(AuditError):
        while True:
            log.append(AuditEvent("test", "act", subject="x" * 1_000, detail={"n": acknowledged}))
            acknowledged += 1
    assert log.state.state == "blocked"
    assert "No space left" in log.state.why
    with pytest.raises(AuditError):
        log.append(AuditEvent("test", "lost", subject="x" * 1_000))
    filler.unlink()
    log.append(AuditEvent("test", "again"))
    assert log.state.state == "ok"
    log.close()
    assert world.verify().problems == ()
    found = records(world.folder, world.keys)
    assert [r.detail["n"] for r in found[:-1]] == list(range(acknowledged))
    assert found[-1].action == "again"


def fill(path: Path) -> None:
    """Leave no room."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_at_the_start_is_said_so(disk: Path) -> None:
    world = World(disk / "audit")
    world.write(1)
    free = disk / "filler"
    fill(free)
    log = world.open()
    with pytest.raises(AuditError, match="cannot be written"):
        log.append(AuditEvent("test", "lost"))
    log.close()
    free.unlink()
    world.write(1)
    assert world.verify().problems == ()


def test_a_read_only_disk_is_refused_at_the_start(disk: Path) -> None:
    world = World(disk / "audit")
    world.write(1)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(AuditError, match="Read-only"):
        world.open()
    assert world.verify().problems == ()
