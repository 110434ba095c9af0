"""Reads the content of records, with the owner's or an administrator's key.

Responsible for decrypting; what is wrong with the log is ``verifying``'s to say.  Records whose
keys were destroyed, or that were damaged, are left out of what is read here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hivekeep.audit.first_verify import first_records, first_segment_paths
from hivekeep.audit.opening import FIRST_FOLDER
from hivekeep.audit.record import AuditRecord, from_bytes
from hivekeep.audit.sealing import OwnerKey, ReadingKey, SegmentKey, unwrap
from hivekeep.audit.vault import AuditVault
from hivekeep.domain.errors import AuditError
from hivekeep.secrets import KeyStore
from hivekeep_verify import frames as layout
from hivekeep_verify.check import key_file_path, segment_paths
from hivekeep_verify.frames import COMMIT, EVENT, NOTE, FormatError, Frame
from hivekeep_verify.segment import Header, read_header

_HASH = 32
_USUAL_FRAME = 2_048


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a segment with the chain value before it."""

    frame: Frame
    previous: bytes


def read_key(path: Path, reader: ReadingKey) -> SegmentKey | None:
    """The key of a segment, ``None`` if it was destroyed or is not for this reader.

    :raises FormatError: if the segment does not begin as it has to.
    :raises OSError: if it cannot be read.
    """
    return _unwrap(path, read_header(path), reader)


def _unwrap(path: Path, header: Header, reader: ReadingKey) -> SegmentKey | None:
    try:
        raw = key_file_path(path.parent, header.number).read_bytes()
        return unwrap(raw, reader, bytes.fromhex(header.raw["key_commitment"]))
    except (FileNotFoundError, FormatError):
        return None


class SegmentReader:
    """One segment for reading. ``key`` is ``None`` if its content cannot be read.

    :raises FormatError: if the file does not begin as a segment does.
    :raises OSError: if it cannot be read.
    """

    def __init__(self, path: Path, reader: ReadingKey) -> None:
        self._path = path
        self.header: Header = read_header(path)
        self.key = _unwrap(path, self.header, reader)

    @cached_property
    def _data(self) -> bytes:
        return self._path.read_bytes()

    def entries(self) -> Iterator[Entry]:
        """All entries; ends where a write is under way, or at damage."""
        previous = self.header.start.chain
        try:
            for frame in layout.parse_frames(self._data):
                if frame.kind != COMMIT:
                    yield Entry(frame, previous)
                previous = frame.chain
        except FormatError:
            return

    def record(self, entry: Entry) -> AuditRecord | None:
        """The record of an entry, ``None`` if it is a note or cannot be read."""
        content = self.content(entry)
        try:
            return from_bytes(entry.frame.index, content) if content else None
        except ValueError:
            return None

    def content(self, entry: Entry) -> bytes | None:
        """The canonical JSON of an entry, ``None`` if it is a note or cannot be read."""
        if entry.frame.kind != EVENT or self.key is None:
            return None
        try:
            return self.key.open(entry.frame.index, entry.previous, entry.frame.content)
        except FormatError:
            return None

    def entries_with_records(self) -> Iterator[tuple[Entry, AuditRecord]]:
        """All readable records with their entries."""
        for entry in self.entries():
            record = self.record(entry)
            if record is not None:
                yield entry, record

    def records(self, since: int = 0) -> Iterator[AuditRecord]:
        """The readable records from this number on; earlier ones are not decrypted."""
        for entry in self.entries():
            record = self.record(entry) if entry.frame.index >= since else None
            if record is not None:
                yield record

    def records_at(self, offsets: Sequence[int]) -> Iterator[AuditRecord]:
        """The readable records whose frames begin at these offsets."""
        with self._path.open("rb") as file:
            for offset in offsets:
                # A frame ends with its chain value, and an event is never a segment's first.
                file.seek(offset - _HASH)
                data = file.read(_HASH + _USUAL_FRAME)
                try:
                    if _frame_size(data) > _USUAL_FRAME:
                        data += file.read(layout.MAX_FRAME)
                    frame = layout.parse_frame(data, _HASH)
                except FormatError:
                    continue
                record = self.record(Entry(frame, data[:_HASH]))
                if record is not None:
                    yield record

    @property
    def last_chain(self) -> bytes:
        """The chain value at the end of a segment that is not written to any more."""
        with self._path.open("rb") as file:
            file.seek(-_HASH, os.SEEK_END)
            return file.read(_HASH)


def _frame_size(data: bytes) -> int:
    return 4 + int.from_bytes(data[_HASH : _HASH + 4], "big")


def owner_reader(keys: KeyStore) -> OwnerKey:
    """What opens this profile's log.

    :raises AuditError: if there is no log yet.
    """
    owner = AuditVault(keys).owner
    if owner is None:
        raise AuditError(
            "There is no audit log to read.",
            why="This profile has no audit key yet.",
            next_step="The log begins with the daemon's first start.",
        )
    return OwnerKey(owner)


def open_segments(
    folder: Path, reader: ReadingKey, *, newest_first: bool = False, since: int = 0
) -> Iterator[SegmentReader]:
    """The log's segments in order; what does not begin as a segment does is left out.

    :param since: segments that end before this record are skipped.
    :raises AuditError: if a file cannot be read.
    """
    paths = segment_paths(folder)
    if since:
        paths = paths[segment_of(paths, since) :]
    for path in reversed(paths) if newest_first else paths:
        try:
            yield SegmentReader(path, reader)
        except FormatError:
            continue
        except OSError as error:
            raise AuditError(
                "The audit log cannot be read.", why=f"{path}: {error.strerror}."
            ) from error


def read_folder(
    folder: Path, reader: ReadingKey, *, limit: int | None = None, action: str = "", after: int = -1
) -> list[AuditRecord]:
    """The newest ``limit`` records in order that a key can read, also of a copied log.

    :param after: only those behind this record.
    :raises AuditError: if the log cannot be read at all.
    """
    found: list[AuditRecord] = []
    for segment in open_segments(folder, reader, newest_first=True, since=after + 1):
        found[:0] = [
            record for record in segment.records(after + 1) if not action or record.action == action
        ]
        if limit and len(found) >= limit:
            return found[-limit:]
    return found


def records(
    folder: Path, keys: KeyStore, *, limit: int | None = None, action: str = "", after: int = -1
) -> list[AuditRecord]:
    """As ``read_folder`` with the owner's key, and with a log of the first version before it.

    :raises AuditError: if the log cannot be read at all.
    """
    found = read_folder(folder, owner_reader(keys), limit=limit, action=action, after=after)
    if after >= 0 or (limit and len(found) == limit):
        return found
    first = folder / FIRST_FOLDER
    if first_segment_paths(first):
        old = [r for r in first_records(first, keys) if not action or r.action == action]
        found = old + found
    return found[-limit:] if limit else found


def notes(path: Path) -> Iterator[dict[str, Any]]:
    """The public notes of a segment.

    :raises FormatError: if one cannot be read.
    :raises OSError: if the segment cannot be.
    """
    for frame in layout.parse_frames(path.read_bytes()):
        if frame.kind == NOTE:
            try:
                yield json.loads(frame.content)
            except ValueError as error:
                raise FormatError("a note cannot be read") from error


def segment_of(paths: list[Path], record: int) -> int:
    """The position of the segment that holds a record, by bisection over the headers."""
    low, high = 0, len(paths)
    while high - low > 1:
        middle = (low + high) // 2
        if read_header(paths[middle]).start.index <= record:
            low = middle
        else:
            high = middle
    return low
