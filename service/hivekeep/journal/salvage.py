"""What can still be read of a damaged journal, moved into a new one.

Responsible for finding every readable event and blob, for building the new file, and for saying
which runs lost something; what that means for a run is the swarm's to judge.  Invariant: the
damaged file is never written to; it is renamed only when the new one is complete and checked.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hivekeep.domain.errors import JournalError
from hivekeep.journal.database import Connection, DatabaseError, connect, is_plain
from hivekeep.journal.schema import FIRST_ENCRYPTED, SCHEMA_VERSION, prepare
from hivekeep.journal.sealing import note_blob_uses, referenced
from hivekeep.journal.tables import content

_AT_ONCE = 256
_SMALLEST_EVENT = 20
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did. ``kept_file`` is where the damaged file lies now, if it was replaced."""

    problems: tuple[str, ...]
    events: int = 0
    lost_events: int = 0
    lost_blobs: int = 0
    affected: tuple[str, ...] = ()
    kept_file: Path | None = None


def repair(path: Path, key: bytes, *, suffix: str) -> Repair:
    """Make the journal at ``path`` sound; nothing is done to one that is.

    Indexes that disagree with their table are rebuilt in place. If pages are damaged or missing,
    all that can be read goes into a new file and the old one is kept under ``suffix``.

    :raises JournalError: if not one page can be read under this key.
    """
    problems = examine(path, key)
    if not problems:
        return Repair(())
    if all(" index " in f"{problem} " for problem in problems) and _reindex(path, key):
        return Repair(tuple(problems))
    new = path.with_name(f"{path.name}.salvaged")
    _remove(new)
    source = _Source(path, key)
    try:
        result = _Salvage(source, new, key).run(problems)
    finally:
        source.close()
    if remaining := examine(new, key):
        raise JournalError("The repaired journal is not sound.", why=f"{new}: {remaining[0]}.")
    kept = path.with_name(f"{path.name}.damaged-{suffix}")
    for end in ("-wal", "-shm"):
        side = path.with_name(path.name + end)
        if side.exists():
            side.rename(kept.with_name(kept.name + end))
    path.rename(kept)
    new.rename(path)
    return Repair(**{**result, "kept_file": kept})


def examine(path: Path, key: bytes) -> list[str]:
    """Every problem of the file at ``path``, in SQLite's words; empty when it is sound."""
    found: list[str] = []
    plain = is_plain(path)
    questions = ("PRAGMA cipher_integrity_check", "PRAGMA integrity_check(20)")
    for question in questions[1:] if plain else questions:
        # Each on its own connection: SQLCipher's stays unusable after its first bad page.
        try:
            connection = connect(path, b"" if plain else key)
        except DatabaseError as error:
            return [str(error)]
        try:
            found += [str(row[0]) for row in connection.execute(question) if row[0] != "ok"]
        except DatabaseError as error:
            found.append(str(error))
        finally:
            connection.close()
    return found


def _reindex(path: Path, key: bytes) -> bool:
    """Whether rebuilding the indexes was enough."""
    connection = connect(path, b"" if is_plain(path) else key)
    try:
        connection.execute("REINDEX")
    except DatabaseError:
        return False
    finally:
        connection.close()
    return not examine(path, key)


class _Source:
    """A damaged journal that can be asked again after an error.

    A first page that cannot be read is replaced, in a copy, by that of a new journal with the same
    key, salt and tables.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._key = b"" if is_plain(path) else key
        self.size = path.stat().st_size
        self._copy = path.with_name(f"{path.name}.reading")
        # Also so that opening it cannot change it: recovery of a write-ahead log writes.
        shutil.copyfile(path, self._copy)
        log = path.with_name(f"{path.name}-wal")
        if log.exists():
            shutil.copyfile(log, self._copy.with_name(f"{self._copy.name}-wal"))
        self._connection: Connection | None = None
        if not self._readable() and not self._rebuild_first_page():
            self.close()
            raise JournalError(
                "Nothing of the journal can be read.",
                why=f"{path} was encrypted under another key, or is damaged throughout.",
                next_step="If the key store was restored or replaced, restore the right one. "
                "Otherwise move the file away; results and audit log are not affected.",
            )

    def ask(self, query: str, arguments: tuple[object, ...] = ()) -> list[Any] | None:
        """The rows of ``query``, or ``None`` if a page it needs is damaged."""
        if self._connection is None:
            self._connection = connect(self._copy, self._key, salvaging=True)
        try:
            rows: list[Any] = self._connection.execute(query, arguments).fetchall()
        except DatabaseError:
            self._connection.close()
            self._connection = None
            return None
        return rows

    def close(self) -> None:
        """Forget the copy."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        _remove(self._copy)

    def _readable(self) -> bool:
        return bool(self.ask("SELECT name FROM sqlite_schema WHERE name = 'events'"))

    def _rebuild_first_page(self) -> bool:
        if not self._key:
            return False
        log = self._copy.with_name(f"{self._copy.name}-wal")
        for version in range(SCHEMA_VERSION, FIRST_ENCRYPTED - 1, -1):
            template = self._copy.with_name(f"{self._copy.name}.template")
            _remove(template)
            _make_template(template, self._key, version, self.size)
            with template.open("rb") as new, self._copy.open("r+b") as old:
                old.write(new.read(_PAGE))
            _remove(template)
            if not self._readable():
                # The log may hold the damaged page; what it adds to the file is then lost.
                _remove(log)
            if self._readable():
                return self._fits()
        return False

    def _fits(self) -> bool:
        """Whether the key opens any page but the one that was just made with it."""
        bad = self.ask("PRAGMA cipher_integrity_check")
        return bad is None or len(bad) < self.size // _PAGE - 1


