"""The event log of one profile behind one writer thread.

Responsible for durability and order; not for meaning.  Appends from many tasks that arrive while a
commit is under way share the next one (group commit), so 300 agents cost far fewer than 300 syncs.
Invariant: events are numbered in the order in which they became durable, and a batch handed to one
``append`` is either wholly there or not at all.
"""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hivekeep.domain.errors import JournalError
from hivekeep.journal import tables
from hivekeep.journal.database import DatabaseError, connect, damaged, unwritten
from hivekeep.journal.records import Event, NewEvent
from hivekeep.journal.schema import prepare
from hivekeep.journal.sealing import seal

logger = logging.getLogger(__name__)

_READ_AT_ONCE = 2_000
_VACUUM_PAGES = 2_000


@dataclass(slots=True)
class _Append:
    """A batch and who waits for it: a thread, or a task of ``loop``."""

    events: Sequence[NewEvent]
    blobs: Sequence[bytes]
    done: Future[list[Event]] | asyncio.Future[list[Event]]
    loop: asyncio.AbstractEventLoop | None = None


@dataclass(slots=True)
class _Removal:
    """Runs to be forgotten, or only the blobs that nothing but they need."""

    runs: Sequence[str]
    only_blobs: bool
    done: Future[int]


@dataclass(frozen=True, slots=True)
class _Compaction:
    """One portion of giving unused pages back; it comes again until there are none."""


_Told = tuple[Future[list[Event]] | asyncio.Future[list[Event]], list[Event] | Exception]


def _tell(waiting: Sequence[_Told]) -> None:
    for done, told in waiting:
        if done.cancelled():
            continue
        if isinstance(told, Exception):
            done.set_exception(told)
        else:
            done.set_result(told)


