"""A room of its own for a process: a file system, processes and a network with nothing of ours.

Responsible for Linux namespaces and for what is mounted in them; not for what runs inside.
Invariant: the room holds only what was named, everything but the work folder is read-only, and the
old root is gone from it before anything foreign runs.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hivekeep.sandbox import system

WORK = "/home/agent"
"""Where the work folder is inside a room."""
_INNER_USER = 1000
_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_BASE = "/tmp"  # noqa: S108 - only a place to build in, covered by a file system of our own
_DEVICES = ("null", "zero", "full", "random", "urandom")


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    )


@dataclass(frozen=True, slots=True)
class Room:
    """``read`` are paths shown at their own place, ``work`` a folder shown at ``WORK``.

    ``scratch`` is the size of ``/tmp`` in bytes.
    """

    read: tuple[str, ...]
    work: str = ""
    scratch: int = 16 * 1024**2


def leave_everything(*, network: bool = False) -> None:
    """Move this single-threaded process, and its next child, into new namespaces of every kind.

    :param network: whether it keeps the machine's network.
    :raises OSError: where the system does not let its users do so.
    """
    user, group = os.geteuid(), os.getegid()
    kept = system.CLONE_NEWNET if network else 0
    system.unshare(system.CLONE_NAMESPACES & ~kept)
    # Without this a group that has fewer rights than others could be dropped.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_INNER_USER} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_INNER_USER} {group} 1")


def enter(room: Room) -> None:
    """Build ``room`` and make it the root of this process; call it after leaving everything.

    :raises OSError: if a mount is refused; the process must then end.
    """
    system.mount("", "/", "", system.MS_REC | system.MS_PRIVATE)
    system.mount("tmpfs", _BASE, "tmpfs", system.MS_NOSUID | system.MS_NODEV, "size=1m,mode=755")
    old, new = f"{_BASE}/old", f"{_BASE}/new"
    Path(old).mkdir()
    Path(new).mkdir()
    system.call("syscall", ctypes.c_long(_PIVOT_ROOT), _BASE.encode(), old.encode())
    os.chdir("/")
    system.mount("tmpfs", "/new", "tmpfs", system.MS_NOSUID | system.MS_NODEV, "size=1m,mode=755")
    # Its own folders first: an installation may itself lie below /tmp and has to stay visible.
    _own_folders(room)
    for path in _outermost(room.read):
        _show(path)
    _show_devices()
    os.chdir("/new")
    system.call("syscall", ctypes.c_long(_PIVOT_ROOT), b".", b".")
    system.call("umount2", b".", system.MNT_DETACH)
    os.chdir("/")
    _read_only("/", deep=False)
    os.chdir(WORK if room.work else "/")


_PIVOT_ROOT = 155 if system.MACHINE == "x86_64" else 41


def _show(path: str) -> None:
    """Bind ``path`` of the old root at its own place, or copy the link that it is."""
    source, target = Path(f"/old{path}"), Path(f"/new{path}")
    try:
        kind = source.lstat().st_mode
    except OSError:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISLNK(kind):
        target.symlink_to(source.readlink())
        return
    if path.startswith(("/dev/", "/proc/", "/sys/")):
        return
    _point(target, folder=stat.S_ISDIR(kind))
    system.mount(str(source), str(target), "", system.MS_BIND | system.MS_REC)
    _read_only(str(target), deep=True)


def _show_devices() -> None:
    for name in _DEVICES:
        target = Path("/new/dev") / name
        target.parent.mkdir(exist_ok=True)
        _point(target, folder=False)
        system.mount(f"/old/dev/{name}", str(target), "", system.MS_BIND)


def _own_folders(room: Room) -> None:
    """``/tmp``, ``/work`` and, where the system shows us all of its own, ``/proc``."""
    scratch = Path("/new/tmp")
    scratch.mkdir(exist_ok=True)
    flags = system.MS_NOSUID | system.MS_NODEV
    size = f"size={room.scratch},nr_inodes=10000,mode=700"
    system.mount("tmpfs", str(scratch), "tmpfs", flags, size)
    process = Path("/new/proc")
    process.mkdir(exist_ok=True)
    with suppress(OSError):
        system.mount("proc", str(process), "proc", flags | system.MS_NOEXEC)
    if room.work:
        work = Path(f"/new{WORK}")
        work.mkdir(parents=True)
        system.mount(f"/old{room.work}", str(work), "", system.MS_BIND)
        _attributes(str(work), system.MS_NOSUID | system.MS_NODEV, deep=False)


def _point(target: Path, *, folder: bool) -> None:
    """Something to mount on."""
    if folder:
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.touch(exist_ok=True)


def _read_only(path: str, *, deep: bool) -> None:
    _attributes(path, system.MS_RDONLY | system.MS_NOSUID | system.MS_NODEV, deep=deep)


def _attributes(path: str, flags: int, *, deep: bool) -> None:
    # MOUNT_ATTR_RDONLY, NOSUID and NODEV have the values of the old flags.
    wanted = _Attributes(set=flags)
    system.syscall(
        _MOUNT_SETATTR, _AT_FDCWD, path.encode(), _AT_RECURSIVE if deep else 0,
        ctypes.byref(wanted), ctypes.sizeof(wanted),
    )  # fmt: skip


def _outermost(paths: Iterable[str]) -> list[str]:
    """``paths`` without those below others, parents first; a link counts as itself."""
    kept: list[str] = []
    for path in sorted({os.path.normpath(path) for path in paths}, key=len):
        if not any(path == other or path.startswith(other + "/") for other in kept):
            kept.append(path)
    return kept


def try_room() -> str:
    """Enter an empty room in this process; the reason if that fails or it is not empty."""
    leave_everything()
    if pid := os.fork():
        _, ended = os.waitpid(pid, 0)
        return _ENDINGS.get(os.waitstatus_to_exitcode(ended), "its file system could not be made")
    code = 1
    try:
        first = os.getpid() == 1
        enter(Room(read=("/usr",)))
        alone = set(os.listdir("/")) <= {"usr", "dev", "tmp", "proc"}  # noqa: PTH208
        code = 0 if alone and first else 3 if alone else 2
    finally:
        os._exit(code)


_ENDINGS = {0: "", 2: "the old root could still be seen", 3: "other processes could be seen"}
