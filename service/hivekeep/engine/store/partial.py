"""A model on its way: the bytes so far and how far they can be trusted as a prefix.

Responsible for what is kept between two attempts at a download.  Invariant: ``weights`` cut to
``joined`` ends exactly after a whole number of verified parts, whatever instant the power failed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from hivekeep.domain.errors import ModelStoreError


class Partial:
    """The folder ``<name>.partial`` of one model; ``limit`` is the size of the whole model."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self.weights = folder / "weights"
        self._state = folder / "state.json"

    def create(self) -> None:
        """Make the folder."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def clear(self) -> None:
        """Forget everything."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """The folder for one attempt; what it leaves is kept for the next, but no empty folder."""
        self.create()
        try:
            yield
        finally:
            with suppress(OSError):
                self.folder.rmdir()

    @property
    def length(self) -> int:
        """Bytes of the model at hand."""
        with suppress(FileNotFoundError):
            return self.weights.stat().st_size
        return 0

    @property
    def used(self) -> int:
        """Bytes that the folder takes."""
        with suppress(FileNotFoundError):
            return sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())
        return 0

    def part(self, number: int) -> Path:
        """Where part ``number`` (from 1) is downloaded to."""
        return self.folder / f"part-{number:04d}.whl"

    def ends(self) -> list[int]:
        """Where each joined part ends in ``weights``; empty if that is not known."""
        try:
            ends = json.loads(self._state.read_bytes())["ends"]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        sound = isinstance(ends, list) and all(type(end) is int for end in ends)
        if not sound or ends != sorted(ends) or (ends and ends[-1] > self.length):
            return []
        return [int(end) for end in ends]

    def record(self, ends: list[int]) -> None:
        """Remember where parts end; ``weights`` must be on disk up to there."""
        fresh = self._state.with_suffix(".new")
        with fresh.open("w", encoding="ascii") as sink:
            json.dump({"ends": ends}, sink)
            sink.flush()
            os.fsync(sink.fileno())
        fresh.replace(self._state)

    @contextmanager
    def joining(self, start: int) -> Iterator[BinaryIO]:
        """``weights`` cut to ``start`` and open for appending; durable when the block ends."""
        with self.weights.open("r+b" if self.weights.exists() else "w+b") as sink:
            sink.truncate(start)
            sink.seek(start)
            try:
                yield sink
            except ModelStoreError:
                # What was refused must not be taken for a prefix by the next source.
                sink.truncate(start)
                raise
            sink.flush()
            os.fsync(sink.fileno())


@contextmanager
def exclusive(path: Path, name: str) -> Iterator[None]:
    """Hold the lock of one model; the system lets go of it if the process dies.

    :raises ModelStoreError: if another pull of the same model is under way.
    """
    import fcntl  # not on Windows

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ModelStoreError(
                f"{name} is being pulled already.",
                why="Another process holds its lock.",
                next_step="Wait for it to finish.",
            ) from error
        yield
    finally:
        os.close(descriptor)
