"""The reading side: verify the whole log, and read its records.

Responsible for naming what is wrong and where; it changes nothing.  Reading goes on after a
problem, so that one flipped bit does not hide the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hivekeep.audit import format as layout
from hivekeep.audit.log import ANCHOR, MASTER, segment_paths
from hivekeep.audit.record import AuditRecord, from_bytes
from hivekeep.domain.errors import AuditError
from hivekeep.secrets import KeyStore


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written. ``offset`` is in bytes from the segment's start."""

    segment: str
    record: int
    offset: int
    what: str

    def __str__(self) -> str:
        return f"{self.segment}, record {self.record}, byte {self.offset}: {self.what}"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The outcome of ``verify``. Times are seconds since the epoch, 0 in an empty log."""

    ok: bool
    records: int
    problems: tuple[Problem, ...]
    first: float
    last: float


class _Reader:
    """Walks all segments once, yielding records and collecting problems."""

    def __init__(self, folder: Path, master: bytes) -> None:
        self._folder, self._master = folder, master
        self.problems: list[Problem] = []
        self.hashes: dict[int, bytes] = {0: layout.GENESIS}
        self.expected = 1
        self._previous = layout.GENESIS

    def walk(self) -> Iterator[AuditRecord]:
        for number, path in enumerate(segment_paths(self._folder), start=1):
            data = path.read_bytes()
            try:
                header = layout.parse_header(self._master, data)
            except layout.FormatError as error:
                self._report(path, 0, str(error))
                continue
            if header.number != number:
                self._report(path, 0, f"segment {number} is missing, this is {header.number}")
            if header.first != self.expected or header.previous != self._previous:
                self._report(path, 0, "the segment does not continue the one before")
                self.expected, self._previous = header.first, header.previous
            yield from self._segment(path, data, header)

    def _segment(
        self, path: Path, data: bytes, header: layout.SegmentHeader
    ) -> Iterator[AuditRecord]:
        sealer = layout.Sealer(self._master, header)
        offset = layout.HEADER_SIZE
        while offset < len(data):
            try:
                sealed = layout.parse_record(data, offset)
            except layout.FormatError as error:
                # Without a length nothing behind this point can be told apart.
                self._report(path, offset, str(error))
                return
            self._check_place(path, offset, sealed)
            try:
                yield from_bytes(sealer.open(sealed))
            except (layout.FormatError, ValueError) as error:
                self._report(path, offset, str(error))
            self.expected = sealed.sequence + 1
            self._previous = sealed.hash
            self.hashes[sealed.sequence] = sealed.hash
            offset += len(sealed.raw)

    def _check_place(self, path: Path, offset: int, sealed: layout.SealedRecord) -> None:
        found = sealed.sequence
        if found > self.expected:
            last = found - 1
            span = f"record {last}" if last == self.expected else f"{self.expected} to {last}"
            self._report(path, offset, f"{span} removed before record {found}")
        elif found < self.expected:
            self._report(path, offset, f"record {found} is out of order or repeated")
        elif sealed.previous != self._previous:
            self._report(path, offset, "the record does not follow the one before it")

    def check_head(self, raw: bytes, where: str) -> None:
        try:
            head = layout.parse_head(self._master, raw)
        except layout.FormatError as error:
            self.problems.append(Problem(where, 0, 0, str(error)))
            return
        known = self.hashes.get(head.count)
        if known is None:
            missing = f"the log ends before record {head.count}, which it once held"
            self.problems.append(Problem(where, head.count, 0, missing))
        elif known != head.hash:
            other = f"record {head.count} is not the one that was written"
            self.problems.append(Problem(where, head.count, 0, other))

    def _report(self, path: Path, offset: int, what: str) -> None:
        self.problems.append(Problem(path.name, self.expected, offset, what))


def verify(folder: Path, keys: KeyStore) -> VerifyReport:
    """Check every record, the chain, and that the log is as long as it was known to be.

    :raises AuditError: if it cannot be read at all.
    """
    master = _master(keys)
    # Read before the walk: a daemon that appends meanwhile can only make the log longer.
    anchor, head = keys.get(ANCHOR), _read(folder / "head")
    reader = _Reader(folder, master)
    count, first, last = 0, 0.0, 0.0
    for record in reader.walk():
        count += 1
        first, last = first or record.time, record.time
    if head:
        reader.check_head(head, "head")
    elif segment_paths(folder):
        reader.problems.append(Problem("head", 0, 0, "the head file is missing"))
    if anchor:
        reader.check_head(anchor, "anchor in the key store")
    return VerifyReport(not reader.problems, count, tuple(reader.problems), first, last)


def records(
    folder: Path, keys: KeyStore, *, limit: int | None = None, action: str = ""
) -> list[AuditRecord]:
    """The newest ``limit`` readable records in order, of one kind of action if asked."""
    wanted = [
        record
        for record in _Reader(folder, _master(keys)).walk()
        if not action or record.action == action
    ]
    return wanted[-limit:] if limit else wanted


def _master(keys: KeyStore) -> bytes:
    master = keys.get(MASTER)
    if master is None:
        raise AuditError(
            "There is no audit log to read.",
            why="This profile has no audit key yet.",
            next_step="The log begins with the daemon's first start.",
        )
    return master


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise AuditError(
            "The audit log cannot be read.", why=f"{path}: {error.strerror}."
        ) from error
