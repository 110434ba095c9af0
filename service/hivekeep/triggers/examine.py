"""Looks at files of a watched folder: metadata, whether someone writes to them, and their hash.

Responsible for all file-system reads of the watcher and for turning errors into plain outcomes;
not for deciding.  Everything here blocks and runs in a worker thread.  Invariant: only regular
files inside the watched folder are ever opened, and a hash is returned only if the file looked the
same before and after it was read.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath

from hivekeep.domain.errors import HivekeepError
from hivekeep.triggers.model import Fingerprint, WatchConfig
from hivekeep.triggers.names import is_inside, is_wanted

HashFile = Callable[[Path], tuple[str, int]]
"""Returns the SHA-256 hex digest and the size in bytes of a file; raises ``OSError``."""


@dataclass(frozen=True, slots=True)
class Readable:
    """The file was read as it is."""

    path: str
    fingerprint: Fingerprint
    sha256: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The file is there but cannot be read; ``reason`` is for a person."""

    path: str
    fingerprint: Fingerprint
    reason: str


class Writer(StrEnum):
    """Whether somebody has a file open for writing."""

    NOBODY = "nobody"
    SOMEBODY = "somebody"
    UNKNOWN = "unknown"
    """The system does not tell."""


class Unsettled(StrEnum):
    """Why a file is not taken as it is."""

    CHANGED = "changed"
    """It changed while it was read."""
    WRITER = "writer"
    """Somebody has it open for writing."""
    UNTOLD = "untold"
    """Somebody may have it open for writing, and it was quiet only for a moment."""


@dataclass(frozen=True, slots=True)
class Changing:
    """The file may not be whole yet."""

    path: str
    why: Unsettled


@dataclass(frozen=True, slots=True)
class Gone:
    """The file is not there any more, or is not a regular file inside the folder."""

    path: str


Examined = Readable | Unreadable | Changing | Gone


@dataclass(frozen=True, slots=True)
class Scan:
    """What a walk through a folder found, and the sub-folders that could not be entered."""

    files: tuple[tuple[str, Fingerprint], ...]
    closed_folders: tuple[str, ...]


def relative_to(path: str, folder: str) -> PurePath | None:
    """``path`` below ``folder``, or ``None`` if it is not below it."""
    with suppress(ValueError):
        return PurePath(path).relative_to(folder)
    return None


def look(path: str, root: Path) -> Fingerprint | None:
    """The fingerprint of a regular file below ``root`` (resolved), else ``None``.

    A symbolic link counts as the file it points to, if that lies below ``root``.
    """
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            if not is_inside(Path(path).resolve(strict=True), root):
                return None
            found = Path(path).stat()
    except (OSError, RuntimeError):  # RuntimeError: a loop of links on Python before 3.13
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Fingerprint(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def examine(
    path: str, root: Path, hash_file: HashFile, *, wait_for_writer: bool, must_tell: bool
) -> Examined:
    """Read and hash one settled file.

    :param must_tell: whether it only counts as whole if the system says that nobody writes to it.
    """
    before = look(path, root)
    if before is None:
        return Gone(path)
    try:
        writer = writer_of(path) if wait_for_writer or must_tell else Writer.UNKNOWN
        if writer is Writer.SOMEBODY and wait_for_writer:
            return Changing(path, Unsettled.WRITER)
        if writer is not Writer.NOBODY and must_tell:
            return Changing(path, Unsettled.UNTOLD)
        sha256, size = hash_file(Path(path))
    except (OSError, HivekeepError) as error:
        if look(path, root) is None:
            return Gone(path)
        return Unreadable(path, before, _reason(error))
    after = look(path, root)
    if after is None:
        return Gone(path)
    if after != before or size != after.size:
        return Changing(path, Unsettled.CHANGED)
    return Readable(path, after, sha256)


def writer_of(path: str) -> Writer:
    """Whether any process has ``path`` open for writing, or mapped, as far as the system tells.

    Linux grants a read lease on a file only if nobody does.  Other systems, other users' files and
    most network file systems do not tell.

    :raises OSError: if the file cannot be opened.
    """
    if sys.platform != "linux":
        return Writer.UNKNOWN
    import fcntl

    set_signal = 10  # F_SETSIG, which the fcntl module does not name before Python 3.13
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # Whoever opens the file for writing meanwhile makes the kernel signal us. The default,
        # SIGIO, would end the process; SIGURG is ignored unless someone asks for it.
        fcntl.fcntl(descriptor, set_signal, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        held = error.errno in (errno.EAGAIN, errno.EBUSY)
        return Writer.SOMEBODY if held else Writer.UNKNOWN
    finally:
        os.close(descriptor)
    return Writer.NOBODY


def scan(config: WatchConfig, root: Path, below: Sequence[str] = ("",)) -> Scan:
    """The wanted regular files in the folder, or in its sub-folders ``below`` (relative paths).

    Symbolic links to folders are not followed.
    """
    files: list[tuple[str, Fingerprint]] = []
    closed: list[str] = []
    output = Path(config.output).resolve()
    for start in below:
        for path in _walk(str(Path(config.folder, start)), config, output, closed):
            fingerprint = look(path, root)
            if fingerprint is not None:
                files.append((path, fingerprint))
    return Scan(tuple(files), tuple(closed))


def _walk(start: str, config: WatchConfig, output: Path, closed: list[str]) -> Iterator[str]:
    stack = [start]
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        except OSError:
            closed.append(folder)
            continue
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                visible = config.recursive and not entry.name.startswith(".")
                if visible and Path(entry.path).resolve() != output:
                    stack.append(entry.path)
                continue
            relative = relative_to(entry.path, config.folder)
            if relative is not None and is_wanted(config, relative):
                yield entry.path


def _reason(error: OSError | HivekeepError) -> str:
    if isinstance(error, HivekeepError):
        return str(error)
    if isinstance(error, PermissionError):
        return "The file cannot be read: permission denied. Change its permissions to retry."
    return f"The file cannot be read: {error.strerror or error}."
