"""What the store tells its callers: states, progress, and the outcome of a verification.

Plain data; invariant: every count is in bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hivekeep.engine.store.catalog import ModelEntry


class ModelState(StrEnum):
    """Where a model stands on this machine; a file not yet verified counts as partial."""

    INSTALLED = "installed"
    PARTIAL = "partial"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One line of ``ModelStore.list``; ``path`` is where the file is or would be.

    ``done`` counts the bytes that are here, of ``entry.size``.
    """

    entry: ModelEntry
    state: ModelState
    path: Path
    done: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is, in bytes; ``phase`` says what is being done, for a person."""

    done: int
    total: int
    phase: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of reading a whole file again; hashes in hex."""

    ok: bool
    actual: str
    expected: str


ProgressCallback = Callable[[Progress], None]


class Teller:
    """Passes progress on; never more than the total, which a wheel's own bytes can exceed."""

    def __init__(self, entry: ModelEntry, callback: ProgressCallback | None) -> None:
        self._total = entry.size
        self._callback = callback

    def __call__(self, done: int, phase: str) -> None:
        if self._callback is not None:
            self._callback(Progress(min(done, self._total), self._total, phase))
