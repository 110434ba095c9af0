"""The writing side of the audit log.

Responsible for durable appends.  Concurrent appends share one sync and one signed checkpoint
(group commit).  Invariant: a record is acknowledged only when it and a checkpoint that covers it
are on the disk; after a write that failed, nothing is acknowledged until one succeeds again.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hivekeep.audit import custody, files
from hivekeep.audit.chain import Chain
from hivekeep.audit.delivery import Target
from hivekeep.audit.forwarding import SinkState
from hivekeep.audit.keeper import Keeper
from hivekeep.audit.opening import begin_segment, open_log
from hivekeep.audit.outlets import LogView, Outlets
from hivekeep.audit.record import AuditEvent, timestamp, to_bytes
from hivekeep.audit.sealing import OwnerKey, Recipient
from hivekeep.audit.searching import index_sealed
from hivekeep.audit.vault import AuditVault
from hivekeep.audit.witness import WitnessState
from hivekeep.domain.errors import AuditError, SecretsError
from hivekeep.secrets import KeyStore
from hivekeep_verify.notes import VerifierKey

SEGMENT_BYTES = 4 << 20
_DAY = 86_400
_SEALED_SECONDS = 60.0
# After these the disk may have room again; after any other failure its cache cannot be trusted.
_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """What policy says about the log. Times are in seconds.

    ``recipients`` can read new segments; ``epoch_seconds`` is how long one signing key is used at
    most, ``anchor_seconds`` how long the anchor may lag behind.  After ``retention_days`` the keys
    of a segment's content are destroyed.  ``witnesses`` get checkpoints, ``sinks`` records.
    """

    recipients: tuple[Recipient, ...] = ()
    epoch_seconds: float = 600.0
    anchor_seconds: float = 30.0
    retention_days: int | None = None
    witnesses: tuple[Target, ...] = ()
    sinks: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditState:
    """How the log is: ``ok``, ``blocked`` (may pass: disk full) or ``failed`` (restart)."""

    state: str
    records: int
    segment: int
    epoch: int
    why: str = ""
    anchor: str = "ok"


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
        settings: AuditSettings = AuditSettings(),
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.settings = folder, settings
        self.custody = threading.Lock()
        self._wall, self._monotonic = wall, monotonic
        self._pending: list[_Ticket] = []
        self._pending_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._keys_lock = threading.Lock()
        self._state, self._why, self._anchor_state = "ok", "", "ok"
        self._lock = files.lock(folder)
        try:
            self.vault = AuditVault(keys)
            opened = open_log(
                folder, keys, self.vault, settings.recipients, timestamp(wall())
            )  # fmt: skip
            self._head = files.HeadFile(folder)
        except OSError as error:
            self._lock.close()
            raise files.unwritable(folder, error) from error
        except BaseException:
            self._lock.close()
            raise
        self._chain, self._signer, self._segment = opened.chain, opened.signer, opened.segment
        self._began = datetime.fromisoformat(opened.began).timestamp()
        self._note, self._anchored = opened.note, self.vault.anchor_note
        if opened.note:
            self._head.write(opened.note)
        self._outlets = Outlets(
            LogView(folder, self.identity.hex(), self._reader, lambda: self.count)
        )
        self._outlets.use(settings.witnesses, settings.sinks)
        self._keeper = Keeper(
            {
                "anchor": (self.anchor, settings.anchor_seconds),
                "evolve": (self.evolve, settings.epoch_seconds),
                "sealed": (self._look_after_sealed, None),
            }
        )
        self._keeper.soon("sealed")
        if opened.remarks:
            self.append_many(opened.remarks)
        self.anchor()

    @classmethod
    def open(
        cls,
        folder: Path,
        keys: KeyStore,
        settings: AuditSettings = AuditSettings(),
    ) -> AuditLog:
        """Open or begin the log in ``folder``."""
        return cls(folder, keys, settings)

    def configure(self, settings: AuditSettings) -> None:
        """Obey other settings from now on; new readers read the segments that begin after this."""
        with self._write_lock:
            self.settings = settings
        self._outlets.use(settings.witnesses, settings.sinks)
        self._keeper.soon("anchor")
        self._keeper.soon("sealed")

    @property
    def count(self) -> int:
        """How many records the log holds, notes included."""
        return self._chain.index

    @property
    def identity(self) -> bytes:
        """The log's 16 random bytes."""
        return self._chain.log

    def now(self) -> float:
        """Wall-clock seconds, as records get them."""
        return self._wall()

    @property
    def origin(self) -> str:
        """The log's name in checkpoints."""
        return self._chain.origin

    @property
    def public_key(self) -> VerifierKey:
        """The key that signs now."""
        return self._signer.current.public

    @property
    def checkpoint(self) -> str:
        """The newest signed checkpoint."""
        return self._note

    @property
    def state(self) -> AuditState:
        """Whether records are accepted, and why not."""
        return AuditState(
            self._state, self._chain.index, self._chain.number, self._signer.current.epoch,
            self._why, self._anchor_state,
        )  # fmt: skip

    def index_sealed(self) -> int:
        """Build the indexes that the background has not built yet; returns how many."""
        return index_sealed(self.folder, self._reader())

    def witnessed(self) -> list[tuple[str, str]]:
        """Checkpoints of this log that witnesses keep and that can be read back, with places."""
        return self._outlets.witnessed()

    def witness_states(self) -> list[WitnessState]:
        """How each witness is."""
        return self._outlets.witness_states(self._note)

    def sink_states(self) -> list[SinkState]:
        """How each sink is."""
        return self._outlets.sink_states()

    def append(self, event: AuditEvent) -> int:
        """Record one event; it is on the disk when this returns. Returns its number.

        :raises AuditError: if it could not be written, now or earlier.
        """
        return self.append_many([event])

    def append_many(self, events: Sequence[AuditEvent]) -> int:
        """Record events in order with one sync; returns the last one's number.

        :raises AuditError: as ``append``; then none of them counts as recorded.
        """
        ticket = _Ticket(events)
        with self._pending_lock:
            self._pending.append(ticket)
        with self._write_lock:
            if not ticket.done:
                with self._pending_lock:
                    batch, self._pending = self._pending, []
                self._write_tickets(batch)
        if ticket.error or not ticket.done:
            raise ticket.error or AuditError(
                "The audit log could not be written, so nothing further is done.",
                why="Writing several records at once was broken off.",
            )
        return ticket.last

    def change(self, say: Callable[[], dict[str, Any]], done: Callable[[], None]) -> None:
        """Put a public note into the log, then do what it says before anything else is written.

        :raises AuditError: if the note could not be written; then nothing is done.
        """
        with self._write_lock:
            said = say()
            self._write(lambda chain: chain.note(said))
            done()

    def evolve(self) -> None:
        """Let a new key sign from now on, and forget the old one.

        :raises AuditError: if the log cannot be written.
        :raises SecretsError: if the key store cannot be; then the old key goes on signing.
        """
        with self._keys_lock:
            successor = self._signer.prepare()
            with self._write_lock:
                current = self._signer.current
                self._write(lambda chain: chain.epoch(current, successor), wake=False)
                self._signer.switch(successor)
            self._signer.forget_old()
        self.anchor()

    def anchor(self) -> None:
        """Note how far the log has come in the key store, and tell the witnesses."""
        with self._keys_lock:
            note = self._note
            if not note:
                return
            self._outlets.publish(note)
            if note == self._anchored:
                return
            try:
                self.vault.save(anchor=note)
            except SecretsError as error:
                self._anchor_state = str(error)
                raise
            self._anchored, self._anchor_state = note, "ok"

    def close(self) -> None:
        """Note how far the log came in the key store, and release it."""
        if self._state == "closed":
            return
        self._keeper.stop()
        self._outlets.stop()
        if self._state == "ok":
            self.anchor()
        with self._write_lock:
            self._state, self._why = "closed", "it was closed"
            with suppress(OSError):
                self._segment.close()
            self._head.close()
            self._lock.close()

    def _look_after_sealed(self) -> None:
        """Index segments that are not written to any more; destroy keys that policy says to."""
        days = self.settings.retention_days
        if days is not None:
            custody.shred(self, older_than_days=days)
        index_sealed(self.folder, self._reader())

    def _reader(self) -> OwnerKey:
        return OwnerKey(self.vault.owner_or_new())

    def _write_tickets(self, batch: list[_Ticket]) -> None:
        contents: list[bytes] = []
        now, clock = self._wall(), self._monotonic()
        accepted = []
        for ticket in batch:
            try:
                made = [to_bytes(event, time=now, monotonic=clock) for event in ticket.events]
            except AuditError as error:
                ticket.error = error
                continue
            contents += made
            accepted.append((ticket, len(contents)))
        try:
            if contents:
                self._begin_segment_if_full()
                first = self._chain.index
                self._write(lambda chain: b"".join([chain.event(each) for each in contents]))
                for ticket, end in accepted:
                    ticket.last = first + end - 1
        except AuditError as error:
            for ticket, _ in accepted:
                ticket.error = error
        for ticket in batch:
            ticket.done = True

    def _write(self, make: Callable[[Chain], bytes], *, wake: bool = True) -> None:
        """Write frames and a checkpoint over them, and sync; the write lock is held."""
        self._require_writable()
        chain = self._chain.copy()
        data = make(chain)
        frame, note = chain.commit(self._signer.current)
        try:
            self._segment.append(data + frame)
        except OSError as error:
            raise self._fail(error) from error
        except BaseException:
            self._state, self._why = "blocked", "a write was broken off"
            raise
        self._chain, self._note = chain, note
        self._head.write(note)
        if wake:
            self._keeper.written()
            self._outlets.written()

    def _begin_segment_if_full(self) -> None:
        old = self.settings.retention_days is not None and self._wall() - self._began > _DAY
        if self._segment.size < SEGMENT_BYTES and not old:
            return
        self._require_writable()
        chain = self._chain.copy()
        try:
            # First the old one gets its final size: a sealed segment is not extended ahead.
            self._segment.repair()
            segment, note = begin_segment(
                chain, self._signer, self.folder, self.vault.owner_or_new(),
                self.settings.recipients,
                time=timestamp(self._wall()),
            )  # fmt: skip
            self._segment.close()
        except OSError as error:
            raise self._fail(error) from error
        self._segment, self._chain, self._note = segment, chain, note
        self._began = self._wall()
        self._head.write(note)
        # Later: what is writing so much now shall not wait for it.
        self._keeper.soon("sealed", wait=_SEALED_SECONDS)

    def _require_writable(self) -> None:
        if self._state == "blocked":
            try:
                self._segment.repair()
            except OSError as error:
                raise self._fail(error) from error
            self._state, self._why = "ok", ""
        if self._state != "ok":
            raise AuditError(
                "The audit log accepts no more records, so nothing further is done.",
                why=f"Earlier, {self._why}.",
                next_step="Remove the cause and restart the daemon.",
            )

    def _fail(self, error: OSError) -> AuditError:
        failure = files.unwritable(self.folder, error)
        self._why = failure.why.rstrip(".")
        self._state = "blocked" if error.errno in _PASSING else "failed"
        return failure
