"""Landlock: a process gives up the file system except for the paths it names.

Responsible for one rule set of the calling thread and all it starts from then on; call it before
there are other threads.  Invariant: after :func:`restrict`, a path that was not named can be
neither opened, changed nor made, whatever the file permissions say.

https://docs.kernel.org/userspace-api/landlock.html; the numbers are the kernel's on every machine.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from hivekeep.sandbox import system

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
# Remove and make what is plain: folders, files, links; never devices, sockets or pipes.
_CHANGES = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 12
_REFER = 1 << 13
# What each version of the interface added to the file system's rights.
_KNOWN = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK = 1 << 0 | 1 << 1
_SCOPES = 1 << 0 | 1 << 1


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi() -> int:
    """The version of the kernel's interface; 0 where there is none."""
    try:
        return system.syscall(_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def restrict(
    read: Iterable[str],
    write: Iterable[str] = (),
    *,
    execute: bool = False,
    network: bool = False,
) -> None:
    """Keep ``read`` and ``write`` with all below them, and nothing else.

    Paths that do not exist are left out.  TCP (unless ``network``), abstract sockets and signals to
    processes outside are given up too where the kernel knows how.  ``no_new_privs`` has to be set
    before.

    :raises OSError: if the kernel has no Landlock or refuses.
    """
    version = abi()
    handled = max(bits for known, bits in _KNOWN.items() if known <= max(version, 1))
    ports = 0 if network or version < 4 else _NETWORK
    ruleset = _Ruleset(handled, ports, _SCOPES if version >= 6 else 0)
    # Older kernels refuse a structure longer than they know, unless the rest is zero.
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = system.syscall(_CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    try:
        reading = _READ_FILE | _READ_DIR | (_EXECUTE if execute else 0)
        writing = reading | _WRITE_FILE | _CHANGES | _REFER | _TRUNCATE
        for path in read:
            _allow(rules, path, reading & handled)
        for path in write:
            _allow(rules, path, writing & handled)
        system.syscall(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _ON_FILES
        beneath = _PathBeneath(rights, place)
        system.syscall(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(beneath), 0)
    finally:
        os.close(place)
