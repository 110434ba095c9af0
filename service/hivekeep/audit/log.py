"""The writing side of the audit log.

Responsible for durable appends and for what an earlier crash left behind.  Concurrent appends
share one sync (group commit).  Invariant: one writer at a time (a file lock), and after any failed
write the log is closed to further records until it is opened anew.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from hivekeep.audit import format as layout
from hivekeep.audit.record import AuditEvent, AuditRecord, to_bytes
from hivekeep.domain.errors import AuditError
from hivekeep.secrets import KeyStore

SEGMENT_BYTES = 8 << 20
ANCHOR_EVERY = 1_000
MASTER = "audit-master"
ANCHOR = "audit-anchor"


def segment_paths(folder: Path) -> list[Path]:
    """The segments of a log in order."""
    return sorted(folder.glob("segment-????????.audit"))


@dataclass(slots=True)
class _Ticket:
    events: Sequence[AuditEvent]
    last: int = 0
    error: AuditError | None = None
    done: bool = field(default=False)


class AuditLog:
    """An open audit log. Safe to use from several threads.

    :raises AuditError: if another process has it open, or its end was tampered with.
    """

    def __init__(
        self,
        folder: Path,
        keys: KeyStore,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._keys = folder, keys
        self._wall, self._monotonic = wall, monotonic
        self._pending: list[_Ticket] = []
        self._pending_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._failed: str = ""
        self._file: IO[bytes] | None = None
        self._head: layout.Head = layout.Head(0, layout.GENESIS)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("a")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AuditError(
                "The audit log is in use by another process.", why=f"{folder} is locked."
            ) from error
        except OSError as error:
            raise _unwritable(folder, error) from error
        self._master = keys.get_or_create(MASTER)
        torn = self._open_last()
        if torn:
            self.append(AuditEvent("daemon", "audit.torn_record", subject=torn, outcome="kept"))
        self._save_anchor()

    @classmethod
    def open(cls, folder: Path, keys: KeyStore) -> AuditLog:
        """Open or begin the log in ``folder``."""
        return cls(folder, keys)

    @property
    def count(self) -> int:
        """How many records the log holds."""
        return self._head.count

    def append(self, event: AuditEvent) -> int:
        """Record one event; it is on the disk when this returns. Returns its number, from 1.

        :raises AuditError: if it could not be written, now or earlier.
        """
        return self.append_many([event])

    def append_many(self, events: Sequence[AuditEvent]) -> int:
        """Record events in order with one sync; returns the last one's number."""
        ticket = _Ticket(events)
        with self._pending_lock:
            self._pending.append(ticket)
        with self._write_lock:
            if not ticket.done:
                with self._pending_lock:
                    batch, self._pending = self._pending, []
                self._write(batch)
        if ticket.error:
            raise ticket.error
        return ticket.last

    def close(self) -> None:
        """Note how far the log came in the key store, and release it."""
        with self._write_lock:
            if self._file is None:
                return
            if not self._failed:
                self._save_anchor()
            self._file.close()
            self._file = None
            self._failed = "it was closed"
            os.close(self._head_file)
            self._lock.close()

    def _write(self, batch: list[_Ticket]) -> None:
        try:
            if self._failed or self._file is None:
                raise AuditError(
                    "The audit log accepts no more records, so nothing further is done.",
                    why=f"Earlier, {self._failed}.",
                    next_step="Remove the cause and restart the daemon.",
                )
            before = self._head.count
            data = b"".join(
                self._seal(event, ticket) for ticket in batch for event in ticket.events
            )
            self._file.write(data)
            self._file.flush()
            os.fdatasync(self._file.fileno())
            # Not synced: after a crash it may lag behind the records, never be ahead of them.
            os.pwrite(self._head_file, layout.pack_head(self._master, self._head), 0)
            if self._head.count // ANCHOR_EVERY != before // ANCHOR_EVERY:
                self._save_anchor()
            if self._file.tell() >= SEGMENT_BYTES:
                self._begin_segment()
        except (OSError, AuditError) as error:
            failure = error if isinstance(error, AuditError) else _unwritable(self._folder, error)
            self._failed = self._failed or str(failure.why or failure.what)
            for ticket in batch:
                ticket.error = failure
        for ticket in batch:
            ticket.done = True

    def _seal(self, event: AuditEvent, ticket: _Ticket) -> bytes:
        record = AuditRecord(
            sequence=self._head.count + 1,
            time=self._wall(),
            monotonic=self._monotonic(),
            actor=event.actor,
            action=event.action,
            subject=event.subject,
            rule=event.rule,
            outcome=event.outcome,
            detail=event.detail,
        )
        sealed = self._sealer.seal(record.sequence, self._head.hash, to_bytes(record))
        if len(sealed.raw) > layout.MAX_RECORD:
            raise AuditError("A record is too large for the audit log.", why=event.action)
        self._head = layout.Head(record.sequence, sealed.hash)
        ticket.last = record.sequence
        return sealed.raw

    def _open_last(self) -> str:
        stored = self._stored_head()
        self._head = layout.Head(0, layout.GENESIS)
        self._number = 0
        torn = ""
        paths = segment_paths(self._folder)
        try:
            self._head_file = os.open(self._folder / "head", os.O_RDWR | os.O_CREAT, 0o600)
            if paths:
                torn = self._continue(paths[-1], stored)
            else:
                self._begin_segment()
        except layout.FormatError as error:
            raise _tampered(paths[-1] if paths else self._folder, str(error)) from error
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        if stored and stored.count > self._head.count:
            raise _tampered(
                self._folder, f"{stored.count - self._head.count} record(s) at the end are missing"
            )
        return torn

    def _continue(self, path: Path, stored: layout.Head | None) -> str:
        data = path.read_bytes()
        header = layout.parse_header(self._master, data)
        self._sealer = layout.Sealer(self._master, header)
        self._number = header.number
        self._head = layout.Head(header.first - 1, header.previous)
        offset, torn = layout.HEADER_SIZE, ""
        known = stored.count if stored else 0
        while offset < len(data):
            try:
                record = layout.parse_record(data, offset)
                self._sealer.open(record)
            except layout.FormatError:
                if self._head.count < known:
                    raise
                torn = self._set_aside(path, data, offset)
                break
            if record.sequence != self._head.count + 1 or record.previous != self._head.hash:
                raise layout.FormatError(f"record {record.sequence} does not follow the one before")
            self._head = layout.Head(record.sequence, record.hash)
            offset += len(record.raw)
        self._file = path.open("ab")
        return torn

    def _set_aside(self, path: Path, data: bytes, offset: int) -> str:
        name = f"torn-{self._number:08d}-{offset}.bin"
        (self._folder / name).write_bytes(data[offset:])
        os.truncate(path, offset)
        return name

    def _begin_segment(self) -> None:
        if self._file:
            self._file.close()
        self._number += 1
        header = layout.new_header(
            self._master, self._number, self._head.count + 1, self._head.hash
        )
        path = self._folder / f"segment-{self._number:08d}.audit"
        # Complete before it has its name: a kill leaves no segment without a header.
        temporary = path.with_suffix(".new")
        temporary.write_bytes(header.raw)
        temporary.replace(path)
        self._file = path.open("ab")
        os.fsync(self._file.fileno())
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._sealer = layout.Sealer(self._master, header)

    def _stored_head(self) -> layout.Head | None:
        found = []
        try:
            raw = (self._folder / "head").read_bytes()
        except FileNotFoundError:
            raw = b""
        for source in (raw, self._keys.get(ANCHOR) or b""):
            if source:
                try:
                    found.append(layout.parse_head(self._master, source))
                except layout.FormatError as error:
                    raise _tampered(self._folder, str(error)) from error
        return max(found, key=lambda head: head.count, default=None)

    def _save_anchor(self) -> None:
        self._keys.put(ANCHOR, layout.pack_head(self._master, self._head))


def _unwritable(folder: Path, error: OSError) -> AuditError:
    return AuditError(
        "The audit log cannot be written, so nothing further is done.",
        why=f"{folder}: {error.strerror}.",
        next_step="Free some disk space or make the folder writable, then restart the daemon.",
    )


def _tampered(place: Path, why: str) -> AuditError:
    return AuditError(
        "The audit log was changed from outside.",
        why=f"{place}: {why}.",
        next_step="Keep the folder for whoever audits this machine and move it away; "
        "a new log then begins.",
    )
