"""Folders compared component by component, never as strings.

Responsible for finding the rule whose folder a path lies in, in time that depends on the path's
depth and not on the number of rules.  Invariant: ``/a/bc`` is not in ``/a/b``, and a path that is
not absolute and resolved is in no folder at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


def components(path: str) -> list[str] | None:
    """The parts of an absolute, resolved path; ``None`` for any other."""
    if not path.startswith("/") or "\0" in path:
        return None
    parts = [part for part in path.split("/") if part]
    return None if ".." in parts or "." in parts else parts


def canonical(folder: str) -> tuple[str, ...]:
    """The path of a rule's folder as written and, where it differs, with symlinks resolved.

    Touches the file system, so it is called when a policy is loaded, never when one decides.
    """
    written = os.path.normpath(os.path.expanduser(folder))  # noqa: PTH111 - Path keeps a lone '~user'
    resolved = os.path.realpath(written)
    return (resolved,) if resolved == written else (resolved, written)


def within(folder: str, path: str) -> bool:
    """Whether ``path`` is ``folder`` or lies below it."""
    outer, inner = components(folder), components(path)
    return outer is not None and inner is not None and inner[: len(outer)] == outer


class FolderIndex(Generic[T]):
    """Folders with a value each, as a tree of components; the outermost folder found counts."""

    def __init__(self, folders: Iterable[tuple[str, T]]) -> None:
        self._root: _Node[T] = _Node()
        for folder, value in folders:
            node = self._root
            for part in components(folder) or ():
                node = node.below.setdefault(part, _Node())
            if node.value is None:
                node.value = value

    def find(self, parts: Iterable[str]) -> T | None:
        """The value of the folder that holds the path with these components."""
        node = self._root
        if node.value is not None:
            return node.value
        for part in parts:
            below = node.below.get(part)
            if below is None:
                return None
            if below.value is not None:
                return below.value
            node = below
        return None


class _Node(Generic[T]):
    __slots__ = ("below", "value")

    def __init__(self) -> None:
        self.below: dict[str, _Node[T]] = {}
        self.value: T | None = None
