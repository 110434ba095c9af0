"""The statements that change a journal's tables, each inside a transaction of its caller.

Responsible for keeping ``blobs`` and ``blob_uses`` in step with ``events``: a blob is there exactly
as long as a run uses it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence

from hivekeep.journal.database import Connection
from hivekeep.journal.records import Event

_EVENT = "INSERT INTO events (seq, run, agent, kind, at, payload) VALUES (?, ?, ?, ?, ?, ?)"
_BLOB = "INSERT OR IGNORE INTO blobs (sha256, data) VALUES (?, ?)"
_USE = "INSERT OR IGNORE INTO blob_uses (sha256, run) VALUES (?, ?)"
_UNUSED = (
    "DELETE FROM blobs WHERE sha256 = ?1 AND NOT EXISTS (SELECT 1 FROM blob_uses WHERE sha256 = ?1)"
)


def insert_events(connection: Connection, events: Iterable[Event]) -> None:
    """Add events under the numbers they have."""
    # ASCII escapes keep file names that are not valid UTF-8 (lone surrogates) intact.
    rows = [
        (e.seq, e.run, e.agent, e.kind, e.at, json.dumps(e.payload, separators=(",", ":")))
        for e in events
    ]
    connection.executemany(_EVENT, rows)


def insert_blobs(connection: Connection, blobs: Sequence[bytes], runs: set[str]) -> None:
    """Add content, once however often it is added, and note that ``runs`` use it."""
    for data in blobs:
        name = hashlib.sha256(data).hexdigest()
        connection.execute(_BLOB, (name, zlib.compress(data, 3)))
        connection.executemany(_USE, [(name, run) for run in runs])


def content(sha256: str, stored: bytes) -> bytes | None:
    """What was stored under ``sha256``; ``None`` if it is something else by now."""
    try:
        data = zlib.decompress(stored)
    except zlib.error:
        return None
    return data if hashlib.sha256(data).hexdigest() == sha256 else None


def delete_runs(connection: Connection, runs: Sequence[str], *, only_blobs: bool) -> int:
    """Remove runs, or only their content; content that another run uses stays. The rows removed."""
    removed = 0
    names: set[str] = set()
    for run in runs:
        used = connection.execute("SELECT sha256 FROM blob_uses WHERE run = ?", (run,))
        names.update(name for (name,) in used)
        connection.execute("DELETE FROM blob_uses WHERE run = ?", (run,))
        if not only_blobs:
            removed += connection.execute("DELETE FROM events WHERE run = ?", (run,)).rowcount
    for name in sorted(names):
        removed += connection.execute(_UNUSED, (name,)).rowcount
    return removed


def last_time(connection: Connection, run: str) -> float:
    """When the newest event of ``run`` was written; 0 if there is none."""
    query = "SELECT at FROM events WHERE run = ? ORDER BY seq DESC LIMIT 1"
    row = connection.execute(query, (run,)).fetchone()
    return float(row[0]) if row else 0.0


def last_number(connection: Connection) -> int:
    """The highest number ever given, also if its event was removed since."""
    rows = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
    return max((number for (number,) in rows), default=0)


def unused_pages(connection: Connection) -> int:
    """Pages that compaction would give back."""
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])
