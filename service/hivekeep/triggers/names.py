"""Decides by its name alone whether a file of a watched folder is wanted.

Responsible for temporary names, include and exclude patterns, and the output folder; not for
anything that needs the file itself.  Pure: no function here touches the file system.
"""

from __future__ import annotations

import fnmatch
from pathlib import PurePath

from hivekeep.triggers.model import WatchConfig

# What office programs, editors, browsers and copy tools call a file that is not finished.
_TEMPORARY_PREFIXES = (".", "~$", "~wrl", "~rf")
_TEMPORARY_SUFFIXES = (
    ".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart", ".tmp", ".temp",
    ".swp", ".swo", ".swx", ".lock", ".lck", "~",
)  # fmt: skip
_TEMPORARY_NAMES = frozenset({"thumbs.db", "desktop.ini", "icon\r"})


def is_temporary(name: str) -> bool:
    """Whether ``name`` (without folder) is one that programs use while they write, or hide."""
    low = name.casefold()
    return (
        low.startswith(_TEMPORARY_PREFIXES)
        or low.endswith(_TEMPORARY_SUFFIXES)
        or low in _TEMPORARY_NAMES
    )


def is_wanted(config: WatchConfig, relative: PurePath) -> bool:
    """Whether the file at ``relative`` below the folder is one that ``config`` asks for."""
    *folders, name = relative.parts
    if is_temporary(name) or any(folder.startswith(".") for folder in folders):
        return False
    if folders and not config.recursive:
        return False
    if config.include and not _matches(config.include, relative):
        return False
    return not _matches(config.exclude, relative)


def is_inside(path: PurePath, folder: PurePath) -> bool:
    """Whether ``path`` lies below ``folder``; both absolute and free of symbolic links."""
    return folder in path.parents


def _matches(patterns: tuple[str, ...], relative: PurePath) -> bool:
    name, whole = relative.name.casefold(), relative.as_posix().casefold()
    return any(
        fnmatch.fnmatchcase(whole if "/" in pattern else name, pattern.casefold())
        for pattern in patterns
    )
