"""Gives an open file a name that was free.

Responsible for the one step that makes a file visible; the caller holds both descriptors.
Invariant: a name that is taken stays what it is, on every file system.
"""

from __future__ import annotations

import errno
import os

from hivekeep.sandbox import system

_RENAMEAT2 = 316 if system.MACHINE == "x86_64" else 276
_NOREPLACE = 1
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_UNKNOWN = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM})


def name_open_file(folder: int | None, descriptor: int, name: str, other: str) -> None:
    """Give the file open as ``descriptor``, called ``name`` in ``folder``, the name ``other``.

    Without ``folder`` both names are whole paths.

    By its descriptor where the system can (``linkat(2)`` through ``/proc``); else by ``name``, and
    the caller has to look which file it was.  Without second names the file is renamed.

    :raises FileExistsError: if ``other`` is taken.
    """
    try:
        if system.LINUX and folder is not None:
            try:
                os.link(f"/proc/self/fd/{descriptor}", other, dst_dir_fd=folder)
            except FileNotFoundError:
                # Without /proc, and for a file whose last name is gone.
                _link_by_name(folder, name, other)
        else:
            _link_by_name(folder, name, other)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename(folder, name, other)


def _link_by_name(folder: int | None, name: str, other: str) -> None:
    if folder is None:
        os.link(name, other)
    else:
        os.link(name, other, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)


def _rename(folder: int | None, name: str, other: str) -> None:
    """Rename without replacing: by the kernel where it can, else over a file that we make."""
    if folder is None:
        # On Windows this fails if the name is taken.
        os.rename(name, other)  # noqa: PTH104
        return
    if system.LINUX:
        try:
            system.syscall(
                _RENAMEAT2, folder, os.fsencode(name), folder, os.fsencode(other), _NOREPLACE
            )
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
        else:
            return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    os.close(os.open(other, flags, 0o600, dir_fd=folder))
    os.rename(name, other, src_dir_fd=folder, dst_dir_fd=folder)