def _make_template(path: Path, key: bytes, version: int, size: int) -> None:
    connection = connect(path, key)
    try:
        prepare(connection, path, until=version)
        # The first page says how many pages the file has; it must not be fewer than there are.
        connection.execute("INSERT INTO blobs VALUES ('', zeroblob(?))", (size,))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


@dataclass(slots=True)
class _Salvage:
    """One salvage: the source, the new file, and what could not be read so far."""

    source: _Source
    new: Path
    key: bytes
    lost: set[int] = field(default_factory=set)
    lost_blobs: set[str] = field(default_factory=set)

    def run(self, problems: list[str]) -> dict[str, Any]:
        target = connect(self.new, self.key)
        try:
            prepare(target, self.new)
            target.execute("BEGIN IMMEDIATE")
            owners = self._owners()
            affected = self._copy_events(target, owners)
            affected |= self._copy_blobs(target)
            note_blob_uses(target)
            target.execute("COMMIT")
            (count,) = target.execute("SELECT count(*) FROM events").fetchone()
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            target.close()
        # Numbers that retention had freed cannot be told from lost ones without the index.
        lost = len(self.lost if owners is None else self.lost & owners.keys())
        return {
            "problems": tuple(problems), "events": count, "lost_events": lost,
            "lost_blobs": len(self.lost_blobs), "affected": tuple(sorted(affected)),
        }  # fmt: skip

    def _owners(self) -> dict[int, str] | None:
        """The run of each event as the index tells it, without reading the events themselves."""
        rows = self.source.ask("SELECT seq, run FROM events INDEXED BY events_by_run")
        return None if rows is None else dict(rows)

    def _copy_events(self, target: Connection, owners: dict[int, str] | None) -> set[str]:
        runs: set[str] = set()
        for row in self._events():
            target.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", row)
            runs.add(row[1])
        # New events must not take the numbers of lost ones.
        last = max([self._last(), *(owners or ())])
        target.execute("DELETE FROM sqlite_sequence WHERE name = 'events'")
        target.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)", (last,))
        if not self.lost:
            return set()
        if owners is None:
            # Nobody knows whose events these were: no run is known to be whole.
            return runs
        return {run for seq, run in owners.items() if seq in self.lost}

    def _events(self) -> Iterator[tuple[Any, ...]]:
        for first in range(1, self._last() + 1, _AT_ONCE):
            yield from self._between(first, first + _AT_ONCE - 1)

    def _between(self, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        rows = self.source.ask(
            "SELECT seq, run, agent, kind, at, payload FROM events NOT INDEXED "
            "WHERE seq BETWEEN ? AND ? ORDER BY seq",
            (first, last),
        )
        if rows is not None:
            for row in rows:
                if _is_whole(row[-1]):
                    yield row
                else:
                    self.lost.add(row[0])
        elif first == last:
            self.lost.add(first)
        else:
            middle = (first + last) // 2
            yield from self._between(first, middle)
            yield from self._between(middle + 1, last)

    def _last(self) -> int:
        for query in (
            "SELECT max(seq) FROM (SELECT seq FROM sqlite_sequence WHERE name = 'events' "
            "UNION ALL SELECT 0)",
            "SELECT coalesce(max(seq), 0) FROM events NOT INDEXED",
        ):
            if rows := self.source.ask(query):
                return int(rows[0][0])
        return self.source.size // _SMALLEST_EVENT

    def _copy_blobs(self, target: Connection) -> set[str]:
        """Copy what the events name; forget the results whose content is lost, so that the steps
        that gave them are done again."""
        uses = self.source.ask("SELECT DISTINCT sha256 FROM blob_uses")
        certain = None if uses is None else {sha256 for (sha256,) in uses}
        affected: set[str] = set()
        copied: set[str] = set()
        for seq, run, payload in target.execute(
            "SELECT seq, run, payload FROM events ORDER BY seq"
        ).fetchall():
            for sha256 in referenced(payload):
                if sha256 in copied or (certain is not None and sha256 not in certain):
                    continue
                rows = self.source.ask("SELECT sha256, data FROM blobs WHERE sha256 = ?", (sha256,))
                if rows == []:
                    continue
                if rows and content(sha256, rows[0][1]) is not None:
                    target.execute("INSERT INTO blobs (sha256, data) VALUES (?, ?)", rows[0])
                    copied.add(sha256)
                else:
                    self.lost_blobs.add(sha256)
                    affected.add(run)
                    target.execute(
                        "DELETE FROM events WHERE seq = ? AND kind LIKE '%.done'", (seq,)
                    )
        return affected


def _is_whole(payload: str) -> bool:
    """Whether a long event's pages were all read: SQLCipher gives zeros for a damaged one."""
    try:
        json.loads(payload)
    except ValueError:
        return False
    return True


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + end).unlink(missing_ok=True)
