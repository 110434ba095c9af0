"""SQLite (WAL) storage of events and blobs behind one writer thread.

Responsible for durability and order; not for meaning.  Appends from many tasks that arrive while a
commit is under way share the next one (group commit), so 300 agents cost far fewer than 300 syncs.
Invariant: events are numbered in the order in which they became durable, and a batch handed to one
``append`` is either wholly there or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import queue
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hivekeep.domain.errors import JournalError, StorageError

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    run     TEXT NOT NULL,
    agent   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    at      REAL NOT NULL,
    payload TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_run ON events (run, seq);
CREATE INDEX IF NOT EXISTS events_by_kind ON events (kind, seq);
CREATE TABLE IF NOT EXISTS blobs (
    sha256 TEXT PRIMARY KEY,
    data   BLOB NOT NULL
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be appended. ``payload`` is JSON-safe data; ``agent`` is empty for the run."""

    run: str
    kind: str
    payload: dict[str, Any]
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A durable event. ``at`` is wall-clock time in seconds since the epoch."""

    seq: int
    run: str
    agent: str
    kind: str
    at: float
    payload: dict[str, Any]


@dataclass(slots=True)
class _Append:
    events: Sequence[NewEvent]
    blobs: Sequence[bytes]
    done: Future[list[Event]]


class Journal:
    """The event log of one profile; open it once per process and close it.

    :param path: the database file; its folder must exist.
    :param clock: wall-clock seconds since the epoch, passed in so that runs can be replayed.
    :raises JournalError: if the file is damaged or was written by a newer version.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._queue: queue.SimpleQueue[_Append | None] = queue.SimpleQueue()
        self._read_lock = threading.Lock()
        self._closed = False
        try:
            self._writer = self._connect()
            self._prepare(self._writer)
            self._reader = self._connect()
        except sqlite3.DatabaseError as error:
            raise _damaged(path, error) from error
        self._thread = threading.Thread(target=self._write_loop, name="journal", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for what was handed over to become durable, then close the file."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        with self._read_lock:
            self._reader.close()
        self._writer.close()

    async def append(
        self, events: Sequence[NewEvent], *, blobs: Sequence[bytes] = ()
    ) -> list[Event]:
        """Make ``events`` and ``blobs`` durable together and return the events as numbered.

        :raises StorageError: if the disk is full or read-only; nothing of the batch is kept.
        """
        return await asyncio.wrap_future(self._submit(events, blobs))

    def append_now(self, events: Sequence[NewEvent], *, blobs: Sequence[bytes] = ()) -> list[Event]:
        """``append`` for code that is not async; blocks until durable."""
        return self._submit(events, blobs).result()

    def events(self, run: str | None = None, *, kinds: Sequence[str] = ()) -> Iterator[Event]:
        """The durable events in order, of one run and of some kinds if asked.

        :raises JournalError: if a page of the file is damaged.
        """
        clauses, arguments = [], list[str]()
        if run is not None:
            clauses.append("run = ?")
            arguments.append(run)
        if kinds:
            clauses.append(f"kind IN ({', '.join('?' * len(kinds))})")
            arguments.extend(kinds)
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        query = f"SELECT seq, run, agent, kind, at, payload FROM events {where} ORDER BY seq"  # noqa: S608
        try:
            with self._read_lock:
                rows = self._reader.execute(query, arguments).fetchall()
        except sqlite3.DatabaseError as error:
            raise _damaged(self._path, error) from error
        for seq, run_id, agent, kind, at, payload in rows:
            yield Event(seq, run_id, agent, kind, at, json.loads(payload))

    def blob(self, sha256: str) -> bytes:
        """The content stored under ``sha256`` (hex).

        :raises JournalError: if it is not there or does not match its name.
        """
        try:
            with self._read_lock:
                row = self._reader.execute(
                    "SELECT data FROM blobs WHERE sha256 = ?", (sha256,)
                ).fetchone()
        except sqlite3.DatabaseError as error:
            raise _damaged(self._path, error) from error
        data = zlib.decompress(row[0]) if row else b""
        if not row or hashlib.sha256(data).hexdigest() != sha256:
            raise JournalError(
                "A stored intermediate result is missing or was changed.",
                why=f"Blob {sha256[:12]} does not match its name.",
                next_step="Start the run's documents again with 'hivekeep run'.",
            )
        return data

    def check(self) -> list[str]:
        """What SQLite's own integrity check finds; empty when the file is sound."""
        try:
            with self._read_lock:
                rows = self._reader.execute("PRAGMA quick_check").fetchall()
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [str(row[0]) for row in rows if row[0] != "ok"]

    def _submit(self, events: Sequence[NewEvent], blobs: Sequence[bytes]) -> Future[list[Event]]:
        if self._closed:
            raise JournalError("The journal is closed.", why="The daemon is stopping.")
        done: Future[list[Event]] = Future()
        self._queue.put(_Append(events, blobs, done))
        return done

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL, not NORMAL: in WAL mode NORMAL may lose the last commits on a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA busy_timeout = 5000")
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise JournalError(
                "The journal was written by a newer version of Hivekeep.",
                why=f"{self._path} has schema {version}, this program knows {SCHEMA_VERSION}.",
                next_step="Install the newer version again, or use another profile.",
            )
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _write_loop(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            batch, stop = self._drain(first)
            self._commit(batch)
            if stop:
                return

    def _drain(self, first: _Append) -> tuple[list[_Append], bool]:
        batch = [first]
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
            if item is None:
                return batch, True
            batch.append(item)

    def _commit(self, batch: Sequence[_Append]) -> None:
        results: list[list[Event]] = []
        # Once running, a future can no longer be cancelled; what was handed over is written anyway.
        waiting = [item.done.set_running_or_notify_cancel() for item in batch]
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            results = [self._insert(item) for item in batch]
            self._writer.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - handed to every waiter, never swallowed
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            failure = _write_failure(self._path, error)
            for item, listens in zip(batch, waiting, strict=True):
                if listens:
                    item.done.set_exception(failure)
            return
        for item, events, listens in zip(batch, results, waiting, strict=True):
            if listens:
                item.done.set_result(events)

    def _insert(self, item: _Append) -> list[Event]:
        for data in item.blobs:
            self._writer.execute(
                "INSERT OR IGNORE INTO blobs (sha256, data) VALUES (?, ?)",
                (hashlib.sha256(data).hexdigest(), zlib.compress(data, 3)),
            )
        stored = []
        for event in item.events:
            at = self._clock()
            # ASCII escapes keep file names that are not valid UTF-8 (lone surrogates) intact.
            payload = json.dumps(event.payload, separators=(",", ":"))
            cursor = self._writer.execute(
                "INSERT INTO events (run, agent, kind, at, payload) VALUES (?, ?, ?, ?, ?)",
                (event.run, event.agent, event.kind, at, payload),
            )
            seq = cursor.lastrowid or 0
            stored.append(Event(seq, event.run, event.agent, event.kind, at, event.payload))
        return stored


def _damaged(path: Path, error: sqlite3.DatabaseError) -> JournalError:
    return JournalError(
        "The journal cannot be read.",
        why=f"{path}: {error}.",
        next_step="Run 'hivekeep doctor'. Your documents and results are not affected.",
    )


def _write_failure(path: Path, error: Exception) -> Exception:
    if isinstance(error, sqlite3.OperationalError):
        return StorageError(
            "The journal could not be written, so nothing further is done.",
            why=f"{path}: {error}.",
            next_step="Free some disk space; the run then goes on with 'hivekeep runs resume'.",
        )
    if isinstance(error, sqlite3.DatabaseError):
        return _damaged(path, error)
    return error
