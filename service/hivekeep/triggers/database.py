"""The file behind the inventory: its tables, its transactions, and what to say when it fails.

Responsible for one SQLite connection that any thread may use; not for what the rows mean.
Invariant: a transaction is either durable when it ends or was not made at all.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hivekeep.domain.errors import JournalError, StorageError

if TYPE_CHECKING:
    import sqlite3
else:
    # The journal brings SQLite along; another copy of it would only take up memory.
    from sqlcipher3 import dbapi2 as sqlite3

SCHEMA_VERSION = 1

# Paths are bytes: a file name need not be valid text.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    watch       TEXT NOT NULL,
    path        BLOB NOT NULL,
    size        INTEGER NOT NULL,
    mtime_ns    INTEGER NOT NULL,
    ctime_ns    INTEGER NOT NULL,
    sha256      TEXT NOT NULL,
    recipe_hash TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    batch       TEXT NOT NULL,
    updated     REAL NOT NULL,
    PRIMARY KEY (watch, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_state ON files (watch, state);
CREATE INDEX IF NOT EXISTS files_by_path ON files (path);
CREATE INDEX IF NOT EXISTS files_by_content ON files (sha256);
CREATE TABLE IF NOT EXISTS work (
    sha256      TEXT NOT NULL,
    recipe_hash TEXT NOT NULL,
    watch       TEXT NOT NULL,
    path        BLOB NOT NULL,
    state       TEXT NOT NULL,
    PRIMARY KEY (sha256, recipe_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS work_by_path ON work (path);
CREATE TABLE IF NOT EXISTS undelivered (
    batch       TEXT NOT NULL,
    watch       TEXT NOT NULL,
    path        BLOB NOT NULL,
    size        INTEGER NOT NULL,
    sha256      TEXT NOT NULL,
    PRIMARY KEY (batch, path)
) STRICT, WITHOUT ROWID;
"""


class Database:
    """The tables of the inventory in the file ``path``.

    :raises JournalError: if the file is damaged or was written by a newer version.
    :raises StorageError: if it cannot be opened or made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            # A batch must not be forgotten after its run was journaled, not even by a power cut.
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA busy_timeout = 5000")
            self._prepare()
        except sqlite3.OperationalError as error:
            raise _unwritable(path, error) from error
        except sqlite3.DatabaseError as error:
            raise _damaged(path, error) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read while nobody else uses the connection.

        :raises JournalError: if the file is damaged.
        """
        with self._lock:
            try:
                yield self._database
            except sqlite3.DatabaseError as error:
                raise _damaged(self._path, error) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction, taken back if the block raises.

        :raises StorageError: if the disk refuses.
        :raises JournalError: if the file is damaged.
        """
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise _unwritable(self._path, error) from error
            except sqlite3.DatabaseError as error:
                raise _damaged(self._path, error) from error
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")

    def _prepare(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise JournalError(
                "The inventory of watched folders was written by a newer version of Hivekeep.",
                why=f"{self._path} has schema {version}, this program knows {SCHEMA_VERSION}.",
                next_step="Install the newer version again, or use another profile.",
            )
        self._database.executescript(_SCHEMA)
        self._database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _damaged(path: Path, error: sqlite3.DatabaseError) -> JournalError:
    return JournalError(
        "The inventory of watched folders cannot be read.",
        why=f"{path}: {error}.",
        next_step="Move the file away; every file in watched folders is then looked at again.",
    )


def _unwritable(path: Path, error: sqlite3.OperationalError) -> StorageError:
    return StorageError(
        "The inventory of watched folders cannot be written, so new files have to wait.",
        why=f"{path}: {error}.",
        next_step="Free some disk space; watching then goes on by itself.",
    )
