"""Journals exactly as released versions wrote them.

The statements are frozen copies: they must not change when the program's schema does.  A new schema
version adds a function here and an entry in ``RELEASED``.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

BLOB = b'{"name": "invoice.pdf", "text": "Total 10.00"}' * 40
DIGEST = hashlib.sha256(BLOB).hexdigest()


@dataclass(frozen=True)
class Row:
    """One event as it was stored."""

    run: str
    agent: str
    kind: str
    at: float
    payload: dict[str, Any]


def rows(runs: int = 3, steps: int = 40) -> list[Row]:
    """A few runs whose events alternate, names with lone surrogates among them."""
    found = [
        Row(f"r{run}", "", "run.created", 1.5, {"title": "\udce9t\u00e9"}) for run in range(runs)
    ]
    for step in range(steps):
        for run in range(runs):
            payload = {"key": f"s{step}", "kind": "read", "result": {"document": DIGEST, "n": step}}
            found.append(Row(f"r{run}", f"r{run}.0001", "step.done", 2.0 + step, payload))
    return found


_SCHEMA_1 = """
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

_SCHEMA_2 = """
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    run     TEXT NOT NULL,
    agent   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    at      REAL NOT NULL,
    payload TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_run ON events (run, seq);
CREATE TABLE blobs (
    sha256 TEXT PRIMARY KEY,
    data   BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE blob_uses (
    sha256 TEXT NOT NULL,
    run    TEXT NOT NULL,
    PRIMARY KEY (sha256, run)
) STRICT, WITHOUT ROWID;
"""


def version_1(path: Path, _key: bytes, content: list[Row]) -> None:
    """Plain SQLite in WAL mode, its last events still in the write-ahead log."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.executescript(_SCHEMA_1)
    connection.execute("PRAGMA user_version = 1")
    _fill(connection, content)
    _leave_as_killed(path, connection)


def version_2(path: Path, key: bytes, content: list[Row]) -> None:
    """SQLCipher 4 with a raw key and salt."""
    connection = sqlcipher.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.executescript(_SCHEMA_2)
    connection.execute("PRAGMA user_version = 2")
    _fill(connection, content)
    used = {row.run for row in content if DIGEST in json.dumps(row.payload)}
    connection.executemany("INSERT INTO blob_uses VALUES (?, ?)", [(DIGEST, run) for run in used])
    _leave_as_killed(path, connection)


RELEASED: dict[int, Callable[[Path, bytes, list[Row]], None]] = {1: version_1, 2: version_2}


def _fill(connection: Any, content: list[Row]) -> None:
    connection.execute("BEGIN")
    connection.execute("INSERT INTO blobs VALUES (?, ?)", (DIGEST, zlib.compress(BLOB, 3)))
    connection.executemany(
        "INSERT INTO events (run, agent, kind, at, payload) VALUES (?, ?, ?, ?, ?)",
        [(r.run, r.agent, r.kind, r.at, json.dumps(r.payload)) for r in content],
    )
    connection.execute("COMMIT")


def _leave_as_killed(path: Path, connection: Any) -> None:
    """Close without the checkpoint that a clean end makes."""
    log = path.with_name(f"{path.name}-wal")
    content = path.read_bytes(), log.read_bytes()
    connection.close()
    path.write_bytes(content[0])
    log.write_bytes(content[1])
