"""What a watched folder would pick up now, found out without touching anything.

Responsible for looking and for a reason beside each file; it records nothing, so that asking does
not change the answer.  Everything here blocks and runs in a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from hivekeep.domain.errors import NotFoundError
from hivekeep.domain.saying import say
from hivekeep.triggers.examine import (
    Examined,
    Gone,
    HashFile,
    Readable,
    Unreadable,
    examine,
    relative_to,
    scan,
)
from hivekeep.triggers.inventory import Inventory, is_unchanged
from hivekeep.triggers.model import FileRecord, FileState, Fingerprint, WatchConfig
from hivekeep.triggers.names import is_wanted

MOST_FILES = 300
_MOST_BYTES = 1 << 30
_UNDER_WAY = frozenset({FileState.SEEN, FileState.BATCHED, FileState.RUNNING})


class Fate(StrEnum):
    """What would become of a file."""

    NEW = "new"
    """It would be processed."""
    CHANGING = "changing"
    """Somebody still writes it; it would be processed afterwards."""
    UNDER_WAY = "under_way"
    DONE = "done"
    FAILED = "failed"
    IGNORED = "ignored"
    """The same content was processed before, or Hivekeep wrote the file itself."""
    UNREADABLE = "unreadable"
    UNWANTED = "unwanted"
    """Its name is not one that the folder's patterns ask for."""
    DENIED = "denied"
    """Policy does not let it be read."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """One file, its size in bytes, what would become of it, and why if that is known."""

    path: str
    size: int
    fate: Fate
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FolderOutlook:
    """The files, those that would be processed first; ``left_out`` more were not looked at."""

    files: tuple[Outlook, ...]
    left_out: int
    closed_folders: tuple[str, ...]


def look_ahead(
    config: WatchConfig,
    inventory: Inventory,
    *,
    hash_file: HashFile,
    is_own_output: Callable[[Path], bool],
    denied: Callable[[str, int], str],
) -> FolderOutlook:
    """What the folder of ``config`` would pick up now.

    :param denied: why policy would not let a file of that path and size be read, or nothing.
    :raises NotFoundError: if the folder is not there.
    """
    try:
        root = Path(config.folder).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise NotFoundError(
            say("error.no_folder", "There is no folder '{path}'.", path=config.folder),
            next_step=say("next.restore", "Connect or restore it; files in it are found then."),
        ) from error
    found = scan(replace(config, include=(), exclude=()), root)
    known = inventory.known(config.id)
    room = _MOST_BYTES
    files: list[Outlook] = []
    for path, seen in found.files[:MOST_FILES]:
        relative = relative_to(path, config.folder)
        record = known.get(path)
        if relative is None or not is_wanted(config, relative):
            files.append(Outlook(path, seen.size, Fate.UNWANTED))
        elif record is not None and is_unchanged(record, config, seen):
            files.append(_recorded(record, seen))
        elif is_own_output(Path(path)):
            files.append(Outlook(path, seen.size, Fate.IGNORED, "Hivekeep wrote this file itself."))
        elif why := denied(path, seen.size):
            files.append(Outlook(path, seen.size, Fate.DENIED, why))
        elif seen.size > room:
            # What is too much to hash for an answer at once counts as new; it probably is.
            files.append(Outlook(path, seen.size, Fate.NEW))
        else:
            room -= seen.size
            examined = examine(path, root, hash_file, wait_for_writer=True, must_tell=False)
            if not isinstance(examined, Gone):
                files.append(_judge(config, inventory, seen, examined))
    order = list(Fate)
    files.sort(key=lambda file: (order.index(file.fate), file.path))
    left_out = max(len(found.files) - MOST_FILES, 0)
    return FolderOutlook(tuple(files), left_out, found.closed_folders)


def _judge(
    config: WatchConfig, inventory: Inventory, seen: Fingerprint, examined: Examined
) -> Outlook:
    match examined:
        case Unreadable(path=path, reason=reason):
            return Outlook(path, seen.size, Fate.UNREADABLE, reason)
        case Readable(path=path):
            state, reason = inventory.foresee(config, examined)
            return Outlook(path, seen.size, _fate(state), reason)
        case _:
            return Outlook(examined.path, seen.size, Fate.CHANGING)


def _recorded(record: FileRecord, seen: Fingerprint) -> Outlook:
    fate = Fate.UNDER_WAY if record.state is FileState.SEEN else _fate(record.state)
    return Outlook(str(record.path), seen.size, fate, record.reason)


def _fate(state: FileState) -> Fate:
    if state is FileState.SEEN:
        return Fate.NEW
    return Fate.UNDER_WAY if state in _UNDER_WAY else Fate(state.value)
