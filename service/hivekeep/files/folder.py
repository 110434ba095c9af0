"""A folder held open, in which names are only ever looked at through its descriptor.

Responsible for making, linking, taking and removing single names; not for what they hold.
Invariant: whoever renames or replaces the folder's path meanwhile changes nothing about where we
read and write, and no name of ours is followed if it is a link.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hivekeep.files.names import check_name
from hivekeep.files.opening import MovedError, open_beneath, open_place
from hivekeep.files.placing import name_open_file

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_MAKE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file it is, whatever it is called."""

    device: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """The identity in a ``stat`` result."""
        return cls(found.st_dev, found.st_ino)


_ASIDE = ".hivekeep-aside"
RELATIVE = os.open in os.supports_dir_fd
"""Whether this system opens names relative to a folder."""


def _aside_prefix(name: str) -> str:
    return f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}-"


class Folder:
    """An open folder; use it as a context manager.

    On Windows, which opens nothing relative to a folder, names are joined to its path; the folder
    is held open so that neither it nor a folder above it can be renamed or replaced meanwhile.
    """

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self.path = path

    def _at(self, name: str) -> str:
        return name if RELATIVE else os.path.join(self.path, name)  # noqa: PTH118 - of a descriptor

    @property
    def _here(self) -> dict[str, int]:
        return {"dir_fd": self._descriptor} if RELATIVE else {}

    @property
    def _both(self) -> dict[str, int]:
        here = self._descriptor
        return {"src_dir_fd": here, "dst_dir_fd": here} if RELATIVE else {}

    @classmethod
    def open(cls, path: str) -> Self:
        """The folder at ``path``, absolute and resolved.

        :raises MovedError: if a component is a symbolic link.
        """
        return cls(open_place(path), path)

    @classmethod
    def make(cls, path: str, *, any_names: bool = False) -> Self:
        """Like :meth:`open`, making the folders that are missing; each is entered as it is made.

        :param any_names: whether folders may be made whose names mean something else on another
            system; for paths that a person chose for this one.
        :raises ValueError: if a folder that is missing has such a name and may not.
        """
        missing: list[str] = []
        here = path
        while True:
            try:
                descriptor = open_place(here)
                break
            except FileNotFoundError:
                here, name = os.path.split(here)
                missing.append(name if any_names else check_name(name))
        for name in reversed(missing):
            parent = cls(descriptor, here)
            here = os.path.join(here, name)  # noqa: PTH118 - of a descriptor
            try:
                with suppress(FileExistsError):
                    os.mkdir(parent._at(name), 0o777, **parent._here)  # noqa: PTH102
                descriptor = (
                    open_beneath(descriptor, name, _FOLDER) if RELATIVE else open_place(here)
                )
            finally:
                parent.close()
        return cls(descriptor, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def create(self, name: str, mode: int = 0o666) -> int:
        """A descriptor of a new file.

        :raises FileExistsError: if the name is taken, also by a link to nowhere.
        """
        return os.open(self._at(check_name(name)), _MAKE, mode, **self._here)

    def open_file(self, name: str) -> int:
        """A descriptor for reading a regular file of this folder.

        :raises MovedError: if it is a link, or lies on another mount.
        :raises OSError: if it is not there or not a regular file.
        """
        if RELATIVE:
            descriptor = open_beneath(self._descriptor, name, _READ, same_mount=True)
        else:
            descriptor = open_beneath(None, self._at(check_name(name)), _READ)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file", name)
        return descriptor

    def identity(self, name: str) -> Identity | None:
        """Which file ``name`` is now, a link being itself; ``None`` if there is none."""
        try:
            found = os.stat(  # noqa: PTH116 - by descriptor
                self._at(name), **self._here, follow_symlinks=False
            )
        except FileNotFoundError:
            return None
        return Identity.of(found)

    def place(self, descriptor: int, name: str, other: str) -> None:
        """Give the very file that is open as ``descriptor`` the name ``other``.

        It is called ``name`` here, which it keeps unless the file system knows no second names.

        :raises FileExistsError: if ``other`` is taken; nothing is ever replaced.
        :raises MovedError: if ``name`` is another file by now and the system names none by
            descriptor; then nothing is called ``other``.
        """
        folder = self._descriptor if RELATIVE else None
        name_open_file(folder, descriptor, self._at(name), self._at(check_name(other)))
        found = self.identity(other)
        if found != Identity.of(os.fstat(descriptor)):
            if found is not None:
                self.remove_exactly(other, found)
            raise MovedError(errno.ESTALE, "the file was replaced by another one", name)

    def remove(self, name: str) -> None:
        """Remove a name if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self._at(name), **self._here)

    def remove_exactly(self, name: str, wanted: Identity) -> None:
        """Remove ``name`` only if it is ``wanted``.

        There is no call that removes by descriptor, so the name is first taken aside where nobody
        looks for it, then looked at, and put back if it was another file.

        :raises MovedError: if it was; it is left as it was found.
        """
        aside = f"{_aside_prefix(name)}{secrets.token_hex(8)}{_ASIDE}"
        os.rename(self._at(name), self._at(aside), **self._both)  # noqa: PTH104 - by descriptor
        if self.identity(aside) == wanted:
            self.remove(aside)
            return
        # A link fails where a rename would replace what has taken the name meanwhile.
        try:
            if RELATIVE:
                os.link(aside, name, follow_symlinks=False, **self._both)
            else:
                os.link(self._at(aside), self._at(name))
            self.remove(aside)
        except FileExistsError:
            pass
        raise MovedError(errno.ESTALE, "the file was replaced by another one", name)

    def left_aside(self, name: str) -> list[str]:
        """What ``remove_exactly`` had taken aside of ``name`` when the process was killed."""
        prefix = _aside_prefix(name)
        return sorted(
            each
            for each in os.listdir(self._descriptor if RELATIVE else self.path)  # noqa: PTH208
            if each.startswith(prefix) and each.endswith(_ASIDE)
        )

    def sync(self) -> None:
        """Make the names in it durable, where the file system can."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            # Network file systems, and Windows, which has no such call for folders.
            if RELATIVE and error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
