"""The journal keeps what it has acknowledged, whatever happens to its process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hivekeep.domain.errors import JournalError
from hivekeep.domain.runs import Usage
from hivekeep.domain.values import DocumentResult, Evidence, FieldValue, RowsValue, ValueStatus
from hivekeep.journal import KEY_BYTES, Journal, NewEvent, decode, encode
from hivekeep.journal.database import connect

KEY = bytes(range(KEY_BYTES))

_WRITER = """
import sys, time
from pathlib import Path
from hivekeep.journal import KEY_BYTES, Journal, NewEvent
with Journal(Path(sys.argv[1]), key=bytes(range(KEY_BYTES)), clock=time.time) as journal:
    for number in range(100_000):
        event = NewEvent(run="r", kind="k", payload={"number": number})
        (kept,) = journal.append_now([event], blobs=(b"blob %d" % number,))
        print(kept.seq, number, flush=True)
"""


def new(number: int, run: str = "r") -> NewEvent:
    return NewEvent(run=run, kind="k", payload={"number": number})


def numbers(journal: Journal) -> list[int]:
    return [event.payload["number"] for event in journal.events()]


def test_events_come_back_in_order_and_by_run(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Journal(path, key=KEY, clock=lambda: 42.0) as journal:
        first = journal.append_now([new(1), new(2, "other")])
        second = journal.append_now([new(3)])
        assert [e.seq for e in (*first, *second)] == sorted(e.seq for e in (*first, *second))
        assert [e.payload["number"] for e in journal.events("r")] == [1, 3]
    with Journal(path, key=KEY, clock=time.time) as again:
        assert numbers(again) == [1, 2, 3]
        assert next(iter(again.events())).at == 42.0
        assert again.check() == []


def test_many_threads_share_commits_and_lose_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.db", key=KEY, clock=time.time) as journal:

        def write(start: int) -> None:
            for number in range(start, start + 50):
                journal.append_now([new(number)])

        threads = [threading.Thread(target=write, args=(n * 50,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers(journal)) == list(range(400))


def test_a_blob_is_kept_once_and_only_genuine(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    content = b"the same " * 1000
    with Journal(path, key=KEY, clock=time.time) as journal:
        for number in range(5):
            journal.append_now([new(number)], blobs=(content,))
        with pytest.raises(JournalError):
            journal.blob("00" * 32)
    database = connect(path, KEY)
    ((sha256, _),) = database.execute("SELECT sha256, data FROM blobs").fetchall()
    with Journal(path, key=KEY, clock=time.time) as journal:
        assert journal.blob(sha256) == content
    database.execute("UPDATE blobs SET data = ?", (b"x\x9c\x03\x00\x00\x00\x00\x01",))
    database.close()
    with (
        Journal(path, key=KEY, clock=time.time) as journal,
        pytest.raises(JournalError, match="changed"),
    ):
        journal.blob(sha256)


@pytest.mark.parametrize("seed", range(5))
def test_what_was_acknowledged_survives_a_kill(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    wanted = random.Random(seed).randrange(1, 120)
    acknowledged = [process.stdout.readline().split() for _ in range(wanted)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [line.split() for line in process.stdout if line.endswith("\n")]
    process.wait()
    with Journal(path, key=KEY, clock=time.time) as journal:
        kept = numbers(journal)
        assert kept == list(range(len(kept)))
        assert len(kept) >= len(acknowledged)
        assert journal.check() == []
        journal.append_now([new(-1)])


def test_a_damaged_or_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(b"this is not a database, whatever its name says" * 50)
    before = path.read_bytes()
    with pytest.raises(JournalError):
        Journal(path, key=KEY, clock=time.time)
    assert path.read_bytes() == before
    newer = tmp_path / "newer.db"
    Journal(newer, key=KEY, clock=time.time).close()
    database = connect(newer, KEY)
    database.execute("PRAGMA user_version = 999")
    database.close()
    with pytest.raises(JournalError, match="newer"):
        Journal(newer, key=KEY, clock=time.time)


def test_a_full_disk_is_an_error_and_keeps_what_was_there(tmp_path: Path) -> None:
    script = """
import resource, signal, sys, time
from pathlib import Path
from hivekeep.domain.errors import HivekeepError
from hivekeep.journal import KEY_BYTES, Journal, NewEvent
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal(Path(sys.argv[1]), key=bytes(range(KEY_BYTES)), clock=time.time) as journal:
    journal.append_now([NewEvent(run="r", kind="k", payload={"number": 0})])
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        for number in range(1, 1000):
            payload = {"number": number, "fill": "x" * 5000}
            journal.append_now([NewEvent(run="r", kind="k", payload=payload)])
            print(number, flush=True)
    except HivekeepError as error:
        print(type(error).__name__)
"""
    path = tmp_path / "j.db"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    lines = done.stdout.split()
    assert lines[-1] in ("StorageError", "JournalError"), done.stderr
    with Journal(path, key=KEY, clock=time.time) as journal:
        assert numbers(journal)[: len(lines)] == list(range(len(lines)))


scalars = st.one_of(st.none(), st.text(), st.integers(), st.booleans())
values = st.builds(
    FieldValue,
    name=st.text(),
    value=scalars,
    status=st.sampled_from(ValueStatus),
    evidence=st.lists(
        st.builds(
            Evidence, st.integers(), st.integers(), st.integers(), st.integers(), st.text(),
            st.text(),
        ),
        max_size=2,
    ).map(tuple),
    reason=st.text(),
)  # fmt: skip
rows = st.builds(
    RowsValue,
    name=st.text(),
    rows=st.lists(st.lists(values, max_size=2).map(tuple), max_size=2).map(tuple),
    status=st.sampled_from(ValueStatus),
)


@given(st.builds(DocumentResult, st.lists(st.one_of(values, rows), max_size=3).map(tuple)))
@settings(max_examples=100, deadline=None)
def test_results_survive_the_codec(result: DocumentResult) -> None:
    assert decode(DocumentResult, encode(result)) == result


@dataclass(frozen=True)
class Other:
    """A type that stored data does not fit."""

    number: int


def test_data_that_does_not_fit_its_type_is_an_error() -> None:
    with pytest.raises(JournalError, match="number"):
        decode(Other, {"number": "many"})
    assert decode(Usage, encode(Usage(1, 2, 3))) == Usage(1, 2, 3)
