"""The journal's tables, version by version.

Responsible for making a journal of any released version and for bringing one up to date; the step
from 1 to 2, which encrypts, copies the file and is in ``sealing``.  Invariant: a step is one
transaction, and a journal made new is the same as one brought up from any released version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hivekeep.domain.errors import JournalError
from hivekeep.journal.database import Connection

# 1: plain SQLite, until November 2026.  2: encrypted; which run needs which blob.
SCHEMA_VERSION = 2

FIRST_ENCRYPTED = 2

_CREATE_2 = (
    """CREATE TABLE events (
        seq     INTEGER PRIMARY KEY AUTOINCREMENT,
        run     TEXT NOT NULL,
        agent   TEXT NOT NULL,
        kind    TEXT NOT NULL,
        at      REAL NOT NULL,
        payload TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX events_by_run ON events (run, seq)",
    """CREATE TABLE blobs (
        sha256 TEXT PRIMARY KEY,
        data   BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE blob_uses (
        sha256 TEXT NOT NULL,
        run    TEXT NOT NULL,
        PRIMARY KEY (sha256, run)
    ) STRICT, WITHOUT ROWID""",
)

# Statements that lead from the version to the next one; the first encrypted version begins it.
STEPS: Mapping[int, Sequence[str]] = {1: _CREATE_2}


def prepare(connection: Connection, path: Path, *, until: int = SCHEMA_VERSION) -> None:
    """Bring an open, encrypted journal up to ``until``; an empty file begins there.

    :raises JournalError: if it was written by a newer version.
    """
    version = version_of(connection)
    if version > until:
        raise JournalError(
            "The journal was written by a newer version of Hivekeep.",
            why=f"{path} has schema {version}, this program knows {until}.",
            next_step="Install the newer version again, or use another profile.",
        )
    for known in range(version or FIRST_ENCRYPTED - 1, until):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in STEPS[known]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {known + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def version_of(connection: Connection) -> int:
    """The schema that a file says it has; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
