"""The audit log finds whatever was done to it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hivekeep.audit import AuditEvent, AuditLog, records, verify
from hivekeep.audit import log as log_module
from hivekeep.domain.errors import AuditError
from hivekeep.secrets import KeyStore

SECRET = "the secret subject of an action"


class Memory:
    """A key store's backend in memory."""

    def __init__(self) -> None:
        self.table: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self.table.get(name)

    def put(self, name: str, value: bytes) -> None:
        self.table[name] = value

    def delete(self, name: str) -> None:
        self.table.pop(name, None)

    def describe(self) -> str:
        return "memory"


@pytest.fixture
def keys() -> KeyStore:
    return KeyStore(Memory())


def write(folder: Path, keys: KeyStore, count: int, start: int = 0) -> None:
    log = AuditLog.open(folder, keys)
    for number in range(start, start + count):
        log.append(AuditEvent("test", f"act.{number}", subject=SECRET, detail={"n": number}))
    log.close()


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("segment-*.audit"))


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "SEGMENT_BYTES", 2_000)


def test_records_come_back_and_verify(tmp_path: Path, keys: KeyStore) -> None:
    write(tmp_path, keys, 20)
    write(tmp_path, keys, 5, start=20)
    report = verify(tmp_path, keys)
    assert (report.ok, report.records) == (True, 25)
    found = list(records(tmp_path, keys, limit=100))
    assert [record.detail["n"] for record in found] == list(range(25))
    assert [record.sequence for record in found] == list(range(1, 26))
    assert found[0].subject == SECRET
    assert [r.sequence for r in records(tmp_path, keys, limit=3)] == [23, 24, 25]


def test_nothing_is_readable_on_the_disk(tmp_path: Path, keys: KeyStore) -> None:
    write(tmp_path, keys, 3)
    for path in tmp_path.iterdir():
        assert SECRET.encode() not in path.read_bytes()
        assert b"act." not in path.read_bytes()


