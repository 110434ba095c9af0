"""The plain data of watched folders: what to watch, what was found, and what becomes of a file.

Responsible for the types only; nothing here touches the file system.  Invariant: a ``Batch`` keeps
its ``id`` for ever, so whoever starts work for it can tell a repeated delivery from a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """One watched folder.

    ``folder`` and ``output`` are absolute paths.  ``recipe_hash`` is the SHA-256 of the recipe
    file and part of what "the same work" means.  ``include`` and ``exclude`` are shell patterns,
    compared without regard to case with a file's name, or with its path below ``folder`` if they
    hold a slash; no ``include`` means every file.  A file is settled when it has not changed for
    ``settle_seconds``, or for ``closed_seconds`` if the system told that it was closed and that
    nobody writes to it.  Work on it starts then; its result waits until nothing more has settled
    for ``batch_seconds``, so that files that came together are in one.  From a ``paused`` folder
    nothing is picked up.
    """

    id: str
    folder: str
    recipe: str
    recipe_hash: str
    output: str
    recursive: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    settle_seconds: float = 1.0
    batch_seconds: float = 3.0
    closed_seconds: float = 0.1
    paused: bool = False


class FileState(StrEnum):
    """What is known of a file in a watched folder."""

    SEEN = "seen"
    """New, and not yet in a batch."""
    BATCHED = "batched"
    """In a batch whose delivery is not confirmed; delivered again after a crash."""
    RUNNING = "running"
    """Handed over; a run works on it."""
    DONE = "done"
    FAILED = "failed"
    IGNORED = "ignored"
    """Deliberately left alone; the reason says why."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a file's metadata says of its content: ``size`` in bytes, times in nanoseconds."""

    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A settled file with new content. ``sha256`` is the hex digest of its bytes."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Files of one watched folder that settled at the same time.

    The same batch, with the same ``id``, is delivered again if the program was killed before the
    delivery was confirmed; starting work for it must therefore be idempotent by ``id``.
    """

    id: str
    config: WatchConfig
    files: tuple[FoundFile, ...]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One line of the inventory. ``sha256`` is empty if the file could not be read."""

    watch: str
    path: Path
    fingerprint: Fingerprint
    sha256: str
    recipe_hash: str
    state: FileState
    reason: str
