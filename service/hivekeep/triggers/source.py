"""Where signs of change come from: the operating system's notifications, through watchdog.

Responsible for observing a folder and for handing events from the observer's threads to the event
loop; not for what they mean.  Invariant: nothing is lost silently; where the system
drops events or refuses to watch, a ``RESCAN`` or ``REFUSED`` signal says so.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver

# Opening and every single write are left out: in a burst they would overflow the kernel's queue.
_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]
if sys.platform != "linux":  # no other system tells that a file was closed
    _EVENTS.append(FileModifiedEvent)
_PARENT_EVENTS: list[type[FileSystemEvent]] = [DirCreatedEvent, DirDeletedEvent, DirMovedEvent]


class SignalKind(StrEnum):
    """What a signal asks for."""

    TOUCHED = "touched"
    """A file appeared or was written."""
    CLOSED = "closed"
    """A file was closed after it was written, or moved in."""
    GONE = "gone"
    """A file is not there any more."""
    FOLDER = "folder"
    """A sub-folder appeared; files in it may have come without a sign."""
    ROOT = "root"
    """Something happened to the watched folder itself."""
    POLL = "poll"
    """It is time to look, because nobody would tell."""
    RESCAN = "rescan"
    """Events were lost."""
    REFUSED = "refused"
    """The system will not watch all of the folder."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One sign of change; ``path`` is empty where it concerns the whole folder."""

    kind: SignalKind
    path: str = ""


class Mailbox:
    """Signals on their way from any thread to the event loop that made the mailbox."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._filled = asyncio.Event()
        self._lock = threading.Lock()
        self._signals: dict[Signal, None] = {}

    def put(self, kind: SignalKind, path: str = "") -> None:
        """Add a signal; callable from any thread, never blocks for long."""
        with self._lock:
            first = not self._signals
            # The latest sign for a path counts, so it moves to the end.
            signal = Signal(kind, path)
            self._signals.pop(signal, None)
            self._signals[signal] = None
        if first:
            with suppress(RuntimeError):  # the loop has ended; nobody is left to be told
                self._loop.call_soon_threadsafe(self._filled.set)

    def drain(self) -> list[Signal]:
        """Take out all signals, in the order in which they came."""
        with self._lock:
            self._filled.clear()
            signals, self._signals = list(self._signals), {}
        return signals

    async def wait(self) -> None:
        """Return once there is a signal."""
        while not self._signals:
            await self._filled.wait()
            self._filled.clear()


class FolderSource:
    """The notifications of one folder, put into its mailbox.

    Each folder has an observer of its own: the kernel's queue is then filled by this folder alone,
    and whatever is lost or refused concerns it alone.  Every method blocks and belongs in a worker
    thread; never call two at once.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._observer: BaseObserver | None = None

    def attach(self, root: Path, *, recursive: bool) -> None:
        """Send signals for ``root`` (resolved) from now on, and for no earlier folder.

        :raises OSError: if the system cannot watch the folder.
        """
        self.detach()
        observer = _make_observer(self._mailbox.put)
        observer.start()
        self._observer = observer
        observer.schedule(
            _FolderHandler(str(root), self._mailbox),
            str(root),
            recursive=recursive,
            event_filter=_EVENTS,
        )
        if root.parent != root:
            # A folder that is renamed tells nobody but its parent.
            with suppress(OSError):
                observer.schedule(
                    _ParentHandler(str(root), self._mailbox),
                    str(root.parent),
                    event_filter=_PARENT_EVENTS,
                )

    def detach(self) -> None:
        """Send no more signals and end all threads."""
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join()


class _FolderHandler(FileSystemEventHandler):
    def __init__(self, root: str, mailbox: Mailbox) -> None:
        self._root = root
        self._mailbox = mailbox

    def dispatch(self, event: FileSystemEvent) -> None:
        source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
        put = self._mailbox.put
        match event:
            case FileMovedEvent():
                put(SignalKind.GONE, source)
                put(SignalKind.CLOSED, target)
            case FileDeletedEvent():
                put(SignalKind.GONE, source)
            case DirCreatedEvent():
                put(SignalKind.FOLDER, source)
            case DirMovedEvent():
                put(SignalKind.FOLDER, target)
            case DirDeletedEvent():
                if source == self._root:
                    put(SignalKind.ROOT)
            case FileModifiedEvent():
                put(SignalKind.TOUCHED, source)
            case _:
                # A file that is moved in from elsewhere only tells that it was created.
                put(SignalKind.CLOSED, source)


class _ParentHandler(FileSystemEventHandler):
    def __init__(self, root: str, mailbox: Mailbox) -> None:
        self._root = root
        self._mailbox = mailbox

    def dispatch(self, event: FileSystemEvent) -> None:
        if self._root in (os.fsdecode(event.src_path), os.fsdecode(event.dest_path)):
            self._mailbox.put(SignalKind.ROOT)


if sys.platform == "linux":
    from watchdog.observers.inotify import InotifyEmitter
    from watchdog.observers.inotify_c import (
        CallbackId,
        InotifyConstants,
        InotifyEvent,
        InotifyFD,
        Mask,
        WatchCallback,
        WatchDescriptor,
    )
    from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

    # Seconds for which a file that was moved away holds back all later events, because its new name
    # might follow. The kernel puts the two halves of a rename right behind each other.
    InotifyMoveEventGrouper.delay = 0.02

    class _Notifications(InotifyFD):
        """Says what watchdog only logs: lost events, unmounted folders, and refused watches."""

        def __init__(self, tell: Callable[[SignalKind], None]) -> None:
            super().__init__()
            self._tell = tell

        def add_callback(
            self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId
        ) -> WatchDescriptor:
            try:
                return super().add_callback(path, mask, callback, id_)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    self._tell(SignalKind.REFUSED)
                raise

        def handle_event(self, event: InotifyEvent) -> None:
            super().handle_event(event)
            if event.is_queue_overflow:
                self._tell(SignalKind.RESCAN)
            elif event.mask & InotifyConstants.IN_UNMOUNT:
                self._tell(SignalKind.ROOT)

    class _InotifyObserver(BaseObserver):
        def __init__(self, tell: Callable[[SignalKind], None]) -> None:
            self._notifications = _Notifications(tell)
            super().__init__(InotifyEmitter, inotify_fd=self._notifications)

        def on_thread_start(self) -> None:
            self._notifications.start()
            super().on_thread_start()

        def on_thread_stop(self) -> None:
            super().on_thread_stop()
            self._notifications.stop()
            self._notifications.join()

    def _make_observer(tell: Callable[[SignalKind], None]) -> BaseObserver:
        return _InotifyObserver(tell)

else:
    from watchdog.observers import Observer

    def _make_observer(tell: Callable[[SignalKind], None]) -> BaseObserver:  # noqa: ARG001
        return Observer()
