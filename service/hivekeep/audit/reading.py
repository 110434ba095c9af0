"""Reads the content of records, with the owner's or an administrator's key.

Responsible for decrypting; what is wrong with the log is ``verifying``'s to say.  Records whose
keys were destroyed, or that were damaged, are left out of what is read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hivekeep.audit.first_verify import first_records, first_segment_paths
from hivekeep.audit.opening import FIRST_FOLDER
from hivekeep.audit.record import AuditRecord, from_bytes
from hivekeep.audit.sealing import OwnerKey, ReadingKey, SegmentKey, unwrap
from hivekeep.audit.vault import AuditVault
from hivekeep.domain.errors import AuditError
from hivekeep.secrets import KeyStore
from hivekeep_verify import frames as layout
from hivekeep_verify.check import key_file_path, segment_paths
from hivekeep_verify.frames import COMMIT, EVENT, FormatError, Frame
from hivekeep_verify.segment import Header, parse_header, read_header


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a segment with the chain value before it."""

    frame: Frame
    previous: bytes


class SegmentReader:
    """One segment for reading. ``key`` is ``None`` if its content cannot be read.

    :raises FormatError: if the file does not begin as a segment does.
    :raises OSError: if it cannot be read.
    """

    def __init__(self, path: Path, reader: ReadingKey) -> None:
        self._data = path.read_bytes()
        first = next(layout.parse_frames(self._data))
        self.header: Header = parse_header(first)
        self.key = self._unwrap(path, reader)

    def _unwrap(self, path: Path, reader: ReadingKey) -> SegmentKey | None:
        commitment = bytes.fromhex(self.header.raw["key_commitment"])
        try:
            raw = key_file_path(path.parent, self.header.number).read_bytes()
            return unwrap(raw, reader, commitment)
        except (FileNotFoundError, FormatError):
            return None

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

    def records(self) -> Iterator[AuditRecord]:
        """All readable records."""
        for entry in self.entries():
            record = self.record(entry)
            if record is not None:
                yield record


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
        paths = paths[_segment_of(paths, since) :]
    for path in reversed(paths) if newest_first else paths:
        try:
            yield SegmentReader(path, reader)
        except (FormatError, StopIteration):
            continue
        except OSError as error:
            raise AuditError(
                "The audit log cannot be read.", why=f"{path}: {error.strerror}."
            ) from error


def records(
    folder: Path, keys: KeyStore, *, limit: int | None = None, action: str = ""
) -> list[AuditRecord]:
    """The newest ``limit`` readable records in order, of one kind of action if asked.

    :raises AuditError: if the log cannot be read at all.
    """
    found: list[AuditRecord] = []
    for segment in open_segments(folder, owner_reader(keys), newest_first=True):
        here = [r for r in segment.records() if not action or r.action == action]
        found = here + found
        if limit and len(found) >= limit:
            return found[-limit:]
    first = folder / FIRST_FOLDER
    if first_segment_paths(first):
        old = [r for r in first_records(first, keys) if not action or r.action == action]
        found = old + found
    return found[-limit:] if limit else found


def _segment_of(paths: list[Path], record: int) -> int:
    """The position of the segment that holds a record, by bisection over the headers."""
    low, high = 0, len(paths)
    while high - low > 1:
        middle = (low + high) // 2
        if read_header(paths[middle]).start.index <= record:
            low = middle
        else:
            high = middle
    return low
