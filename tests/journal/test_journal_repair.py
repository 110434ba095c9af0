"""Damaged journals: a clear error, and everything that can still be read is saved."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from tests.journal.released import RELEASED, rows

from hivekeep.domain.errors import JournalError
from hivekeep.journal import KEY_BYTES, Journal, NewEvent, examine, repair
from hivekeep.journal.database import connect

KEY = bytes(range(KEY_BYTES))
PAGE = 4096
RUNS = 5
EVENTS = 150


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed journal of five runs whose events are of all sizes, with content."""
    path = tmp_path_factory.mktemp("sound") / "journal.db"
    chance = random.Random(7)
    with Journal(path, key=KEY, clock=time.time) as journal:
        for number in range(EVENTS):
            fill = "x" * chance.choice((10, 200, 900, 9000 if number % 50 == 0 else 50))
            content = chance.randbytes(chance.choice((100, 6000)))
            payload = {"number": number, "fill": fill, "result": {}}
            if number % 5 == 0:
                payload["result"] = {"document": hashlib.sha256(content).hexdigest()}
            event = NewEvent(f"r{number % RUNS}", "step.done", payload, f"a{number % 20}")
            journal.append_now([event], blobs=(content,) if number % 5 == 0 else ())
    return path


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "journal.db"))


def flip(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE + 1234)
        byte = file.read(1)[0]
        file.seek(page * PAGE + 1234)
        file.write(bytes([byte ^ 1]))


def everything(path: Path) -> dict[int, tuple[str, str, str, str]]:
    with Journal(path, key=KEY, clock=time.time) as journal:
        return {e.seq: (e.run, e.agent, e.kind, repr(e.payload)) for e in journal.events()}


def pages(path: Path) -> int:
    return path.stat().st_size // PAGE


def test_any_flipped_page_is_noticed_and_the_rest_saved(sound: Path, tmp_path: Path) -> None:
    before = everything(sound)
    lossless = 0
    for page in [*range(12), *range(12, pages(sound), 4)]:
        folder = tmp_path / str(page)
        folder.mkdir()
        path = Path(shutil.copy(sound, folder / "journal.db"))
        flip(path, page)
        as_damaged = path.read_bytes()
        assert examine(path, KEY)
        result = repair(path, KEY, suffix="now")
        assert result.kept_file is not None
        assert result.kept_file.read_bytes() == as_damaged
        assert examine(path, KEY) == []
        after = everything(path)
        assert after.items() <= before.items()
        lost = before.keys() - after.keys()
        # Nothing is lost unsaid: each missing event's run is named, and few are missing.
        assert {before[seq][0] for seq in lost} <= set(result.affected)
        assert len(lost) == result.lost_events + result.lost_blobs
        # One page holds so many events, unless it is the one that leads to all of them.
        assert result.lost_events < 60 or page < 8
        lossless += not lost
        with Journal(path, key=KEY, clock=time.time) as journal:
            (event,) = journal.append_now([NewEvent("r", "k", {})])
            assert event.seq == EVENTS + 1
        shutil.rmtree(folder)
    # Indexes, free pages, the map of pages and the first page can all be made anew.
    assert lossless >= 4


def test_a_damaged_first_page_costs_nothing(path: Path) -> None:
    before = everything(path)
    with path.open("r+b") as file:
        file.write(bytes(PAGE))
    with pytest.raises(JournalError, match="--repair"):
        Journal(path, key=KEY, clock=time.time)
    result = repair(path, KEY, suffix="now")
    assert (result.lost_events, result.lost_blobs, result.affected) == (0, 0, ())
    assert everything(path) == before


@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
def test_a_truncated_file_gives_back_what_is_left(path: Path, share: float) -> None:
    before = everything(path)
    size = int(path.stat().st_size * share)
    os.truncate(path, size)
    with pytest.raises(JournalError, match="--repair"):
        everything(path)
    result = repair(path, KEY, suffix="now")
    after = everything(path)
    assert after.items() <= before.items()
    assert after or share < 0.2
    lost = {before[seq][0] for seq in before.keys() - after.keys()}
    assert not after or lost <= set(result.affected)
    assert examine(path, KEY) == []


def test_an_index_that_disagrees_is_rebuilt_in_place(path: Path) -> None:
    before = everything(path)
    connection = connect(path, KEY)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("DELETE FROM sqlite_schema WHERE name = 'events_by_run'")
    connection.execute("PRAGMA writable_schema = RESET")
    connection.close()
    # Written without its index, as by a program that did not know of it.
    connection = connect(path, KEY)
    connection.execute("DELETE FROM events WHERE seq = 17")
    connection.execute("PRAGMA writable_schema = ON")
    root = 5
    connection.execute(
        "INSERT INTO sqlite_schema VALUES ('index', 'events_by_run', 'events', ?, "
        "'CREATE INDEX events_by_run ON events (run, seq)')",
        (root,),
    )
    connection.execute("PRAGMA writable_schema = RESET")
    connection.close()
    assert any("events_by_run" in problem for problem in examine(path, KEY))
    result = repair(path, KEY, suffix="now")
    assert result.problems
    assert result.kept_file is None
    assert examine(path, KEY) == []
    assert everything(path).keys() == before.keys() - {17}


def test_a_sound_journal_is_left_alone(path: Path) -> None:
    before = path.read_bytes()
    assert repair(path, KEY, suffix="now").problems == ()
    assert path.read_bytes() == before


def test_another_key_saves_nothing_and_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(JournalError, match="another key"):
        repair(path, bytes(KEY_BYTES), suffix="now")
    assert path.read_bytes() == before
    assert [name.name for name in path.parent.iterdir()] == ["journal.db"]


def test_a_damaged_plain_journal_is_saved_into_an_encrypted_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    RELEASED[1](path, KEY, rows(3, 400))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    with path.open("r+b") as file:
        file.seek(20 * PAGE)
        file.write(b"\xff" * PAGE)
    result = repair(path, KEY, suffix="now")
    assert result.events > 900
    assert not path.read_bytes().startswith(b"SQLite")
    assert examine(path, KEY) == []


def test_what_was_only_in_the_log_is_saved_too(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    RELEASED[2](path, KEY, rows())
    assert path.with_name("journal.db-wal").stat().st_size > 0
    connection = connect(path, KEY)
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    content, log = path.read_bytes(), path.with_name("journal.db-wal").read_bytes()
    connection.close()
    path.write_bytes(content)
    path.with_name("journal.db-wal").write_bytes(log)
    flip(path, 0)
    result = repair(path, KEY, suffix="now")
    assert result.events == len(rows())


def test_forgotten_runs_give_their_room_back(path: Path) -> None:
    size = path.stat().st_size
    with Journal(path, key=KEY, clock=time.time) as journal:
        assert journal.forget(["r0"], only_blobs=True) > 0
        assert len(list(journal.events("r0"))) == EVENTS // RUNS
        journal.forget(["r0", "r1", "r2", "r3"])
        assert {event.run for event in journal.events()} == {"r4"}
        (event,) = journal.append_now([NewEvent("r4", "k", {})])
        assert event.seq == EVENTS + 1
        assert journal.check() == []
    assert path.stat().st_size < size / 2
