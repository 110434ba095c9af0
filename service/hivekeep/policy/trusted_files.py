"""Files that the machine's policy stands in, read only if nobody else could have written them.

Responsible for ownership and permissions of a file and of every folder above it, and for reading
what was checked and nothing else.  Invariant: a file is judged by its descriptor after it was
opened, so swapping it in between changes nothing.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Collection
from pathlib import Path

from hivekeep.policy.layers import unusable

MAX_BYTES = 4_000_000
ROOT: frozenset[int] = frozenset({0})


def exists(path: Path) -> bool:
    """Whether there is anything at ``path``, even if it cannot be used.

    :raises PolicyInvalidError: if that cannot be found out.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unusable(str(path), f"{error.strerror}.") from error
    return True


def user_owners() -> frozenset[int]:
    """Who may own the settings of the user who runs this."""
    return ROOT if sys.platform == "win32" else frozenset({os.getuid(), 0})


def read_file(path: Path, owners: Collection[int] | None, *, folders: bool = True) -> bytes:
    """The content of a file that only ``owners`` can have written; ``None`` trusts anybody.

    :param folders: whether the folders above it are judged as well.

    :raises PolicyInvalidError: if it cannot be read, is too large, or others may write to it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise unusable(str(path), "It is no regular file.")
            if owners is not None:
                _check(path, found, owners)
                if folders:
                    _check_folders(path, owners)
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise unusable(str(path), f"{error.strerror}.") from error
    if len(raw) > MAX_BYTES:
        raise unusable(str(path), f"It is larger than {MAX_BYTES // 1_000_000} MB.")
    return raw


def list_folder(folder: Path, suffix: str, owners: Collection[int]) -> list[Path]:
    """The files of a folder whose names end in ``suffix``, by name; none if it does not exist.

    :raises PolicyInvalidError: if it cannot be listed, or others may write to it.
    """
    if not exists(folder):
        return []
    try:
        _check(folder, folder.stat(), owners)
        return sorted(path for path in folder.iterdir() if path.suffix == suffix)
    except OSError as error:
        raise unusable(str(folder), f"{error.strerror}.") from error


def _check_folders(path: Path, owners: Collection[int]) -> None:
    """Whoever may rename a folder above the file may put another one in its place."""
    for folder in Path(os.path.realpath(path)).parents:
        found = folder.stat()
        if found.st_mode & stat.S_ISVTX:
            continue  # in a sticky folder only owners rename
        _check(folder, found, {*owners, 0})


def _check(path: Path, found: os.stat_result, owners: Collection[int]) -> None:
    if sys.platform == "win32":
        return  # machine policy is in the registry there, which the system guards
    if found.st_mode & stat.S_IWOTH:
        raise unusable(str(path), "Everybody may write to it, so nobody can rely on it.")
    if found.st_uid not in owners:
        raise unusable(
            str(path), f"It belongs to user {found.st_uid}, who is not an administrator here."
        )
    if found.st_mode & stat.S_IWGRP and found.st_gid != 0 and found.st_uid == 0:
        raise unusable(str(path), f"Everybody in group {found.st_gid} may write to it.")