@given(place=st.integers(0, 100_000), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_any_changed_bit_is_found(
    place: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keys = KeyStore(Memory())
    folder = tmp_path_factory.mktemp("log")
    write(folder, keys, 4)
    (path,) = segments(folder)
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    report = verify(folder, keys)
    assert not report.ok
    assert all(problem.segment for problem in report.problems)


@given(cut=st.integers(1, 2_000))
@settings(max_examples=40, deadline=None)
def test_a_shortened_log_is_found(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    keys = KeyStore(Memory())
    folder = tmp_path_factory.mktemp("log")
    write(folder, keys, 6)
    (path,) = segments(folder)
    content = path.read_bytes()
    path.write_bytes(content[: max(len(content) - cut, 0)])
    assert not verify(folder, keys).ok


def spans(path: Path) -> tuple[bytes, list[bytes]]:
    """The header and the raw records of a segment, found through the format module."""
    from hivekeep.audit import format as layout

    content = path.read_bytes()
    offset, found = layout.HEADER_SIZE, []
    while offset < len(content):
        sealed = layout.parse_record(content, offset)
        found.append(sealed.raw)
        offset += len(sealed.raw)
    return content[: layout.HEADER_SIZE], found


@pytest.mark.parametrize(
    "order", [[0, 1, 3, 4], [0, 2, 1, 3, 4], [0, 1, 1, 2, 3, 4], [1, 2, 3, 4], [0, 1, 2, 3]],
    ids=["removed", "swapped", "repeated", "first removed", "last removed"],
)  # fmt: skip
def test_removed_moved_and_repeated_records_are_named(
    order: list[int], tmp_path: Path, keys: KeyStore
) -> None:
    write(tmp_path, keys, 5)
    (path,) = segments(tmp_path)
    header, found = spans(path)
    path.write_bytes(header + b"".join(found[index] for index in order))
    report = verify(tmp_path, keys)
    assert not report.ok
    assert str(report.problems[0])


@pytest.mark.usefixtures("small_segments")
def test_missing_foreign_and_exchanged_segments_are_found(tmp_path: Path, keys: KeyStore) -> None:
    folder = tmp_path / "log"
    write(folder, keys, 40)
    assert len(segments(folder)) >= 3
    assert verify(folder, keys).ok
    for number in range(len(segments(folder))):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(folder, copy)
        if not spans(segments(copy)[number])[1]:
            continue  # begun, and holds no record yet
        segments(copy)[number].unlink()
        assert not verify(copy, keys).ok, number
    other_keys = KeyStore(Memory())
    write(tmp_path / "other", other_keys, 40)
    foreign = tmp_path / "foreign"
    shutil.copytree(folder, foreign)
    shutil.copyfile(segments(tmp_path / "other")[1], segments(foreign)[1])
    assert not verify(foreign, keys).ok
    exchanged = tmp_path / "exchanged"
    shutil.copytree(folder, exchanged)
    one, two = segments(exchanged)[:2]
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert not verify(exchanged, keys).ok


def test_a_folder_rolled_back_is_found_by_the_anchor(tmp_path: Path, keys: KeyStore) -> None:
    folder, old = tmp_path / "log", tmp_path / "old"
    write(folder, keys, 5)
    shutil.copytree(folder, old)
    write(folder, keys, 5, start=5)
    shutil.rmtree(folder)
    shutil.copytree(old, folder)
    assert not verify(folder, keys).ok
    with pytest.raises(AuditError):
        AuditLog.open(folder, keys)


def test_two_writers_are_refused(tmp_path: Path, keys: KeyStore) -> None:
    log = AuditLog.open(tmp_path, keys)
    with pytest.raises(AuditError, match="in use"):
        AuditLog.open(tmp_path, keys)
    log.close()


def test_threads_share_the_log(tmp_path: Path, keys: KeyStore) -> None:
    log = AuditLog.open(tmp_path, keys)
    threads = [
        threading.Thread(target=lambda: [log.append(AuditEvent("t", "a")) for _ in range(30)])
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    report = verify(tmp_path, keys)
    assert (report.ok, report.records) == (True, 180)


_WRITER = """
import sys
from pathlib import Path
from hivekeep.audit import AuditEvent, AuditLog
from hivekeep.secrets import Passphrase, open_key_store
import os
read, write = os.pipe()
os.write(write, b"long enough passphrase"); os.close(write)
folder = Path(sys.argv[1])
keys = open_key_store(folder, profile_id="x", passphrase=Passphrase(read), backend="file")
log = AuditLog.open(folder / "audit", keys)
for number in range(100_000):
    log.append(AuditEvent("test", "act", subject=str(number)))
    print(number, flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_is_not_taken_for_tampering(seed: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(random.Random(seed).randrange(5, 80)):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = sum(1 for _ in process.stdout)
    process.wait()
    from hivekeep.secrets import Passphrase, open_key_store

    read_end, write_end = os.pipe()
    os.write(write_end, b"long enough passphrase")
    os.close(write_end)
    keys = open_key_store(tmp_path, profile_id="x", passphrase=Passphrase(read_end), backend="file")
    log = AuditLog.open(tmp_path / "audit", keys)
    log.append(AuditEvent("test", "after"))
    log.close()
    report = verify(tmp_path / "audit", keys)
    assert report.ok, report.problems
    assert report.records > acknowledged


def test_a_record_that_cannot_be_written_closes_the_log(
    tmp_path: Path, keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog.open(tmp_path, keys)
    log.append(AuditEvent("test", "before"))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hivekeep.audit.log.os.fdatasync", full)
    with pytest.raises(AuditError):
        log.append(AuditEvent("test", "lost"))
    monkeypatch.undo()
    with pytest.raises(AuditError, match="no more records"):
        log.append(AuditEvent("test", "never"))
    log.close()
