"""Journals of every released version are taken over whole, encrypted, and never lost on the way."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.journal.released import BLOB, DIGEST, RELEASED, rows

from hivekeep.domain.errors import JournalError
from hivekeep.journal import KEY_BYTES, Journal, NewEvent, journal_key, sealing
from hivekeep.journal.database import connect
from hivekeep.journal.schema import SCHEMA_VERSION

KEY = bytes(range(KEY_BYTES))


class Keys(dict[str, bytes]):
    """A key store in memory."""

    def put(self, name: str, value: bytes) -> None:
        """Keep it."""
        self[name] = value


def contents(path: Path) -> list[tuple[str, str, str, float, object]]:
    with Journal(path, key=KEY, clock=time.time) as journal:
        assert journal.blob(DIGEST) == BLOB
        assert journal.check() == []
        return [(e.run, e.agent, e.kind, e.at, e.payload) for e in journal.events()]


def schema(path: Path) -> list[tuple[object, ...]]:
    connection = connect(path, KEY)
    try:
        return [
            tuple(row)
            for row in connection.execute("SELECT name, rootpage FROM sqlite_schema ORDER BY name")
        ]
    finally:
        connection.close()


def test_every_version_has_a_generator() -> None:
    assert sorted(RELEASED) == list(range(1, SCHEMA_VERSION + 1))


@pytest.mark.parametrize("version", RELEASED)
def test_a_released_journal_is_taken_over(version: int, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    RELEASED[version](path, KEY, rows())
    assert contents(path) == [(r.run, r.agent, r.kind, r.at, r.payload) for r in rows()]
    assert contents(path) == contents(path)
    assert not path.read_bytes().startswith(b"SQLite format 3")
    assert [name.name for name in tmp_path.iterdir()] == ["journal.db"]
    assert b"run.created" not in path.read_bytes()
    new = tmp_path / "new.db"
    Journal(new, key=KEY, clock=time.time).close()
    assert schema(path) == schema(new)
    with Journal(path, key=KEY, clock=time.time) as journal:
        (event,) = journal.append_now([NewEvent("r9", "k", {})])
        assert event.seq == len(rows()) + 1
        # Who uses the content was worked out from the events: it goes with the last of them.
        journal.forget(["r0", "r1"])
        assert journal.blob(DIGEST) == BLOB
        journal.forget(["r2"])
        with pytest.raises(JournalError):
            journal.blob(DIGEST)


def take_over_until(path: Path, left: int) -> int:
    """Open ``path`` in a child that is killed before the change number ``left``; its status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return function(*arguments, **more)

        return call

    for owner, name in (
        (sealing, "_copy"), (sealing, "_digest_sealed"), (sealing, "_digest_plain"),
        (sealing, "_remove"), (sealing, "_sync"), (sealing, "prepare"),
        (Path, "rename"), (Path, "unlink"),
    ):  # fmt: skip
        setattr(owner, name, counted(getattr(owner, name)))
    try:
        sealing.seal(path, KEY)
    finally:
        os._exit(0)


def test_a_kill_at_any_point_of_the_take_over_loses_nothing(tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    RELEASED[1](start / "journal.db", KEY, rows())
    wanted = [(r.run, r.agent, r.kind, r.at, r.payload) for r in rows()]
    killed = 0
    while True:
        folder = tmp_path / str(killed)
        shutil.copytree(start, folder)
        status = take_over_until(folder / "journal.db", killed)
        assert contents(folder / "journal.db") == wanted
        assert [name.name for name in folder.iterdir()] == ["journal.db"]
        if status == 0:
            break
        assert status == -signal.SIGKILL
        killed += 1
    assert killed > 10


def test_a_damaged_plain_journal_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    RELEASED[1](path, KEY, rows(3, 400))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    damaged = bytearray(path.read_bytes())
    damaged[5 * 4096 : 5 * 4096 + 100] = b"\xff" * 100
    path.write_bytes(damaged)
    with pytest.raises(JournalError, match="earlier version"):
        Journal(path, key=KEY, clock=time.time)
    assert path.read_bytes() == bytes(damaged)


def test_the_key_is_made_once_and_missed_when_it_is_gone(tmp_path: Path) -> None:
    path, keys = tmp_path / "journal.db", Keys()
    key = journal_key(keys, path)
    assert len(key) == KEY_BYTES
    Journal(path, key=key, clock=time.time).close()
    assert journal_key(keys, path) == key
    keys.clear()
    with pytest.raises(JournalError, match="key is missing"):
        journal_key(keys, path)
    assert keys == {}
    with pytest.raises(JournalError, match="another key"):
        Journal(path, key=bytes(KEY_BYTES), clock=time.time)
