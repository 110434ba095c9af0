"""The durable memory of watched folders: which files are known, and which work was done.

Responsible for deciding whether content is new and for surviving a kill at any instant; not for
looking at files.  Invariant: for one pair of content hash and recipe hash at most one file is in
work or done, unless that file failed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hivekeep.triggers.database import Database
from hivekeep.triggers.examine import Readable, Unreadable
from hivekeep.triggers.model import FileRecord, FileState, Fingerprint, FoundFile, WatchConfig

if TYPE_CHECKING:
    import sqlite3

# Paths are kept as bytes: a file name need not be valid text.
_COLUMNS = "watch, path, size, mtime_ns, ctime_ns, sha256, recipe_hash, state, reason"
_IN_HAND = (FileState.SEEN, FileState.BATCHED, FileState.RUNNING, FileState.DONE)


class Inventory:
    """The inventory in the file ``path``; usable from any thread, open once per process.

    :param clock: wall-clock seconds since the epoch.
    :raises JournalError: if the file is damaged or was written by a newer version.
    :raises StorageError: if it cannot be opened.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._database = Database(path)

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
        """Close the file; nothing is pending, every call is durable when it returns."""
        self._database.close()

    def known(self, watch: str) -> dict[str, FileRecord]:
        """Every recorded file of a watched folder by its path."""
        return {str(record.path): record for record in self.files(watch)}

    def files(self, watch: str, *states: FileState) -> list[FileRecord]:
        """The recorded files of a watched folder, all or those in ``states``, by path."""
        chosen = states or tuple(FileState)
        query = (
            f"SELECT {_COLUMNS} FROM files WHERE watch = ? "  # noqa: S608
            f"AND state IN ({', '.join('?' * len(chosen))}) ORDER BY path"
        )
        with self._database.reading() as database:
            rows = database.execute(query, (watch, *chosen)).fetchall()
        return [_record(row) for row in rows]

    def admit(
        self, config: WatchConfig, found: Sequence[Readable]
    ) -> tuple[list[FoundFile], list[str]]:
        """Record readable files and find those whose content is new work, now ``SEEN``.

        :returns: the new work, and the paths whose former content was ``SEEN`` and is given up, so
            that a copy of it that was passed over has to be found anew.
        """
        with self._database.writing() as database:
            given_up = [file.path for file in found if self._give_up_former(database, config, file)]
            new = [
                FoundFile(Path(file.path), file.fingerprint.size, file.sha256)
                for file in found
                if self._admit(database, config, file)
            ]
        return new, given_up

    def foresee(self, config: WatchConfig, file: Readable) -> tuple[FileState, str]:
        """What ``admit`` would make of a file, and why; records nothing."""
        with self._database.reading() as database:
            return self._foresee(database, config, file)

    def ignore(self, config: WatchConfig, found: Iterable[Readable], reason: str) -> None:
        """Record files that are deliberately left alone."""
        with self._database.writing() as database:
            for file in found:
                self._put(
                    database, config, file.path, file.fingerprint, file.sha256,
                    FileState.IGNORED, reason,
                )  # fmt: skip

    def unreadable(self, config: WatchConfig, found: Iterable[Unreadable]) -> None:
        """Record files that cannot be read; they are tried again when their metadata changes."""
        with self._database.writing() as database:
            for file in found:
                self._put(
                    database, config, file.path, file.fingerprint, "", FileState.FAILED, file.reason
                )

    def assign(self, batch: str, watch: str, files: Sequence[FoundFile]) -> None:
        """Put ``SEEN`` files into a batch, before it is delivered."""
        with self._database.writing() as database:
            for file in files:
                path = os.fsencode(file.path)
                database.execute(
                    "INSERT INTO undelivered VALUES (?, ?, ?, ?, ?)",
                    (batch, watch, path, file.size, file.sha256),
                )
                self._move(database, watch, file, FileState.SEEN, FileState.BATCHED, batch)

    def delivered(self, batch: str, watch: str, files: Sequence[FoundFile]) -> None:
        """The batch's delivery is confirmed: its files are being worked on, or already done."""
        with self._database.writing() as database:
            for file in files:
                self._move(database, watch, file, FileState.BATCHED, FileState.RUNNING, batch)
            database.execute("DELETE FROM undelivered WHERE batch = ?", (batch,))

    def undelivered(self, watch: str) -> dict[str, tuple[FoundFile, ...]]:
        """Batches whose delivery was not confirmed, by id, as they were put together."""
        with self._database.reading() as database:
            rows = database.execute(
                "SELECT batch, path, size, sha256 FROM undelivered WHERE watch = ? "
                "ORDER BY batch, path",
                (watch,),
            ).fetchall()
        batches: dict[str, list[FoundFile]] = {}
        for batch, path, size, sha256 in rows:
            batches.setdefault(batch, []).append(FoundFile(Path(os.fsdecode(path)), size, sha256))
        return {batch: tuple(files) for batch, files in batches.items()}

    def note(self, batch: str, reason: str) -> None:
        """Say why a batch is held back."""
        with self._database.writing() as database:
            database.execute(
                "UPDATE files SET reason = ? WHERE batch = ? AND state = ?",
                (_storable(reason), batch, FileState.BATCHED),
            )

    def mark(
        self, path: Path, sha256: str, state: FileState, reason: str = "", *, watch: str = ""
    ) -> None:
        """Record what became of a file; ``watch`` narrows it to one watched folder."""
        chosen = (state, os.fsencode(path), sha256, watch, watch)
        with self._database.writing() as database:
            database.execute(
                "UPDATE files SET state = ?, reason = ?, updated = ? "
                "WHERE path = ? AND sha256 = ? AND (? = '' OR watch = ?)",
                (state, _storable(reason), self._clock(), *chosen[1:]),
            )
            database.execute(
                "UPDATE work SET state = ? WHERE path = ? AND sha256 = ? AND (? = '' OR watch = ?)",
                chosen,
            )

    def drop(self, config: WatchConfig, files: Sequence[FoundFile]) -> None:
        """Forget ``SEEN`` files that have vanished, and that copies of them were passed over."""
        with self._database.writing() as database:
            for file in files:
                self._give_up(database, config, os.fsencode(file.path), file.sha256)

    def forget_unbatched(self, watch: str) -> None:
        """Forget files that were seen but not yet in a batch, so that they are found anew."""
        with self._database.writing() as database:
            self._forget_work(database, watch, FileState.SEEN)
            database.execute(
                "DELETE FROM files WHERE watch = ? AND state = ?", (watch, FileState.SEEN)
            )

    def forget(self, watch: str) -> None:
        """Forget a folder that is not watched any more; what was done stays known as done."""
        with self._database.writing() as database:
            self._forget_work(database, watch, FileState.SEEN)
            self._forget_work(database, watch, FileState.BATCHED)
            database.execute("DELETE FROM files WHERE watch = ?", (watch,))
            database.execute("DELETE FROM undelivered WHERE watch = ?", (watch,))

    def _forget_work(self, database: sqlite3.Connection, watch: str, state: FileState) -> None:
        # A copy that was passed over for it, in whatever folder, has to be found anew too.
        database.execute(
            "DELETE FROM files WHERE state = ? AND sha256 IN "
            "(SELECT sha256 FROM work WHERE watch = ? AND state = ?)",
            (FileState.IGNORED, watch, state),
        )
        database.execute("DELETE FROM work WHERE watch = ? AND state = ?", (watch, state))

    def _give_up_former(
        self, database: sqlite3.Connection, config: WatchConfig, file: Readable
    ) -> bool:
        """Give up what a file held before, if it was changed before it was put into a batch."""
        path = os.fsencode(file.path)
        row = database.execute(
            "SELECT sha256 FROM files WHERE watch = ? AND path = ? AND state = ? AND sha256 <> ?",
            (config.id, path, FileState.SEEN, file.sha256),
        ).fetchone()
        if row:
            self._give_up(database, config, path, row[0])
        return row is not None

    def _give_up(
        self, database: sqlite3.Connection, config: WatchConfig, path: bytes, sha256: str
    ) -> None:
        for table in ("files", "work"):
            database.execute(
                f"DELETE FROM {table} "  # noqa: S608
                "WHERE watch = ? AND path = ? AND sha256 = ? AND state = ?",
                (config.id, path, sha256, FileState.SEEN),
            )
        database.execute(
            "DELETE FROM files WHERE sha256 = ? AND state = ?", (sha256, FileState.IGNORED)
        )

    def _settled(
        self, database: sqlite3.Connection, config: WatchConfig, file: Readable
    ) -> FileRecord | None:
        """What is recorded of a file with this very content, if that is all there is to do."""
        row = database.execute(
            f"SELECT {_COLUMNS} FROM files WHERE watch = ? AND path = ?",  # noqa: S608
            (config.id, os.fsencode(file.path)),
        ).fetchone()
        record = _record(row) if row else None
        return record if record and _is_settled_already(record, config, file) else None

    def _copy_of(
        self, database: sqlite3.Connection, config: WatchConfig, file: Readable
    ) -> str | None:
        """The file, maybe of this name, whose equal content is in work or done."""
        first = database.execute(
            "SELECT path, state FROM work WHERE sha256 = ? AND recipe_hash = ?",
            (file.sha256, config.recipe_hash),
        ).fetchone()
        return os.fsdecode(first[0]) if first and first[1] in _IN_HAND else None

    def _foresee(
        self, database: sqlite3.Connection, config: WatchConfig, file: Readable
    ) -> tuple[FileState, str]:
        if record := self._settled(database, config, file):
            return record.state, record.reason
        first = self._copy_of(database, config, file)
        if first is not None:
            return FileState.IGNORED, _duplicate(file.path, first)
        return FileState.SEEN, ""

    def _admit(self, database: sqlite3.Connection, config: WatchConfig, file: Readable) -> bool:
        path = os.fsencode(file.path)
        if self._settled(database, config, file):
            database.execute(
                "UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ? "
                "WHERE watch = ? AND path = ?",
                (*_numbers(file.fingerprint), config.id, path),
            )
            return False
        first = self._copy_of(database, config, file)
        if first is not None:
            self._put(
                database, config, file.path, file.fingerprint, file.sha256,
                FileState.IGNORED, _duplicate(file.path, first),
            )  # fmt: skip
            return False
        self._put(database, config, file.path, file.fingerprint, file.sha256, FileState.SEEN, "")
        database.execute(
            "INSERT OR REPLACE INTO work (sha256, recipe_hash, watch, path, state) "
            "VALUES (?, ?, ?, ?, ?)",
            (file.sha256, config.recipe_hash, config.id, path, FileState.SEEN),
        )
        return True

    def _put(
        self,
        database: sqlite3.Connection,
        config: WatchConfig,
        path: str,
        fingerprint: Fingerprint,
        sha256: str,
        state: FileState,
        reason: str,
    ) -> None:
        database.execute(
            f"INSERT OR REPLACE INTO files ({_COLUMNS}, batch, updated) "  # noqa: S608
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?)",
            (
                config.id, os.fsencode(path), *_numbers(fingerprint), sha256, config.recipe_hash,
                state, _storable(reason), self._clock(),
            ),
        )  # fmt: skip

    def _move(
        self,
        database: sqlite3.Connection,
        watch: str,
        file: FoundFile,
        before: FileState,
        after: FileState,
        batch: str,
    ) -> None:
        which = (watch, os.fsencode(file.path), file.sha256, before)
        database.execute(
            "UPDATE files SET state = ?, batch = ?, reason = '', updated = ? "
            "WHERE watch = ? AND path = ? AND sha256 = ? AND state = ?",
            (after, batch, self._clock(), *which),
        )
        database.execute(
            "UPDATE work SET state = ? WHERE watch = ? AND path = ? AND sha256 = ? AND state = ?",
            (after, *which),
        )


