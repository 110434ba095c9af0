"""Whether this machine can hold and run a model, asked before anything is downloaded.

Responsible for comparing needs with what there is, and for naming disk errors.  Invariant: too
little room is said before the first request, never found out in the middle.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from hivekeep.domain.errors import ModelStoreError
from hivekeep.domain.saying import say
from hivekeep.engine.store.catalog import ModelEntry, PackageIndexSource, Source
from hivekeep.engine.store.partial import Partial
from hivekeep.engine.store.status import Teller

_RESERVE = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's main memory in bytes."""

    total: int
    available: int


def machine_memory() -> Memory:
    """This machine's memory."""
    found = psutil.virtual_memory()
    return Memory(int(found.total), int(found.available))


def free_space(folder: Path) -> int:
    """Bytes that may be written where ``folder`` lies."""
    return shutil.disk_usage(folder).free


def refuse_too_small(
    entry: ModelEntry,
    sources: tuple[Source, ...],
    partial: Partial,
    tell: Teller,
    *,
    memory: Memory,
    free: int,
) -> None:
    """Say before a download begins that it cannot end well; too little free memory is only told.

    :raises ModelStoreError: if the machine's memory or the ``free`` bytes on disk do not suffice.
    """
    if memory.total < entry.memory:
        raise ModelStoreError(
            say(
                "error.memory",
                "This machine has too little memory for {model}.",
                model=entry.name,
            ),
            why=say(
                "why.memory",
                "It needs {needed}, the machine has {here}.",
                needed=_size(entry.memory),
                here=_size(memory.total),
            ),
            next_step=say("next.smaller_model", "Choose a smaller model: hivekeep models list"),
        )
    needed = (
        entry.size
        + max(_extra_space(source, entry) for source in sources)
        + _RESERVE
        - partial.used
    )
    if free < needed:
        raise ModelStoreError(
            say(
                "error.disk", "There is too little room on the disk for {model}.", model=entry.name
            ),
            why=f"{_size(needed)} are needed in {partial.folder.parent}, {_size(free)} are free.",
            next_step="Make room, or set HIVEKEEP_MODELS_DIR to a folder on another disk.",
        )
    if memory.available < entry.memory:
        tell(
            partial.length,
            f"{entry.name}: needs {_size(entry.memory)} of memory to run, "
            f"only {_size(memory.available)} are free now",
        )


def _extra_space(source: Source, entry: ModelEntry) -> int:
    """Bytes needed on disk besides the model itself while it is obtained."""
    if isinstance(source, PackageIndexSource):
        return -(-entry.size // source.parts)
    return 0


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Name the disk's refusals for a person.

    :raises ModelStoreError: in place of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise ModelStoreError(
            "The disk is full." if full else f"The model folder {folder} cannot be used.",
            why=f"{error.strerror or error}.",
            next_step="Make room and run the same command again; it goes on where it stopped."
            if full
            else "Check the folder's permissions, or set HIVEKEEP_MODELS_DIR.",
        ) from error


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
