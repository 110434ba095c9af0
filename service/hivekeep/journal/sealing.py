"""From a plain journal (schema 1) to an encrypted one, without a moment in which it could be lost.

Responsible for the encrypted copy, for proving it equal, and for removing the plain file after
that.  Invariant: at every instant one complete journal is on the disk under its own name or under
``.plain``; a kill anywhere is continued by the next call.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hivekeep.domain.errors import JournalError, StorageError
from hivekeep.journal.database import Connection, DatabaseError, connect, is_plain
from hivekeep.journal.schema import FIRST_ENCRYPTED, prepare

if TYPE_CHECKING:
    import sqlite3
else:
    # Without a key it is plain SQLite, and one copy of it in memory is enough.
    from sqlcipher3 import dbapi2 as sqlite3

_BATCH = 500
_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")
_EVENTS = "SELECT seq, run, agent, kind, at, payload FROM events ORDER BY seq"
_BLOBS = "SELECT sha256, data FROM blobs ORDER BY sha256"


def seal(path: Path, key: bytes) -> bool:
    """Encrypt the journal at ``path`` if it is plain; whether there was something to do.

    :raises JournalError: if the plain journal is damaged or the copy turns out different.
    :raises StorageError: if the disk does not take the copy.
    """
    aside, copy = path.with_name(path.name + ".plain"), path.with_name(path.name + ".sealing")
    try:
        if not path.exists() and aside.exists():
            aside.rename(path)
        if is_plain(path):
            _remove(copy)
            wanted = _copy(path, copy, key)
            if _digest_sealed(copy, key) != wanted:
                raise _different(path)
            path.rename(aside)
            copy.rename(path)
            _sync(path.parent)
        if not aside.exists():
            return False
        # Also after a kill between the renames and here: look once more, then remove.
        if _digest_sealed(path, key) != _digest_plain(aside):
            raise _different(aside)
        _remove(aside)
        _sync(path.parent)
    except (sqlite3.DatabaseError, DatabaseError) as error:
        raise _failed(path, error) from error
    except OSError as error:
        raise StorageError(
            "The journal could not be encrypted.",
            why=f"{path}: {error.strerror}.",
            next_step="Nothing was lost; free some disk space and start again.",
        ) from error
    return True


def referenced(payload: str) -> set[str]:
    """Every hash that an event's payload names; some of them are names of blobs."""
    return set(_SHA256.findall(payload))


def _copy(path: Path, copy: Path, key: bytes) -> str:
    plain = sqlite3.connect(path, isolation_level=None)
    sealed = connect(copy, key)
    try:
        (problem,) = plain.execute("PRAGMA integrity_check").fetchone()
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        # Takes in what an earlier process left in the write-ahead log, and ends that log.
        plain.execute("PRAGMA journal_mode = DELETE")
        prepare(sealed, copy, until=FIRST_ENCRYPTED)
        sealed.execute("BEGIN IMMEDIATE")
        blobs = plain.execute(_BLOBS)
        while rows := blobs.fetchmany(_BATCH):
            sealed.executemany("INSERT INTO blobs (sha256, data) VALUES (?, ?)", rows)
        events = plain.execute(_EVENTS)
        while rows := events.fetchmany(_BATCH):
            sealed.executemany(
                "INSERT INTO events (seq, run, agent, kind, at, payload) VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
        note_blob_uses(sealed)
        sealed.execute("COMMIT")
        sealed.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return _digest_plain(path)
    finally:
        plain.close()
        sealed.close()


def note_blob_uses(connection: Connection) -> None:
    """Fill ``blob_uses`` from what the events name."""
    known = {row[0] for row in connection.execute("SELECT sha256 FROM blobs")}
    uses: set[tuple[str, str]] = set()
    for run, payload in connection.execute("SELECT run, payload FROM events"):
        uses.update((sha256, run) for sha256 in referenced(payload) & known)
    connection.executemany(
        "INSERT OR IGNORE INTO blob_uses (sha256, run) VALUES (?, ?)", sorted(uses)
    )


def _digest_sealed(path: Path, key: bytes) -> str:
    connection = connect(path, key)
    try:
        found = connection.execute("PRAGMA cipher_integrity_check").fetchall()
        if found:
            raise DatabaseError(str(found[0][0]))
        return _digest(connection.execute(_EVENTS), connection.execute(_BLOBS))
    finally:
        connection.close()


def _digest_plain(path: Path) -> str:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return _digest(connection.execute(_EVENTS), connection.execute(_BLOBS))
    finally:
        connection.close()


def _digest(*tables: Iterable[tuple[object, ...]]) -> str:
    whole = hashlib.sha256()
    for table in tables:
        for row in table:
            whole.update(repr(row).encode("utf-8", "surrogatepass"))
        whole.update(b"\n")
    return whole.hexdigest()


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(path: Path, error: Exception) -> JournalError:
    return JournalError(
        "The journal of an earlier version could not be taken over.",
        why=f"{path}: {error}.",
        next_step="The file was left as it is. 'hivekeep doctor --repair' saves what can be read.",
    )


def _different(path: Path) -> JournalError:
    return JournalError(
        "The encrypted copy of the journal differs from the journal.",
        why=f"{path} was kept.",
        next_step="Start again; if it happens again, check the disk.",
    )
