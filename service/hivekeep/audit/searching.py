"""Finds records by their values, through the segments' indexes.

Responsible for going from a query to decrypted records, newest first; only records that match are
decrypted.  The segment that is being written has no index and is read as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hivekeep.audit import files, index
from hivekeep.audit.reading import SegmentReader, open_segments
from hivekeep.audit.record import AuditRecord
from hivekeep.audit.sealing import ReadingKey
from hivekeep.domain.errors import AuditError, UsageError
from hivekeep_verify.check import segment_paths
from hivekeep_verify.frames import FormatError


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: exact values of indexed fields, a span of time, and words anywhere.

    Times are seconds since the epoch; ``text`` is looked for in the whole record and is not
    indexed: what the other conditions leave is decrypted and read.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    since: float = 0.0
    until: float = float("inf")
    text: str = ""

    def check(self) -> None:
        """:raises UsageError: if a field is not indexed."""
        for name in self.values:
            if name not in index.SEARCHABLE:
                raise UsageError(
                    f"Records cannot be searched by '{name}'.",
                    next_step=f"Fields are: {', '.join(index.SEARCHABLE)}.",
                )


def search(
    folder: Path, reader: ReadingKey, query: Query, *, limit: int | None = None
) -> list[AuditRecord]:
    """The newest ``limit`` records that match, in the order of the log.

    :raises UsageError: if a field is not indexed.
    :raises AuditError: if the log cannot be read.
    """
    query.check()
    found: list[AuditRecord] = []
    current = len(segment_paths(folder))
    ends = float("inf")
    for segment in open_segments(folder, reader, newest_first=True):
        begins = datetime.fromisoformat(segment.header.raw["time"]).timestamp()
        if begins <= query.until and ends >= query.since:
            sealed = segment.header.number < current
            here = [r for r in _candidates(folder, segment, query, sealed) if _fits(r, query)]
            found[:0] = here
        if (limit and len(found) >= limit) or begins < query.since:
            break
        ends = begins
    return found[-limit:] if limit else found


def index_sealed(folder: Path, reader: ReadingKey) -> int:
    """Build the indexes that are missing of segments not written to any more; returns how many.

    :raises OSError: if one cannot be written.
    """
    built = 0
    files.clear_derived(folder / "derived")
    for path in segment_paths(folder)[:-1]:
        number = path.name[8:16]
        if not (folder / "derived" / f"{number}.index").exists():
            try:
                built += build_index(folder, SegmentReader(path, reader)) is not None
            except FormatError:
                continue  # 'verify' names it
    return built


def build_index(folder: Path, segment: SegmentReader) -> index.Index | None:
    """Build and keep the index of a sealed segment; ``None`` if it cannot be read.

    :raises OSError: if it cannot be written.
    """
    if segment.key is None:
        return None
    key, last = segment.key.index_key(), segment.last_chain
    found = ((e.frame.offset, r) for e, r in segment.entries_with_records())
    sealed = index.build(key, found, last)
    files.write_derived(_path(folder, segment), sealed)
    return index.Index(key, sealed, last)


def _candidates(
    folder: Path, segment: SegmentReader, query: Query, sealed: bool
) -> Iterator[AuditRecord]:
    if segment.key is None:
        return
    if not query.values or not sealed:
        yield from segment.records()
        return
    yield from segment.records_at(_index(folder, segment).find(query.values))


def _index(folder: Path, segment: SegmentReader) -> index.Index:
    if segment.key is None:
        raise AuditError("The segment's key was destroyed.")
    try:
        raw = _path(folder, segment).read_bytes()
        return index.Index(segment.key.index_key(), raw, segment.last_chain)
    except (FileNotFoundError, FormatError):
        pass
    try:
        made = build_index(folder, segment)
    except OSError as error:
        raise files.unwritable(folder, error) from error
    if made is None:
        raise AuditError("The segment's key was destroyed.")
    return made


def _fits(record: AuditRecord, query: Query) -> bool:
    if not query.since <= record.time <= query.until:
        return False
    if any(pair not in set(index.terms(record)) for pair in query.values.items()):
        return False
    return not query.text or query.text.casefold() in str(record).casefold()


def _path(folder: Path, segment: SegmentReader) -> Path:
    return folder / "derived" / f"{segment.header.number:08d}.index"
