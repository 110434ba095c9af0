"""Checks a whole log: each segment, that they continue each other, and that nothing is missing.

Responsible for naming every problem with its place; it changes nothing.  Invariant: what lies
behind the last checkpoint was never acknowledged, so damage there is a remark, not a problem,
unless the head or a checkpoint kept elsewhere says that the log was longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from hivekeep_verify.frames import GENESIS, FormatError
from hivekeep_verify.notes import Checkpoint, VerifierKey, decode64, open_note
from hivekeep_verify.segment import (
    Inspect,
    Problem,
    SegmentReport,
    State,
    check_segment,
)

_BATCH = 4


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of ``check_log``.

    ``records`` are all leaves, ``events`` those with sealed content, ``keys`` the signing keys of
    all epochs, ``head`` the newest checkpoint that holds.
    """

    records: int
    events: int
    checkpoints: int
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]
    keys: tuple[VerifierKey, ...]
    head: Checkpoint | None
    notes: tuple[tuple[int, dict[str, Any]], ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def segment_paths(folder: Path) -> list[Path]:
    """The segments of a log in order."""
    return sorted(folder.glob("segment-????????.log"))


def key_file_path(folder: Path, number: int) -> Path:
    """Where the wrapped keys of a segment are."""
    return folder / "keys" / f"{number:08d}.json"


def check_log(
    folder: Path,
    *,
    trusted: Sequence[VerifierKey] = (),
    witnessed: Sequence[tuple[str, str]] = (),
    inspect: Inspect | None = None,
    jobs: int = 1,
) -> Report:
    """Check the log in ``folder``.

    :param trusted: keys got from elsewhere; the log must have one of them among its own.
    :param witnessed: places outside the log and the signed checkpoints kept there; the log must
        contain each of them.
    :param inspect: looks into events (see ``segment``); must be picklable if ``jobs`` is over 1.
    :raises OSError: if it cannot be read.
    """
    # Read before the segments: a log that is written meanwhile can only become longer.
    outside = [Claim("head", read_head(folder))]
    outside += [Claim(place, note) for place, note in witnessed]
    wanted = frozenset(claim.size for claim in outside)
    check = _Joined(folder)
    for report in _reports(segment_paths(folder), inspect, wanted, jobs):
        check.add(report)
    check.finish(outside, trusted)
    return check.report()


def _reports(
    paths: list[Path], inspect: Inspect | None, wanted: frozenset[int], jobs: int
) -> Iterator[SegmentReport]:
    if jobs <= 1 or len(paths) <= 1:
        for path in paths:
            yield check_segment(path, inspect, wanted)
        return
    from concurrent.futures import ProcessPoolExecutor  # costly, and seldom needed

    with ProcessPoolExecutor(jobs) as pool:
        count = len(paths)
        yield from pool.map(
            check_segment, paths, [inspect] * count, [wanted] * count, chunksize=_BATCH
        )


class Claim:
    """A signed checkpoint from outside the segments, and what is wrong with it by itself."""

    def __init__(self, place: str, note: str) -> None:
        self.place, self.wrong = place, "" if note else "it is missing"
        self.checkpoint = Checkpoint("", 0, b"")
        self.signatures: list[tuple[str, bytes, bytes]] = []
        self._text = ""
        if note:
            try:
                self._text, self.signatures = open_note(note)
                self.checkpoint = Checkpoint.parse(self._text)
            except FormatError as error:
                self.wrong = f"it was changed: {error}"

    @property
    def size(self) -> int:
        """How many records it says there are."""
        return self.checkpoint.size

    def signed_by(self, keys: Sequence[VerifierKey]) -> bool:
        """Whether one of the log's keys signed it."""
        by_id = {key.id: key for key in keys}
        return any(
            identifier in by_id and by_id[identifier].verifies(signature, self._text.encode())
            for name, identifier, signature in self.signatures
            if name == self.checkpoint.origin
        )


class _Joined:
    """Puts the segments' reports together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._problems: list[Problem] = []
        self._remarks: list[str] = []
        self._state = State(0, GENESIS, (), 0, b"")
        self._damaged = False
        self._number = 0
        self._origin = self._log = ""
        self._keys: list[VerifierKey] = []
        self._events = self._commits = 0
        self._last: Checkpoint | None = None
        self._tail: SegmentReport | None = None
        self._notes: list[tuple[int, dict[str, Any]]] = []
        self._key_files: dict[int, str] = {}
        self._roots: dict[int, bytes] = {}

    def add(self, report: SegmentReport) -> None:
        """The next segment."""
        self._finish_tail()
        self._tail = report
        self._problems += report.problems
        self._events += report.events
        self._commits += report.commits
        header, end = report.header, report.end
        if header is None or end is None:
            return
        self._number += 1
        if header.number != self._number:
            missing = f"segment {self._number} is missing, this is {header.number}"
            self._add(report.name, header.start.index, missing)
            self._number = header.number
        if not self._origin:
            self._origin, self._log = header.origin, header.log
        if (header.origin, header.log) != (self._origin, self._log):
            self._add(report.name, header.start.index, "the segment belongs to another log")
        before = self._state
        if not before.public:
            before = State(before.index, before.chain, (), 0, header.start.public)
            self._keys.append(VerifierKey(self._origin, header.start.public))
        difference = _difference(before, header.start, damaged=self._damaged)
        if difference:
            self._add(report.name, header.start.index, difference)
        self._key_files[header.number] = header.key_file
        for index, said in [(header.start.index, header.raw), *report.notes]:
            self._note(index, said)
        # Its tree then differs from the signed one; the place is named already.
        self._damaged = bool(report.problems or report.tail_problems)
        self._state = end
        self._roots.update(report.roots)
        if report.last is not None:
            self._last = Checkpoint(self._origin, report.last.size, report.last.root)

    def _note(self, index: int, said: dict[str, Any]) -> None:
        self._notes.append((index, said))
        kind = said["type"]
        if kind == "epoch":
            self._keys.append(VerifierKey(self._origin, decode64(said["public_key"])))
        elif kind == "keys":
            for number, digest in said["files"].items():
                self._key_files[int(number)] = str(digest)
        elif kind == "shredded":
            for number in said["segments"]:
                self._key_files[int(number)] = ""

    def _finish_tail(self) -> None:
        """A segment that another one follows ends with a checkpoint."""
        report = self._tail
        if report is None or not (report.tail or report.tail_problems):
            return
        self._problems += report.tail_problems
        if not report.tail_problems:
            what = "the segment does not end with a checkpoint"
            self._problems.append(Problem(report.name, self._state.index, report.tail_at, what))

    def finish(self, outside: Sequence[Claim], trusted: Sequence[VerifierKey]) -> None:
        """All segments are there: compare with what is known from outside."""
        tail, size = self._tail, self._last.size if self._last else 0
        if tail is None:
            self._add("log", 0, "there is no segment")
        longest = max((claim.size for claim in outside if not claim.wrong), default=0)
        if tail is not None and (tail.tail or tail.tail_problems):
            if longest > size:
                self._problems += tail.tail_problems
            else:
                what = f"an unfinished write of {tail.tail} bytes after record {size - 1}"
                self._remarks.append(f"{tail.name}: {what}; it was never acknowledged.")
        for claim in outside:
            self._compare(claim, size)
        self._check_key_files()
        if not trusted:
            self._remarks.append("No trusted key was given: the log's own first key was believed.")
        elif not any(key in self._keys for key in trusted):
            self._add("log", 0, "none of the trusted keys belongs to this log")

    def _compare(self, claim: Claim, size: int) -> None:
        wrong = claim.wrong
        if not wrong and claim.size > size:
            wrong = f"the log ends before record {claim.size - 1}, which it once held"
        elif not wrong and claim.checkpoint.origin != self._origin:
            wrong = "it is of another log"
        elif not wrong and not claim.signed_by(self._keys):
            wrong = "no key of this log has signed it"
        elif not wrong and self._roots.get(claim.size) != claim.checkpoint.root:
            wrong = f"the first {claim.size} records are not those that it was made over"
        if wrong:
            self._add(claim.place, max(claim.size - 1, 0), wrong)

    def _check_key_files(self) -> None:
        for number, expected in self._key_files.items():
            path = key_file_path(self._folder, number)
            place = f"keys/{path.name}"
            if not expected:
                if path.exists():
                    self._add(place, 0, "the segment's keys were to be destroyed, and are not")
            elif not path.exists():
                self._add(place, 0, "the segment's keys are missing")
            elif sha256(path.read_bytes()).hexdigest() != expected:
                self._add(place, 0, "the segment's keys were changed")

    def report(self) -> Report:
        """What was found."""
        return Report(
            records=self._state.index, events=self._events, checkpoints=self._commits,
            problems=tuple(self._problems), remarks=tuple(self._remarks),
            keys=tuple(self._keys), head=self._last, notes=tuple(self._notes),
        )  # fmt: skip

    def _add(self, place: str, record: int, what: str) -> None:
        self._problems.append(Problem(place, record, 0, what))


def _difference(before: State, start: State, *, damaged: bool) -> str:
    if start.index != before.index:
        return f"the segment begins with record {start.index}, expected was {before.index}"
    if (start.epoch, start.public) != (before.epoch, before.public):
        return "the segment's signing key is not the one that was in force"
    if not damaged and (start.chain, start.frontier) != (before.chain, before.frontier):
        return "the segment does not continue the one before"
    return ""


def read_head(folder: Path) -> str:
    """The newest checkpoint beside the segments, empty if there is none."""
    try:
        return (folder / "head").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
