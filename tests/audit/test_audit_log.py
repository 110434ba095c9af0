"""The audit log keeps what is written, and survives what happens to processes and disks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.audit.world import SECRET, World

from hivekeep.audit import AuditEvent, AuditLog, DataRef, ModelRef, records, verify
from hivekeep.audit import log as log_module
from hivekeep.audit.direct import DirectEnd
from hivekeep.audit.files import OpenSegment
from hivekeep.domain.errors import AuditError
from hivekeep.secrets import KeyStore, Passphrase, open_key_store


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "audit")


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "SEGMENT_BYTES", 3_000)


def test_records_come_back_and_verify(world: World) -> None:
    world.write(20)
    world.write(5, start=20)
    report = world.verify()
    assert (report.ok, report.problems) == (True, ())
    assert report.events == 25
    found = records(world.folder, world.keys, limit=100)
    assert [record.detail["n"] for record in found] == list(range(25))
    assert [record.sequence for record in found] == list(range(1, 26))
    assert found[0].subject == SECRET
    assert [r.sequence for r in records(world.folder, world.keys, limit=3)] == [23, 24, 25]
    assert [r.action for r in records(world.folder, world.keys, action="act.7")] == ["act.7"]


@pytest.mark.usefixtures("small_segments")
def test_a_log_goes_on_over_segments_and_epochs(world: World) -> None:
    for start in range(0, 40, 10):
        world.write(10, start, epochs=1)
    assert len(world.segments) >= 3
    report = world.verify()
    assert (report.problems, report.events, len(report.keys)) == ((), 40, 5)
    newest = records(world.folder, world.keys, limit=25)
    assert [r.detail["n"] for r in newest] == list(range(15, 40))


def test_every_field_of_an_event_comes_back(world: World) -> None:
    event = AuditEvent(
        "agent-7", "tool.call", subject="/in/ü\udcff.pdf", rule="files.allowed_folders[0]",
        outcome="allowed", detail={"n": 1, "ratio": 0.1, "big": 2**60, "none": None},
        user="anna", job="r1", agent="a7", arguments={"path": "/x", "flags": [True, False]},
        approval="Write 3 files to /out?", data=(DataRef("/in/x.pdf", "ab" * 32, "untrusted"),),
        model=ModelRef("qwen", "cd" * 32, {"temperature": 0, "seed": 7}), result="3 files",
    )  # fmt: skip
    log = world.open()
    log.append(event)
    log.close()
    (found,) = records(world.folder, world.keys)
    for name in ("actor", "rule", "user", "job", "agent", "arguments", "approval", "data", "model"):
        assert getattr(found, name) == getattr(event, name), name
    assert found.subject == "/in/ü\\udcff.pdf"
    assert found.detail == {"n": 1, "ratio": 0.1, "big": str(2**60), "none": None}


def test_nothing_is_readable_on_the_disk(world: World) -> None:
    world.write(3)
    for path in world.folder.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes()
            assert b"act." not in path.read_bytes()
            assert path.stat().st_mode & 0o077 == 0 or path.name == "lock"


def test_two_writers_are_refused(world: World) -> None:
    log = world.open()
    with pytest.raises(AuditError, match="in use"):
        world.open()
    log.close()


def test_an_event_that_cannot_be_recorded_is_refused_alone(world: World) -> None:
    log = world.open()
    with pytest.raises(AuditError, match="too large"):
        log.append(AuditEvent("t", "a", result="x" * 2_000_000))
    with pytest.raises(AuditError, match="cannot be recorded"):
        log.append(AuditEvent("t", "a", detail={"n": float("nan")}))
    log.append(AuditEvent("t", "after"))
    log.close()
    assert world.verify().events == 1


def test_threads_share_the_log(world: World) -> None:
    log = world.open()
    seen: list[int] = []

    def work() -> None:
        seen.extend(log.append(AuditEvent("t", "a")) for _ in range(30))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    report = world.verify()
    assert (report.problems, report.events) == ((), 180)
    assert sorted(seen) == list(range(1, 181))
    assert report.checkpoints <= 182


WRITER = """
import os, sys, threading
from pathlib import Path
from hivekeep.audit import AuditEvent, AuditLog
from hivekeep.audit import log as log_module
from hivekeep.secrets import Passphrase, open_key_store
log_module.SEGMENT_BYTES = 8_000
read, write = os.pipe()
os.write(write, b"long enough passphrase"); os.close(write)
folder = Path(sys.argv[1])
keys = open_key_store(folder, profile_id="x", passphrase=Passphrase(read), backend="file")
log = AuditLog.open(folder / "audit", keys)
def work(name):
    for number in range(100_000):
        at = log.append(AuditEvent(name, "act", subject=str(number)))
        os.write(1, f"{at} {name} {number}\\n".encode())
        if number % 7 == 3 and name == "a":
            log.evolve()
for name in "ab":
    threading.Thread(target=work, args=(name,)).start()
