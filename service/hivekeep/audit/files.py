"""The files of a log's folder and how they are made durable.

Responsible for names, syncs and the one open segment; not for what the bytes mean.  Invariant:
after a write that failed, the segment ends where the last good write ended, or is given up.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from hivekeep.audit.direct import BLOCK, DirectEnd, open_direct, round_up
from hivekeep.domain.errors import AuditError

# The second where the first does not fit any more.
_AHEAD = (1 << 20, 64 << 10)
_UNFINISHED = ".new"
_ABANDONED = 3600.0


def segment_path(folder: Path, number: int) -> Path:
    """Where a segment is."""
    return folder / f"segment-{number:08d}.log"


def lock(folder: Path) -> IO[str]:
    """Hold the log for writing until the returned file is closed.

    :raises AuditError: if another process holds it, or the folder cannot be written.
    """
    try:
        for place in (folder, folder / "keys", folder / "derived"):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = (folder / "lock").open("a", encoding="ascii")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            raise
    except BlockingIOError as error:
        raise AuditError(
            "The audit log is in use by another process.", why=f"{folder} is locked."
        ) from error
    except OSError as error:
        raise unwritable(folder, error) from error
    return held


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file as a whole; it is there completely or not at all.

    :raises OSError: if it cannot be written.
    """
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_folder(path.parent)


def write_derived(path: Path, data: bytes) -> None:
    """Replace a file that can be made again; it is not synced.

    Threads and processes may do so at the same time; the last one wins.

    :raises OSError: if it cannot be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=_UNFINISHED, dir=path.parent)
    temporary = Path(name)
    try:
        try:
            write_all(descriptor, data)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def clear_derived(folder: Path) -> None:
    """Remove what a kill left of :func:`write_derived` in ``folder``, if it is an hour old."""
    with contextlib.suppress(OSError):
        for left in folder.glob(f"*{_UNFINISHED}"):
            if left.stat().st_mtime < time.time() - _ABANDONED:
                left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_data(descriptor: int) -> None:
    """Make what was written to a file durable.

    :raises OSError: if it is not certain that it is.
    """
    if sys.platform == "darwin":
        # There fsync leaves the data in the drive's own cache (fsync(2)).
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)


def write_all(descriptor: int, data: bytes, offset: int = 0) -> None:
    """Write all bytes; a full disk may take only some at a time."""
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, offset)
        view, offset = view[done:], offset + done


class OpenSegment:
    """The segment that is being written.

    The file is extended by zeros ahead of what is written: a sync then has no new size to make
    durable as well, which about halves its time.  ``close`` cuts them off.

    :param size: where the last good write ended.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._allocated = os.fstat(self._descriptor).st_size
        self._direct: DirectEnd | None = None
        direct = open_direct(path)
        if direct is not None:
            start = size - size % BLOCK
            self._direct = DirectEnd(direct, os.pread(self._descriptor, size - start, start))

    @classmethod
    def create(cls, path: Path, data: bytes) -> OpenSegment:
        """A new segment that begins with ``data``; durable when this returns."""
        write_durably(path, data)
        return cls(path, len(data))

    def append(self, data: bytes) -> None:
        """Write and sync.

        :raises OSError: if either failed; if ``repair`` then succeeds, the file is as it was.
        """
        end = self.size + len(data)
        if round_up(end) > self._allocated:
            self._extend(end)
        self._write(data)
        sync_data(self._descriptor)
        self.size = end

    def _extend(self, end: int) -> None:
        for ahead in _AHEAD:
            wanted = round_up(end + ahead)
            try:
                write_all(self._descriptor, bytes(wanted - self._allocated), self._allocated)
            except OSError as error:
                if error.errno != errno.ENOSPC or ahead == _AHEAD[-1]:
                    raise
                os.ftruncate(self._descriptor, self._allocated)
                continue
            # The new blocks are the file's for good before anything goes around the cache.
            sync_data(self._descriptor)
            self._allocated = wanted
            return

    def _write(self, data: bytes) -> None:
        if self._direct is not None:
            try:
                self._direct.write(data, self.size)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                # The file system takes no blocks of this size.
                self._direct.close()
                self._direct = None
            else:
                return
        write_all(self._descriptor, data, self.size)

    def repair(self) -> None:
        """Cut off what a failed write left.

        :raises OSError: if that fails, too.
        """
        os.ftruncate(self._descriptor, self.size)
        self._allocated = self.size
        os.fsync(self._descriptor)

    def close(self) -> None:
        """End the file where its frames end, and release it.

        :raises OSError: if that could not be made durable; the zeros then stay, which is harmless.
        """
        try:
            self.repair()
        finally:
            if self._direct is not None:
                self._direct.close()
            os.close(self._descriptor)


class HeadFile:
    """The newest checkpoint, as a signed note, overwritten in place.

    It is not synced: after a power cut it may lag behind the segments, never be ahead of them.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / "head", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, note: str) -> None:
        """Note how far the log has come. A note never gets shorter, so nothing of it is left."""
        os.pwrite(self._descriptor, note.encode(), 0)

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)


def unwritable(folder: Path, error: OSError) -> AuditError:
    """What a failed write means for the user."""
    return AuditError(
        "The audit log cannot be written, so nothing further is done.",
        why=f"{folder}: {error.strerror}.",
        next_step="Free some disk space or make the folder writable; a restart may be needed.",
    )


def tampered(place: Path, why: str) -> AuditError:
    """What a log that is not as it was written means for the user."""
    return AuditError(
        "The audit log was changed from outside.",
        why=f"{place}: {why}.",
        next_step="Keep the folder for whoever audits this machine; "
        "'hivekeep audit anchor --begin-anew' then sets it aside and begins a new log.",
    )
