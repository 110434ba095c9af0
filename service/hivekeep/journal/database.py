"""Encrypted SQLite connections and what their errors mean.

Responsible for opening a file under a key with the durability the journal promises, and for turning
the library's errors into ours; not for what is stored.  Invariant: no connection of this package
writes a page in plain text, and temporary data stays in memory.

SQLCipher's design: https://www.zetetic.net/sqlcipher/design/
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Protocol

from sqlcipher3 import dbapi2 as sqlcipher

from hivekeep.domain.errors import HivekeepError, JournalError, StorageError

# 32 bytes encrypt the pages; the 16 of the salt, which SQLCipher would otherwise keep only in the
# file, let its first page be rebuilt when that one is damaged.
KEY_BYTES = 48
PLAIN_HEADER = b"SQLite format 3\0"

Connection = Any
DatabaseError = sqlcipher.DatabaseError


class Keys(Protocol):
    """Where the profile's secrets are."""

    def get(self, name: str) -> bytes | None:
        """The secret, ``None`` if there is none."""
        ...

    def put(self, name: str, value: bytes) -> None:
        """Keep a secret durably."""
        ...


def journal_key(keys: Keys, path: Path) -> bytes:
    """The key of the journal at ``path``, made if the journal does not exist or is still plain.

    :raises JournalError: if the journal is encrypted and its key is gone.
    """
    found = keys.get("journal")
    if found is not None:
        return found
    if is_encrypted(path):
        raise JournalError(
            "The journal's key is missing.",
            why=f"{path} is encrypted, and this profile's key store has no key for it.",
            next_step="Restore the key store (keys.bin, or the OS keyring's entry) from a backup. "
            "Without it, move the journal away: results and audit log stay, runs are forgotten.",
        )
    made = secrets.token_bytes(KEY_BYTES)
    keys.put("journal", made)
    return made


def is_encrypted(path: Path) -> bool:
    """Whether ``path`` holds something that is not a plain database."""
    return bool(start := _start(path)) and start != PLAIN_HEADER


def is_plain(path: Path) -> bool:
    """Whether ``path`` is a database that anybody can read."""
    return _start(path) == PLAIN_HEADER


def connect(path: Path, key: bytes, *, salvaging: bool = False) -> Connection:
    """A connection in WAL mode whose commits survive a power cut.

    :param key: what ``journal_key`` gave; empty only to look at a plain journal of long ago.
    :param salvaging: read what can be read of a damaged file, whatever its header says.
    :raises sqlcipher3.dbapi2.DatabaseError: if the key does not fit or the first page is damaged.
    """
    if len(key) not in (0, KEY_BYTES):
        raise ValueError(f"a journal's key has {KEY_BYTES} bytes")
    new = not _start(path)
    connection = sqlcipher.connect(path, check_same_thread=False, isolation_level=None)
    try:
        # SQLCipher reports to stderr what its callers get as an exception anyway.
        connection.execute("PRAGMA cipher_log_level = NONE")
        if key:
            connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute("PRAGMA temp_store = MEMORY")
        if salvaging:
            # Lets a file be opened that is shorter than its header says.
            connection.execute("PRAGMA writable_schema = ON")
            return connection
        if new:
            # With it compaction moves pages instead of rewriting the file, and the tables' first
            # pages stay where they are, which rebuilding the first page relies on.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        # FULL, not NORMAL: in WAL mode NORMAL may lose the last commits on a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA busy_timeout = 5000")
    except BaseException:
        connection.close()
        raise
    return connection


def damaged(path: Path, error: Exception) -> JournalError:
    """The error for a file that cannot be read, or not under this key."""
    return JournalError(
        "The journal cannot be read.",
        why=f"{path}: {error}; it is damaged, or was encrypted under another key.",
        next_step="Stop the daemon and run 'hivekeep doctor --repair': it saves what can be read "
        "and keeps the damaged file. Your documents and results are not affected.",
    )


def unwritten(path: Path, error: Exception) -> Exception:
    """What to tell those who waited for a commit that failed."""
    if isinstance(error, HivekeepError) or not isinstance(error, sqlcipher.Error):
        return error
    if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(path, error)
    return StorageError(
        "The journal could not be written, so nothing further is done.",
        why=f"{path}: {error}.",
        next_step="Free some disk space; the run then goes on with 'hivekeep runs resume'.",
    )


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(PLAIN_HEADER))
    except FileNotFoundError:
        return b""