"""


def opened_keys(folder: Path) -> KeyStore:
    read_end, write_end = os.pipe()
    os.write(write_end, b"long enough passphrase")
    os.close(write_end)
    return open_key_store(folder, profile_id="x", passphrase=Passphrase(read_end), backend="file")


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_loses_nothing_acknowledged_and_is_no_tampering(seed: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(random.Random(seed).randrange(5, 80))]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    keys = opened_keys(tmp_path)
    log = AuditLog.open(tmp_path / "audit", keys)
    log.append(AuditEvent("test", "after"))
    log.close()
    report = verify(tmp_path / "audit", keys)
    assert report.problems == ()
    kept = {r.sequence: (r.actor, r.subject) for r in records(tmp_path / "audit", keys)}
    acknowledged = [line.split() for line in lines if line.endswith("\n")]
    assert acknowledged
    for number, name, subject in acknowledged:
        assert kept[int(number)] == (name, subject)


def test_a_full_disk_blocks_until_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = world.open()
    log.append(AuditEvent("test", "before"))

    def full(segment: OpenSegment, data: bytes) -> None:
        with segment.path.open("r+b") as file:
            file.seek(segment.size)
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(OpenSegment, "_write", full)
    for _ in range(2):
        with pytest.raises(AuditError, match="cannot be written"):
            log.append(AuditEvent("test", "lost"))
        assert log.state.state == "blocked"
        assert "No space left" in log.state.why
    monkeypatch.undo()
    log.append(AuditEvent("test", "after"))
    assert log.state.state == "ok"
    log.close()
    assert world.verify().problems == ()
    assert [r.action for r in records(world.folder, world.keys)] == ["before", "after"]


def test_a_sync_that_failed_closes_the_log_until_a_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = world.open()
    log.append(AuditEvent("test", "before"))

    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("hivekeep.audit.files.os.fdatasync", broken)
    with pytest.raises(AuditError):
        log.append(AuditEvent("test", "unknown"))
    monkeypatch.undo()
    with pytest.raises(AuditError, match="no more records"):
        log.append(AuditEvent("test", "never"))
    assert log.state.state == "failed"
    log.close()
    world.write(1)
    assert world.verify().problems == ()


def test_what_is_extended_ahead_is_no_damage(world: World, tmp_path: Path) -> None:
    log = world.open()
    log.append(AuditEvent("test", "before"))
    running = world.copy(tmp_path / "killed")
    log.close()
    data = running.segments[0].read_bytes()
    assert len(data) > 100_000
    assert (running.verify().problems, running.verify().remarks) == ((), ())
    running.write(1)
    assert running.verify().problems == ()
    assert [r.action for r in records(running.folder, running.keys)] == ["before", "act.0"]
    assert len(running.segments[0].read_bytes()) < 5_000


@pytest.mark.parametrize("left", [4, 5, 50, 200])
def test_a_torn_end_is_kept_aside_and_recorded(left: int, world: World) -> None:
    world.write(3)
    longer = world.copy(world.folder.parent / "longer")
    longer.write(1, start=3)
    before, after = (w.segments[0].read_bytes() for w in (world, longer))
    torn = after[len(before) : len(before) + left]
    world.segments[0].write_bytes(before + torn)
    report = world.verify()
    assert report.problems == ()
    assert "never acknowledged" in "".join(report.remarks)
    world.write(1, start=9)
    report = world.verify()
    assert (report.problems, report.remarks) == ((), ())
    found = records(world.folder, world.keys)
    assert found[3].action == "audit.torn_record"
    assert (world.folder / found[3].subject).read_bytes() == torn
    assert found[4].detail == {"n": 9}


@pytest.mark.parametrize("kept", ["old", "new"])
def test_a_kill_between_key_store_and_log_leaves_a_usable_signing_key(
    kept: str, world: World
) -> None:
    world.write(2)
    log = world.open()
    log._signer.prepare()
    prepared = dict(world.memory.table)
    if kept == "new":
        log.evolve()
    log.close()
    if kept == "old":
        world.memory.table = prepared
    world.write(1)
    assert world.verify().problems == ()


def test_the_keeper_anchors_and_evolves_by_itself_and_then_sleeps(world: World) -> None:
    from hivekeep.audit import AuditSettings

    log = world.open(AuditSettings(epoch_seconds=0.05, anchor_seconds=0.01))
    log.append(AuditEvent("t", "a"))
    deadline = threading.Event()
    for _ in range(1_200):
        if log.state.epoch == 1:
            break
        deadline.wait(0.05)
    deadline.wait(0.3)
    assert log.state.epoch == 1
    log.close()
    assert world.verify().problems == ()


@pytest.mark.parametrize("size", [1, 2_900, 3_300, 4_096, 70_000, 300_000])
def test_records_of_any_size_are_written_around_the_cache_or_through_it(
    size: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for direct in (True, False, True):
        with monkeypatch.context() as patch:
            if not direct:
                patch.setattr("hivekeep.audit.files.open_direct", lambda _path: None)
            log = world.open()
            for number in range(5):
                log.append(AuditEvent("test", "act", subject="x" * (size + number)))
            log.close()
    assert world.verify().problems == ()
    found = records(world.folder, world.keys)
    assert [len(r.subject) - size for r in found] == [0, 1, 2, 3, 4] * 3


def test_a_file_system_that_refuses_direct_writes_gets_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_end: DirectEnd, _data: bytes, _offset: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(DirectEnd, "write", refuse)
    world.write(4)
    monkeypatch.undo()
    world.write(2, 4)
    assert world.verify().problems == ()
    assert [r.detail["n"] for r in records(world.folder, world.keys)] == list(range(6))


def test_nobody_is_told_that_a_record_is_kept_when_writing_broke_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = world.open()
    together = threading.Barrier(3)
    said: list[BaseException | int] = []

    def work() -> None:
        together.wait()
        try:
            said.append(log.append(AuditEvent("test", "act")))
        except (AuditError, MemoryError) as error:
            said.append(error)

    def broken(*_arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(OpenSegment, "_write", broken)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 3
    assert not [one for one in said if isinstance(one, int)]
    monkeypatch.undo()
    log.append(AuditEvent("test", "after"))
    log.close()
    assert world.verify().problems == ()
    assert [r.action for r in records(world.folder, world.keys)] == ["after"]
