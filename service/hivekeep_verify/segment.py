"""Checks one segment by itself, so that segments can be checked in parallel.

Responsible for frames, chain, Merkle roots and signatures within one file, starting from what its
first note claims; whether those claims continue the segment before is ``check``'s to say.  Reading
goes on after a problem, so that one flipped bit does not hide the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hivekeep_verify import frames as layout
from hivekeep_verify.frames import COMMIT, EVENT, NOTE, Commit, FormatError, Frame
from hivekeep_verify.notes import Checkpoint, VerifierKey, certificate_text, decode64
from hivekeep_verify.tree import Frontier

FORMAT = "hivekeep-audit/2"
_USUAL_HEADER = 1 << 14

Inspect = Callable[[int, Frame, bytes], str]
"""Looks into an event: segment number, frame, chain value before it; says what is wrong, or ''."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written. ``offset`` is in bytes from the file's start."""

    place: str
    record: int
    offset: int
    what: str

    def __str__(self) -> str:
        return f"{self.place}, record {self.record}, byte {self.offset}: {self.what}"


@dataclass(frozen=True, slots=True)
class State:
    """Where a log stands between two frames."""

    index: int
    chain: bytes
    frontier: tuple[bytes, ...]
    epoch: int
    public: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment's first note says."""

    log: str
    origin: str
    number: int
    start: State
    key_file: str
    raw: dict[str, Any]


@dataclass(slots=True)
class SegmentReport:
    """What was found in one segment. ``notes`` are the public notes after the first, by index."""

    name: str
    header: Header | None = None
    end: State | None = None
    events: int = 0
    entries: int = 0
    commits: int = 0
    signatures: int = 0
    last: Commit | None = None
    roots: dict[int, bytes] = field(default_factory=dict)
    tail: int = 0
    tail_at: int = 0
    notes: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    tail_problems: list[Problem] = field(default_factory=list)


