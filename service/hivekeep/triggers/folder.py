"""The life of one watched folder, from its first scan to its removal.

Responsible for turning signs of change into settled, admitted files; deciding is in ``settle`` and
``inventory``, delivering in ``outbox``.  Invariant: whatever is not in the inventory is found again
by the next scan, so nothing that is only in memory is ever needed after a crash.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from hivekeep.domain.errors import HivekeepError
from hivekeep.triggers.examine import (
    Changing,
    Gone,
    HashFile,
    Readable,
    Scan,
    Unreadable,
    Unsettled,
    examine,
    look,
    relative_to,
    scan,
)
from hivekeep.triggers.inventory import Inventory, is_unchanged
from hivekeep.triggers.model import Batch, Fingerprint, FoundFile, WatchConfig
from hivekeep.triggers.names import is_inside, is_wanted
from hivekeep.triggers.outbox import Outbox
from hivekeep.triggers.settle import Pending, Settling, Verdict, Waits, is_patient
from hivekeep.triggers.source import FolderSource, Mailbox, Signal, SignalKind

_CHUNK = 64  # files that are looked at before the folder's other business gets its turn


@dataclass(frozen=True, slots=True)
class WatchPorts:
    """What a watched folder needs from outside.

    ``poll_seconds`` is the time between two looks at a folder that is polled or missing,
    ``retry_seconds`` the wait after a delivery was refused, doubled with each further refusal.
    """

    on_batch: Callable[[Batch], Awaitable[None]]
    is_own_output: Callable[[Path], bool]
    hash_file: HashFile
    is_remote: Callable[[Path], bool]
    new_id: Callable[[], str]
    poll_seconds: float
    retry_seconds: float


class WatchedFolder:
    """One watched folder; ``run`` is its whole life."""

    def __init__(self, config: WatchConfig, inventory: Inventory, ports: WatchPorts) -> None:
        self.config = config
        self.ready = anyio.Event()
        """Set once the first attempt to watch has been made."""
        self._inventory = inventory
        self._ports = ports
        self._mailbox = Mailbox()
        self._source = FolderSource(self._mailbox)
        self._outbox = Outbox(config, inventory, ports.on_batch, ports.new_id, ports.retry_seconds)
        self._settling = self._nothing_pending()
        self._state = "starting"
        self._problem = ""
        self._root: Path | None = None
        self._identity: tuple[int, int] | None = None
        self._refused = False
        self._poll_at: float | None = None
        self._polled: dict[str, Fingerprint] = {}
        self._output: Path | None = None  # only if it lies in the folder

    @property
    def state(self) -> str:
        """What a person should know of this folder, in a few words."""
        reason = self._problem or self._outbox.reason
        return f"held back: {reason}" if reason else self._state

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                try:
                    await self._watch()
                except HivekeepError as error:
                    # The inventory cannot be written. It alone remembers, so begin anew from it.
                    self._problem = str(error)
                    self.ready.set()
                    await anyio.sleep(self._ports.retry_seconds)
        finally:
            self.ready.set()
            with anyio.CancelScope(shield=True):
                await run_sync(self._source.detach)

    async def _watch(self) -> None:
        await self._outbox.recall()
        self._settling = self._nothing_pending()
        self._identity = None
        self._problem = ""
        signals = [Signal(SignalKind.ROOT)]
        while True:
            await self._take_in(signals)
            self.ready.set()
            await self._look_at_due()
            root = self._root or Path(self.config.folder)
            if await self._outbox.close(anyio.current_time(), root, self._settling):
                await self._find_copies()
            await self._outbox.deliver(anyio.current_time())
            signals = await self._next_signals()

    def _nothing_pending(self) -> Settling:
        return Settling(Waits(self.config.settle_seconds, self.config.closed_seconds))

    async def _next_signals(self) -> list[Signal]:
        due = [self._settling.next_check(), self._poll_at, self._outbox.next_due()]
        times = [time for time in due if time is not None]
        with anyio.CancelScope(deadline=min(times, default=float("inf"))):
            await self._mailbox.wait()
        signals = self._mailbox.drain()
        if self._poll_at is not None and anyio.current_time() >= self._poll_at:
            signals.append(Signal(SignalKind.POLL))
        return signals

    async def _take_in(self, signals: list[Signal]) -> None:
        kinds = {signal.kind for signal in signals}
        if SignalKind.REFUSED in kinds:
            self._refused = True
        if kinds & {SignalKind.ROOT, SignalKind.REFUSED}:
            # A new folder can have the old one's inode number, so the sign itself counts.
            self._identity = None
        if kinds & {SignalKind.ROOT, SignalKind.REFUSED, SignalKind.POLL}:
            await self._check_root()
        elif SignalKind.RESCAN in kinds:
            await self._rescan()
        now = anyio.current_time()
        folders: list[str] = []
        for signal in signals:
            relative = self._below_root(signal.path)
            if relative is None:
                continue
            path = str(Path(self.config.folder, relative))
            match signal.kind:
                case SignalKind.FOLDER:
                    folders.append(str(relative))
                case SignalKind.GONE if path not in self._settling:
                    continue
                case _ if is_wanted(self.config, relative):
                    closed = signal.kind is SignalKind.CLOSED
                    self._settling.touch(path, now, closed=closed)
        if folders and self.config.recursive:
            await self._rescan(_outermost(folders))

    def _below_root(self, path: str) -> Path | None:
        """``path`` relative to the folder, or ``None`` if it is none of the folder's business."""
        if not path or self._root is None:
            return None
        relative = relative_to(path, str(self._root))
        if relative is None or not relative.parts:
            return None
        if self._output is not None and Path(path).is_relative_to(self._output):
            return None
        return Path(relative)

    async def _check_root(self) -> None:
        found = await run_sync(_identify, self.config)
        if found is None:
            await self._lose_root()
            return
        root, output, identity = found
        if self._identity != identity:
            self._root = root
            self._output = output if is_inside(output, root) else None
            self._polled = {}
            watched = await run_sync(self._attach, root)
            # Only now: had it failed half-way, the next look would try again.
            self._identity = identity
            self._state = "watching" if watched else "polling"
            self._poll_at = None if watched else anyio.current_time()
            await self._rescan()
        elif self._poll_at is not None:
            await self._rescan()
        if self._poll_at is not None:
            self._poll_at = anyio.current_time() + self._ports.poll_seconds

    async def _lose_root(self) -> None:
        await run_sync(self._source.detach)
        self._root = self._identity = None
        self._settling = self._nothing_pending()
        self._state = "folder is missing"
        # No notification tells of a file system that is mounted.
        self._poll_at = anyio.current_time() + self._ports.poll_seconds

    def _attach(self, root: Path) -> bool:
        try:
            if self._refused or self._ports.is_remote(root):
                self._source.detach()
                return False
            self._source.attach(root, recursive=self.config.recursive)
        except OSError:
            self._source.detach()
            return False
        return True

    async def _rescan(self, below: tuple[str, ...] = ("",)) -> None:
        if self._root is None:
            return
        found = await run_sync(scan, self.config, self._root, below)
        for path, _ in await run_sync(self._unknown, found):
            if path not in self._settling:
                self._settling.touch(path, anyio.current_time())
        mode = "watching" if self._poll_at is None else "polling"
        if self.config.folder in found.closed_folders:
            self._state = "folder cannot be opened"
            self._identity = None
            self._poll_at = anyio.current_time() + self._ports.poll_seconds
        elif below == ("",):
            closed = len(found.closed_folders)
            self._state = f"{mode}; {closed} sub-folders cannot be opened" if closed else mode

    async def _find_copies(self) -> None:
        self._polled = {}
        await self._rescan()

    def _unknown(self, found: Scan) -> list[tuple[str, Fingerprint]]:
        """The files that are not recorded as they are; when polling, only those that changed."""
        if self._polled and self._poll_at is not None:
            new = [item for item in found.files if self._polled.get(item[0]) != item[1]]
        else:
            known = self._inventory.known(self.config.id)
            new = [
                (path, seen)
                for path, seen in found.files
                if not is_unchanged(known.get(path), self.config, seen)
            ]
        if self._poll_at is not None:
            self._polled = dict(found.files)
        return new

    async def _look_at_due(self) -> None:
        root = self._root
        if root is None:
            return
        paths = self._settling.due(anyio.current_time(), _CHUNK)
        seen = await run_sync(_look_at_all, paths, root) if paths else []
        now = anyio.current_time()
        settled: list[tuple[str, bool, bool]] = []
        for path, fingerprint in zip(paths, seen, strict=True):
            if fingerprint is None:
                self._settling.drop(path)
            elif self._settling.observe(path, fingerprint, now) is Verdict.SETTLED:
                pending = self._settling.peek(path)
                settled.append((path, is_patient(pending, now), self._in_a_hurry(pending, now)))
        if settled:
            await self._admit(settled, root)

    def _in_a_hurry(self, pending: Pending, now: float) -> bool:
        return now < pending.quiet_since + self.config.settle_seconds

    async def _admit(self, settled: list[tuple[str, bool, bool]], root: Path) -> None:
        found, given_up, changing = await run_sync(self._examine, settled, root)
        now = anyio.current_time()
        unsettled = {file.path: file.why for file in changing}
        for path, *_ in settled:
            pending = self._settling.take(path)
            match unsettled.get(path):
                case Unsettled.WRITER:
                    self._settling.wait_for_writer(path, pending, now)
                case Unsettled.UNTOLD:
                    self._settling.distrust(path, pending)
                case Unsettled.CHANGED:
                    self._settling.touch(path, now)
        self._outbox.discard(given_up)
        self._outbox.add(found, now)
        if given_up:
            await self._find_copies()

    def _examine(
        self, settled: list[tuple[str, bool, bool]], root: Path
    ) -> tuple[list[FoundFile], list[str], list[Changing]]:
        """Read files and record what they are.

        :returns: the new work, the paths whose former content was given up, and the files that
            still change.
        """
        readable: list[Readable] = []
        own: list[Readable] = []
        unreadable: list[Unreadable] = []
        changing: list[Changing] = []
        for path, patient, hurried in settled:
            hash_file = self._ports.hash_file
            match examine(path, root, hash_file, wait_for_writer=patient, must_tell=hurried):
                case Readable() as file:
                    mine = self._ports.is_own_output(Path(path))
                    (own if mine else readable).append(file)
                case Unreadable() as file:
                    unreadable.append(file)
                case Changing() as file:
                    changing.append(file)
                case Gone():
                    pass
        if own:
            self._inventory.ignore(self.config, own, "Hivekeep wrote this file itself.")
        if unreadable:
            self._inventory.unreadable(self.config, unreadable)
        found, given_up = self._inventory.admit(self.config, readable) if readable else ([], [])
        return found, given_up, changing


def _identify(config: WatchConfig) -> tuple[Path, Path, tuple[int, int]] | None:
    """The folder and its output without symbolic links, and what tells it from a new one."""
    try:
        root = Path(config.folder).resolve(strict=True)
        found = root.stat()
        output = Path(config.output).resolve()
    except (OSError, RuntimeError):
        return None
    return (root, output, (found.st_dev, found.st_ino)) if root.is_dir() else None


def _look_at_all(paths: list[str], root: Path) -> list[Fingerprint | None]:
    return [look(path, root) for path in paths]


def _outermost(folders: list[str]) -> tuple[str, ...]:
    kept: list[str] = []
    for folder in sorted(set(folders), key=len):
        if not any(is_inside(Path(folder), Path(other)) for other in kept):
            kept.append(folder)
    return tuple(kept)