def is_unchanged(record: FileRecord | None, config: WatchConfig, seen: Fingerprint) -> bool:
    """Whether a file needs no second look because it is recorded just as it is now."""
    return (
        record is not None
        and record.fingerprint == seen
        and record.recipe_hash == config.recipe_hash
    )


def _is_settled_already(record: FileRecord, config: WatchConfig, file: Readable) -> bool:
    if record.sha256 != file.sha256 or record.recipe_hash != config.recipe_hash:
        return False
    if record.state is FileState.FAILED:
        # Saved again, it is tried again; a changed mode or link count is no reason to.
        return record.fingerprint.mtime_ns == file.fingerprint.mtime_ns
    return record.state in _IN_HAND


def _duplicate(path: str, first: str) -> str:
    if path == first:
        return "This content was processed before under the same name."
    return f"Duplicate of {first}: the same content with the same recipe is processed only once."


def _storable(reason: str) -> str:
    # A reason may name a file, and a name need not be valid text.
    return reason.encode("utf-8", "replace").decode()


def _numbers(fingerprint: Fingerprint) -> tuple[int, int, int]:
    return fingerprint.size, fingerprint.mtime_ns, fingerprint.ctime_ns


def _record(row: tuple[str, bytes, int, int, int, str, str, str, str]) -> FileRecord:
    watch, path, size, mtime_ns, ctime_ns, sha256, recipe_hash, state, reason = row
    return FileRecord(
        watch=watch,
        path=Path(os.fsdecode(path)),
        fingerprint=Fingerprint(size, mtime_ns, ctime_ns),
        sha256=sha256,
        recipe_hash=recipe_hash,
        state=FileState(state),
        reason=reason,
    )
