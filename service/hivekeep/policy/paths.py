"""Folders compared component by component, never as strings.

Responsible for finding the rule whose folder a path lies in, in time that depends on the path's
depth and not on the number of rules.  Invariant: ``/a/bc`` is not in ``/a/b``, and a path that is
not absolute and resolved is in no folder at all.  Windows' paths are told apart by their form, so
that a policy means the same wherever it is looked at.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Generic, TypeVar

from hivekeep.policy.windows_paths import is_windows, widest, windows_components

T = TypeVar("T")


def components(path: str) -> list[str] | None:
    """The parts of an absolute, resolved path; ``None`` for any other."""
    if is_windows(path):
        return windows_components(path)
    if not path.startswith("/") or "\0" in path:
        return None
    parts = [part for part in path.split("/") if part]
    return None if ".." in parts or "." in parts else parts


def canonical(folder: str) -> tuple[str, ...]:
    """The path of a rule's folder as written and, where it differs, with symlinks resolved.

    Touches the file system, so it is called when a policy is loaded, never when one decides.
    """
    if is_windows(folder) and sys.platform != "win32":
        # There is no such place here, but a policy for another machine can be tried and compared.
        return (folder,)
    written = os.path.normpath(os.path.expanduser(folder))  # noqa: PTH111 - Path keeps a lone '~user'
    resolved = os.path.realpath(written)
    return (resolved,) if resolved == written else (resolved, written)


def within(folder: str, path: str) -> bool:
    """Whether ``path`` is ``folder`` or lies below it."""
    outer, inner = components(folder), components(path)
    return outer is not None and inner is not None and inner[: len(outer)] == outer


class FolderIndex(Generic[T]):
    """Folders with a value each, as a tree of components; the outermost folder found counts.

    :param wide: whether names that might be the same count as the same, as they must for denials.
    """

    def __init__(self, folders: Iterable[tuple[str, T]], *, wide: bool = False) -> None:
        self._root: _Node[T] = _Node()
        self._wide = wide
        for folder, value in folders:
            node = self._root
            for part in self._spelt(components(folder) or []):
                node = node.below.setdefault(part, _Node())
            if node.value is None:
                node.value = value

    def _spelt(self, parts: list[str]) -> list[str]:
        return widest(parts) if self._wide else parts

    def find(self, parts: list[str]) -> T | None:
        """The value of the folder that holds the path with these components."""
        node = self._root
        if node.value is not None:
            return node.value
        for part in self._spelt(parts):
            below = node.below.get(part)
            if below is None:
                return None
            if below.value is not None:
                return below.value
            node = below
        return None

    def below(self, parts: list[str]) -> T | None:
        """The value of a folder that lies in the one with these components, or is it."""
        node = self._root
        for part in self._spelt(parts):
            if part not in node.below:
                return None
            node = node.below[part]
        waiting = [node]
        while waiting:
            node = waiting.pop()
            if node.value is not None:
                return node.value
            waiting += node.below.values()
        return None


class _Node(Generic[T]):
    __slots__ = ("below", "value")

    def __init__(self) -> None:
        self.below: dict[str, _Node[T]] = {}
        self.value: T | None = None
