"""Verifies and reads a log of the first version, which a newer one continues.

Responsible for naming what is wrong and where; it changes nothing.  Reading goes on after a
problem, so that one flipped bit does not hide the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hivekeep.audit import first_format as layout
from hivekeep.audit.record import AuditRecord
from hivekeep.domain.errors import AuditError
from hivekeep.secrets import KeyStore
from hivekeep_verify.segment import Problem

MASTER = "audit-master"
ANCHOR = "audit-anchor"


@dataclass(frozen=True, slots=True)
class FirstReport:
    """What a log of the first version holds: so many records, the last of which has this hash."""

    records: int
    head: bytes
    problems: tuple[Problem, ...]


def first_segment_paths(folder: Path) -> list[Path]:
    """The segments of a log of the first version, in order."""
    return sorted(folder.glob("segment-????????.audit"))


class _Reader:
    """Walks all segments once, yielding records and collecting problems."""

    def __init__(self, folder: Path, master: bytes) -> None:
        self._folder, self._master = folder, master
        self.problems: list[Problem] = []
        self.hashes: dict[int, bytes] = {0: layout.GENESIS}
        self.expected = 1
        self._previous = layout.GENESIS

    def walk(self) -> Iterator[AuditRecord]:
        for number, path in enumerate(first_segment_paths(self._folder), start=1):
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
        sealer = layout.Opener(self._master, header)
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
                yield _record(sealer.open(sealed))
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


def verify_first(folder: Path, keys: KeyStore) -> FirstReport:
    """Check every record, the chain, and that the log is as long as it was known to be.

    :raises AuditError: if it cannot be read at all.
    """
    reader = _Reader(folder, _master(keys))
    count = sum(1 for _ in reader.walk())
    head, anchor = _read(folder / "head"), keys.get(ANCHOR)
    if head:
        reader.check_head(head, "head")
    else:
        reader.problems.append(Problem("head", 0, 0, "the head file is missing"))
    if anchor:
        reader.check_head(anchor, "anchor in the key store")
    return FirstReport(count, reader.hashes[max(reader.hashes)], tuple(reader.problems))


def first_records(folder: Path, keys: KeyStore) -> list[AuditRecord]:
    """All readable records in order."""
    return list(_Reader(folder, _master(keys)).walk())


def _record(content: bytes) -> AuditRecord:
    try:
        return AuditRecord(**json.loads(content))
    except TypeError as error:
        raise ValueError(str(error)) from error


def _master(keys: KeyStore) -> bytes:
    master = keys.get(MASTER)
    if master is None:
        raise AuditError(
            "The audit log of the first version cannot be read.",
            why="Its key is not in the key store.",
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