class Journal:
    """The event log of one profile; open it once per process and close it.

    :param path: the database file; its folder must exist. A plain one of an earlier version is
        encrypted first.
    :param key: what ``journal_key`` gave.
    :param clock: wall-clock seconds since the epoch, passed in so that runs can be replayed.
    :raises JournalError: if the file is damaged or was written by a newer version.
    """

    def __init__(self, path: Path, *, key: bytes, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._queue: queue.SimpleQueue[_Append | _Removal | _Compaction | None] = (
            queue.SimpleQueue()
        )
        self._read_lock = threading.Lock()
        self._closed = False
        self._times: dict[str, float] = {}
        seal(path, key)
        try:
            self._writer = connect(path, key)
            prepare(self._writer, path)
            self._next = tables.last_number(self._writer) + 1
            self._reader = connect(path, key)
        except DatabaseError as error:
            raise damaged(path, error) from error
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
        return await self.hand_over(events, blobs=blobs)

    def hand_over(
        self, events: Sequence[NewEvent], *, blobs: Sequence[bytes] = ()
    ) -> asyncio.Future[list[Event]]:
        """``append`` that the caller awaits later, so that he can do something else meanwhile.

        What was handed over first is durable first.

        :raises JournalError: if the journal is closed; all else is raised by the future.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Event]] = loop.create_future()
        self._hand_over(_Append(events, blobs, done, loop))
        return done

    def append_now(self, events: Sequence[NewEvent], *, blobs: Sequence[bytes] = ()) -> list[Event]:
        """``append`` for code that is not async; blocks until durable."""
        done: Future[list[Event]] = Future()
        self._hand_over(_Append(events, blobs, done))
        return done.result()

    def events(self, run: str | None = None, *, kinds: Sequence[str] = ()) -> Iterator[Event]:
        """The durable events in order, of one run and of some kinds if asked.

        :raises JournalError: if a page of the file is damaged.
        """
        clauses, arguments = ["seq > ?"], list[str]()
        if run is not None:
            clauses.append("run = ?")
            arguments.append(run)
        if kinds:
            clauses.append(f"kind IN ({', '.join('?' * len(kinds))})")
            arguments.extend(kinds)
        query = (
            "SELECT seq, run, agent, kind, at, payload FROM events "  # noqa: S608
            f"WHERE {' AND '.join(clauses)} ORDER BY seq LIMIT {_READ_AT_ONCE}"
        )
        after = 0
        while rows := self._read(query, (after, *arguments)):
            for seq, run_id, agent, kind, at, text in rows:
                try:
                    payload = json.loads(text)
                except ValueError as error:
                    # A damaged page that a long event continues on is read as zeros.
                    raise damaged(self._path, error) from error
                yield Event(seq, run_id, agent, kind, at, payload)
            after = rows[-1][0]

    def blob(self, sha256: str) -> bytes:
        """The content stored under ``sha256`` (hex).

        :raises JournalError: if it is not there or does not match its name.
        """
        rows = self._read("SELECT data FROM blobs WHERE sha256 = ?", (sha256,))
        data = tables.content(sha256, rows[0][0]) if rows else None
        if data is None:
            raise JournalError(
                "A stored intermediate result is missing or was changed.",
                why=f"Blob {sha256[:12]} does not match its name.",
                next_step="Start the run's documents again with 'hivekeep run'.",
            )
        return data

    def forget(self, runs: Sequence[str], *, only_blobs: bool = False) -> int:
        """Remove runs for good and give their room back; how many rows went.

        :param only_blobs: keep the events; remove the content that no other run needs.
        :raises StorageError: if the disk is read-only; nothing is removed then.
        """
        done: Future[int] = Future()
        self._hand_over(_Removal(tuple(runs), only_blobs, done))
        return done.result()

    def check(self) -> list[str]:
        """What is wrong with the file: damaged pages, indexes that disagree; empty when sound."""
        try:
            with self._read_lock:
                found = self._reader.execute("PRAGMA cipher_integrity_check").fetchall()
                found += self._reader.execute("PRAGMA integrity_check(20)").fetchall()
        except DatabaseError as error:
            return [str(error)]
        return [str(row[0]) for row in found if row[0] != "ok"]

    def _read(self, query: str, arguments: Sequence[object]) -> list[Any]:
        try:
            with self._read_lock:
                rows: list[Any] = self._reader.execute(query, arguments).fetchall()
        except DatabaseError as error:
            raise damaged(self._path, error) from error
        return rows

    def _hand_over(self, item: _Append | _Removal) -> None:
        if self._closed:
            raise JournalError("The journal is closed.", why="The daemon is stopping.")
        self._queue.put(item)

    def _write_loop(self) -> None:
        stop = False
        while not stop:
            batch: list[_Append] = []
            item = self._queue.get()
            while isinstance(item, _Append):
                batch.append(item)
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._commit(batch)
            if isinstance(item, _Removal):
                self._remove(item)
            elif isinstance(item, _Compaction):
                self._compact()
            stop = item is None

    def _commit(self, batch: Sequence[_Append]) -> None:
        first = self._next
        outcome: Sequence[list[Event]] | Exception
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            outcome = self._insert(batch)
            self._writer.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - handed to every waiter, never swallowed
            self._next = first
            self._undo()
            outcome = unwritten(self._path, error)
        # Told all at once: to wake a loop costs more than the rest of an append.
        by_loop: dict[asyncio.AbstractEventLoop | None, list[_Told]] = {}
        for place, item in enumerate(batch):
            told = outcome if isinstance(outcome, Exception) else outcome[place]
            by_loop.setdefault(item.loop, []).append((item.done, told))
        for loop, told_all in by_loop.items():
            if loop is None:
                _tell(told_all)
                continue
            # A loop that has been closed meanwhile has nobody left who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_tell, told_all)

    def _insert(self, batch: Sequence[_Append]) -> list[list[Event]]:
        results = []
        for item in batch:
            if item.blobs:
                tables.insert_blobs(self._writer, item.blobs, {e.run for e in item.events})
            numbered = []
            for new in item.events:
                at = self._time(new.run)
                numbered.append(Event(self._next, new.run, new.agent, new.kind, at, new.payload))
                self._next += 1
            results.append(numbered)
        tables.insert_events(self._writer, chain.from_iterable(results))
        return results

    def _time(self, run: str) -> float:
        last = self._times.get(run)
        if last is None:
            last = tables.last_time(self._writer, run)
        at = self._times[run] = max(self._clock(), last)
        return at

    def _remove(self, item: _Removal) -> None:
        item.done.set_running_or_notify_cancel()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            removed = tables.delete_runs(self._writer, item.runs, only_blobs=item.only_blobs)
            self._writer.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - handed to the waiter, never swallowed
            self._undo()
            item.done.set_exception(unwritten(self._path, error))
        else:
            for run in item.runs:
                self._times.pop(run, None)
            item.done.set_result(removed)
            self._queue.put(_Compaction())

    def _compact(self) -> None:
        # In portions, so that appends do not wait behind the whole file.
        try:
            before = tables.unused_pages(self._writer)
            self._writer.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
            if 0 < tables.unused_pages(self._writer) < before:
                self._queue.put(_Compaction())
        except DatabaseError as error:
            logger.warning("the journal keeps its unused pages for now: %s", error)

    def _undo(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