def parse_header(frame: Frame) -> Header:
    """The claims of a segment's first note.

    :raises FormatError: if it is something else.
    """
    if frame.kind != NOTE:
        raise FormatError("the segment does not begin with its note")
    try:
        said = json.loads(frame.content)
        if said["type"] != "segment" or said["format"] != FORMAT:
            raise FormatError("the segment does not begin with its note")
        start = State(
            int(said["first"]), bytes.fromhex(said["chain"]),
            tuple(bytes.fromhex(text) for text in said["frontier"]),
            int(said["epoch"]), decode64(said["public_key"]),
        )  # fmt: skip
        identity = bytes.fromhex(said["log"]) + bytes.fromhex(said["key_commitment"])
        sizes = {len(start.chain), len(start.public), *map(len, start.frontier)}
        if start.index.bit_count() != len(start.frontier) or frame.index != start.index:
            raise FormatError("the segment's note contradicts itself")
        if len(identity) != 16 + 32 or sizes != {32}:
            raise FormatError("the segment's note contradicts itself")
        return Header(
            said["log"], said["origin"], int(said["segment"]), start, said["key_file"], said
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError("the segment's note cannot be read") from error


def read_header(path: Path) -> Header:
    """The header of a segment file.

    :raises FormatError: if the file does not begin with one.
    :raises OSError: if it cannot be read.
    """
    start = len(layout.MAGIC)
    with path.open("rb") as file:
        data = file.read(_USUAL_HEADER)
        if data[:start] != layout.MAGIC:
            raise FormatError("this is not an audit segment")
        if int.from_bytes(data[start : start + 4], "big") > len(data) - start - 4:
            data += file.read(layout.MAX_FRAME)
    return parse_header(layout.parse_frame(data, start))


def check_segment(
    path: Path, inspect: Inspect | None = None, wanted: frozenset[int] = frozenset()
) -> SegmentReport:
    """Check one segment file.

    Of the checkpoints only those are compared with the tree that cover all others; when one does
    not match, every checkpoint is, to name the place.

    :param inspect: also looks into each event, with keys this package does not have.
    :param wanted: sizes of the log at which its root is asked for.
    :raises OSError: if it cannot be read.
    """
    data = path.read_bytes()
    check = _Check(path.name, data, inspect, wanted, thorough=False)
    report = check.run()
    if check.mismatch:
        return _Check(path.name, data, inspect, wanted, thorough=True).run()
    return report


class _Check:
    """One pass over one segment."""

    def __init__(
        self, name: str, data: bytes, inspect: Inspect | None, wanted: frozenset[int],
        *, thorough: bool,
    ) -> None:  # fmt: skip
        self._data, self._inspect, self._wanted, self._thorough = data, inspect, wanted, thorough
        self.report = SegmentReport(name)
        self.mismatch = False
        self._index, self._chain = 0, layout.GENESIS
        self._frontier = Frontier()
        self._epoch, self._key = 0, VerifierKey("", bytes(32))
        self._next: tuple[int, bytes] | None = None
        self._broken = False
        self._covered = 0
        self._unchecked: tuple[Frame, Commit, bytes] | None = None
        self._fresh: list[Problem] = []

    def run(self) -> SegmentReport:
        report = self.report
        at = len(layout.MAGIC)
        try:
            for frame in layout.parse_frames(self._data):
                if report.header is None:
                    self._begin(parse_header(frame))
                self._frame(frame)
                at = frame.end
        except FormatError as error:
            self._problem(at, str(error))
        self._settle()
        end = at if layout.is_padding(self._data, at) else len(self._data)
        report.tail = end - report.tail_at
        report.tail_problems = self._fresh
        if report.header is not None:
            report.end = State(
                self._index, self._chain, tuple(self._frontier.hashes), self._epoch,
                self._key.public,
            )  # fmt: skip
        return report

    def _begin(self, header: Header) -> None:
        start = header.start
        self.report.header = header
        self._index, self._chain = start.index, start.chain
        self._covered = start.index
        self._frontier = Frontier(start.index, start.frontier)
        self._epoch, self._key = start.epoch, VerifierKey(header.origin, start.public)

    def _frame(self, frame: Frame) -> None:
        if frame.kind == COMMIT:
            self._commit(frame)
        else:
            self._entry(frame)
        self._chain = frame.chain

    def _entry(self, frame: Frame) -> None:
        report, index = self.report, frame.index
        leaf = layout.leaf_hash(layout.leaf_data(frame.body, self._chain))
        report.entries += 1
        if index != self._index:
            self._misplaced(frame)
        elif layout.entry_chain(self._chain, leaf) != frame.chain:
            self._problem(frame.offset, "the record was changed, or is not in its place")
        elif frame.kind == EVENT and self._inspect is not None and report.header is not None:
            wrong = self._inspect(report.header.number, frame, self._chain)
            if wrong:
                self._problem(frame.offset, wrong)
        report.events += frame.kind == EVENT
        self._frontier.append(leaf)
        self._index = index + 1
        if self._index in self._wanted:
            report.roots[self._index] = self._frontier.root()
        if frame.kind == NOTE and report.entries > 1:
            self._note(frame)

    def _misplaced(self, frame: Frame) -> None:
        found, expected = frame.index, self._index
        if found > expected:
            last = found - 1
            span = f"record {last}" if last == expected else f"records {expected} to {last}"
            self._problem(frame.offset, f"{span} removed before record {found}")
        else:
            self._problem(frame.offset, f"record {found} is repeated or out of order")

    def _note(self, frame: Frame) -> None:
        try:
            said = json.loads(frame.content)
            kind = said["type"]
            if kind == "epoch":
                public, epoch = decode64(said["public_key"]), int(said["epoch"])
                text = certificate_text(self._key.name, epoch, public)
                certified = self._key.verifies(decode64(said["signature"]), text)
                if epoch != self._epoch + 1 or not certified:
                    self._problem(frame.offset, "the new signing key is not certified by the old")
                self._next = (epoch, public)
        except (ValueError, KeyError, TypeError, FormatError):
            self._problem(frame.offset, "the note cannot be read")
            return
        self.report.notes.append((frame.index, said))

    def _commit(self, frame: Frame) -> None:
        report = self.report
        try:
            commit = layout.parse_commit(frame)
        except FormatError as error:
            self._problem(frame.offset, str(error))
            return
        if layout.commit_chain(self._chain, frame.body) != frame.chain:
            # It may be torn: it counts as no checkpoint, and the next one tells.
            self._problem(frame.offset, "the checkpoint was changed, or is not in its place")
            return
        if commit.size != self._index or commit.epoch != self._epoch:
            self._problem(frame.offset, "the checkpoint does not cover what is before it")
        report.commits += 1
        self._unchecked = (frame, commit, b"" if self._broken else self._frontier.root())
        if self._next is not None or self._thorough:
            self._settle()
        if self._next is not None:
            self._epoch, public = self._next
            self._key = VerifierKey(self._key.name, public)
            self._next = None
        # Whatever was wrong up to here lies before a checkpoint: it was acknowledged once.
        report.problems += self._fresh
        self._fresh = []
        report.last, report.tail_at = commit, frame.end

    def _settle(self) -> None:
        """Compare the last checkpoint with the root of what is there, and check who signed it."""
        if self._unchecked is None:
            return
        frame, commit, root = self._unchecked
        self._unchecked = None
        text = Checkpoint(self._key.name, commit.size, commit.root).text().encode()
        before = f"records {self._covered} to {commit.size - 1}"
        self.report.signatures += 1
        found = self.report.problems
        if not self._key.verifies(commit.signature, text):
            self.mismatch = True
            found.append(
                Problem(self.report.name, self._covered, frame.offset,
                        f"the checkpoint over {before} is not signed by the key of its epoch")
            )  # fmt: skip
        elif root and root != commit.root:
            found.append(
                Problem(self.report.name, self._covered, frame.offset,
                        f"{before} are not those that were signed")
            )  # fmt: skip
            self._broken = self.mismatch = True
        self._covered = commit.size

    def _problem(self, offset: int, what: str) -> None:
        self._fresh.append(Problem(self.report.name, self._index, offset, what))
        # What follows cannot match a signed root any more; the place is already named.
        self._broken = True
