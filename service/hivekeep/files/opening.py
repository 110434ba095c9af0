"""Opens a path exactly as it was judged: every component as it is, no link followed.

Responsible for turning a resolved path into a descriptor; the caller has resolved it (with
``os.path.realpath``) and policy has judged the result.  Invariant: if any component became a
symbolic link since then, opening fails instead of arriving elsewhere.

Linux: ``openat2(2)`` does it in one step; elsewhere each folder is opened from the one before it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from hivekeep.sandbox import system

_OPENAT2 = 437
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x01, 0x02, 0x04, 0x08
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# Without waiting: opening a named pipe would otherwise wait for its writer.
_FILE = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)


class MovedError(OSError):
    """A path leads elsewhere than when it was judged."""


class _How(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_file(path: str, *, hard_links: bool = True) -> int:
    """A descriptor for reading the regular file at ``path``, which is absolute and resolved.

    :param hard_links: whether the file may have other names, which no check of paths can know.
    :raises MovedError: if a component is a symbolic link.
    :raises OSError: if it cannot be opened, or is no regular file (``EINVAL``).
    """
    descriptor = open_beneath(None, path, _FILE | _BINARY)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        if found.st_nlink > 1 and not hard_links:
            raise MovedError(errno.EMLINK, "the file has other names", path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_place(path: str) -> int:
    """A descriptor of the folder at ``path``, which is absolute and resolved.

    :raises MovedError: if a component is a symbolic link.
    :raises OSError: if there is no such folder.
    """
    if sys.platform == "win32":
        return _hold(path)
    return open_beneath(None, path, _FOLDER)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte of ``data``.

    :raises OSError: if the disk refuses; a part may then be written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def open_beneath(
    folder: int | None, path: str, flags: int, mode: int = 0, *, same_mount: bool = False
) -> int:
    """Open ``path`` from ``folder`` (``None``: the root) without following any link.

    :param same_mount: whether it has to lie on the file system of ``folder``.
    :raises MovedError: if a component is a link, leads upwards, or to another mount.
    """
    if system.LINUX:
        with suppress(NotImplementedError):
            return _openat2(folder, path, flags, mode, same_mount=same_mount)
    if sys.platform == "win32":
        return _open_and_compare(path, flags, mode)
    return _walk(folder, path, flags, mode, same_mount=same_mount)


def _openat2(folder: int | None, path: str, flags: int, mode: int, *, same_mount: bool) -> int:
    """:raises NotImplementedError: where the kernel or a filter does not know the call."""
    resolve = _NO_SYMLINKS | _NO_MAGICLINKS
    if folder is not None:
        resolve |= _BENEATH | (_NO_XDEV if same_mount else 0)
    how = _How(flags, mode, resolve)
    name = os.fsencode(path)
    if b"\0" in name:
        raise OSError(errno.EINVAL, "a name with a zero byte", path)
    start = -100 if folder is None else folder
    while True:
        try:
            return system.syscall(_OPENAT2, start, name, ctypes.byref(how), ctypes.sizeof(how))
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.EPERM):
                raise NotImplementedError from error
            if error.errno == errno.EAGAIN:
                # Something was renamed meanwhile; the kernel asks to look again.
                continue
            raise _told(error, path) from error


def _walk(folder: int | None, path: str, flags: int, mode: int, *, same_mount: bool) -> int:
    parts = [part for part in path.split("/") if part]
    if ".." in parts or not parts:
        raise MovedError(errno.EXDEV, "the path leads upwards or nowhere", path)
    here = os.open("/", _FOLDER) if folder is None else os.dup(folder)
    device = os.fstat(here).st_dev
    try:
        for position, part in enumerate(parts):
            last = position == len(parts) - 1
            step = flags if last else _FOLDER
            try:
                following = os.open(part, step | _NOFOLLOW, mode, dir_fd=here)
            except OSError as error:
                raise _told(error, path) from error
            os.close(here)
            here = following
            if same_mount and os.fstat(here).st_dev != device:
                raise MovedError(errno.EXDEV, "the path leads to another file system", path)
    except OSError:
        os.close(here)
        raise
    return here


def _open_and_compare(path: str, flags: int, mode: int) -> int:
    """Windows: open first, then ask the system what was opened. Not run on Windows by us yet."""
    descriptor = os.open(path, flags, mode)
    try:
        final = _final_path(descriptor)
        if os.path.normcase(final) != os.path.normcase(os.path.normpath(path)):
            raise MovedError(errno.ELOOP, f"the path leads to {final}", path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _hold(path: str) -> int:
    """Windows: a descriptor of a folder that cannot be renamed or deleted while it is open.

    Without the right to share deletion nobody else may delete or rename it, and a folder above one
    that is open cannot be renamed.  Not run on Windows by us yet.
    """
    if sys.platform != "win32":
        raise OSError(errno.ENOSYS, "CreateFileW belongs to Windows")
    import msvcrt

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateFileW.restype = ctypes.c_void_p
    list_folder, share, existing = 0x0001, 0x01 | 0x02, 3
    folders, links_themselves = 0x02000000, 0x00200000
    handle = kernel.CreateFileW(
        path, list_folder, share, None, existing, folders | links_themselves, None
    )
    if handle is None or handle == ctypes.c_void_p(-1).value:
        raise ctypes.WinError(ctypes.get_last_error())
    descriptor = msvcrt.open_osfhandle(handle, os.O_RDONLY)
    final = _final_path(descriptor)
    if os.path.normcase(final) != os.path.normcase(os.path.normpath(path)):
        os.close(descriptor)
        raise MovedError(errno.ELOOP, f"the path leads to {final}", path)
    if not Path(final).is_dir():
        os.close(descriptor)
        raise MovedError(errno.ENOTDIR, "it is no folder any more", path)
    return descriptor


def _final_path(descriptor: int) -> str:
    if sys.platform != "win32":
        raise OSError(errno.ENOSYS, "GetFinalPathNameByHandleW belongs to Windows")
    import msvcrt

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    text = ctypes.create_unicode_buffer(32_768)
    handle = ctypes.c_void_p(msvcrt.get_osfhandle(descriptor))
    if not kernel.GetFinalPathNameByHandleW(handle, text, len(text), 0):
        raise ctypes.WinError(ctypes.get_last_error())
    return text.value.removeprefix("\\\\?\\")


def _told(error: OSError, path: str) -> OSError:
    # ENOTDIR: a folder that became a link is not opened as a folder.
    if error.errno in (errno.ELOOP, errno.EXDEV, errno.ENOTDIR):
        return MovedError(error.errno, "the path leads elsewhere than when it was judged", path)
    return type(error)(error.errno, error.strerror, path)
