"""Sends each new record to a sink, at least once, whatever happens in between.

Responsible for the queue, which is the log itself with a durable note of how far it was delivered;
nothing is lost when the sink or this program is away.  Invariant: without undelivered records the
thread sleeps without a timeout.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hivekeep.audit import files
from hivekeep.audit.delivery import DeliveryError, Target, send_records
from hivekeep.audit.reading import open_segments
from hivekeep.audit.record import AuditRecord
from hivekeep.audit.sealing import ReadingKey
from hivekeep.domain.errors import HivekeepError
from hivekeep_verify.frames import FormatError

_BATCH = 100
_GATHERING = 0.5
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 300.0

Send = Callable[[Target, list[AuditRecord], str], None]


@dataclass(frozen=True, slots=True)
class SinkState:
    """How a sink is: the next record to deliver, and why it is waiting, if it is."""

    target: str
    next_record: int
    why: str


class Forwarder:
    """One thread that delivers to one sink.

    :param reader: gives the owner's key now; it changes when keys are rotated.
    :param acknowledged: how many records the log holds now.
    """

    def __init__(
        self, folder: Path, target: Target, reader: Callable[[], ReadingKey],
        acknowledged: Callable[[], int], version: str, *, send: Send = send_records,
    ) -> None:  # fmt: skip
        self._folder, self._target, self._reader = folder, target, reader
        self._acknowledged, self._version, self._send = acknowledged, version, send
        self._cursor = folder / "sinks" / target.name
        self._cursor.parent.mkdir(mode=0o700, exist_ok=True)
        self._next = self._load()
        self._why = ""
        self._fresh, self._stopping = threading.Event(), threading.Event()
        self._fresh.set()
        self._thread = threading.Thread(target=self._run, name="audit-sink", daemon=True)
        self._thread.start()

    @property
    def state(self) -> SinkState:
        """How it is going."""
        return SinkState(self._target.text, self._next, self._why)

    def written(self) -> None:
        """There may be something to deliver."""
        self._fresh.set()

    def stop(self) -> None:
        """End the thread; what is undelivered is delivered after the next start."""
        self._stopping.set()
        self._fresh.set()
        self._thread.join()

    def _run(self) -> None:
        wait = _FIRST_WAIT
        while not self._stopping.is_set():
            self._fresh.wait()
            self._fresh.clear()
            try:
                self._deliver()
            except (DeliveryError, HivekeepError, FormatError, OSError) as error:
                self._why = str(error)
                self._stopping.wait(wait)
                self._fresh.set()
                wait = min(wait * 2, _LONGEST_WAIT)
            else:
                self._why, wait = "", _FIRST_WAIT
                # What comes within this time goes together, and reading is done once for all.
                self._stopping.wait(_GATHERING)

    def _deliver(self) -> None:
        for batch in _batches(self._records()):
            if self._stopping.is_set():
                return
            self._send(self._target, batch, self._version)
            self._next = batch[-1].sequence + 1
            files.write_durably(self._cursor, str(self._next).encode())

    def _records(self) -> Iterator[AuditRecord]:
        end = self._acknowledged()
        for segment in open_segments(self._folder, self._reader(), since=self._next):
            for record in segment.records(self._next):
                if record.sequence < end:
                    yield record

    def _load(self) -> int:
        try:
            return int(self._cursor.read_bytes())
        except (FileNotFoundError, ValueError):
            return 0


def _batches(records: Iterator[AuditRecord]) -> Iterator[list[AuditRecord]]:
    batch: list[AuditRecord] = []
    for record in records:
        batch.append(record)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
