"""What of the file system a Python process needs to run at all.

Responsible for naming the interpreter, its libraries and the few system files that they read; not
for anything that belongs to the user.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from pathlib import Path

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "fonts",
    "mime.types",
    "alternatives",
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# What libraries look at to choose their number of threads and their instructions.
_MACHINE = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system/cpu",
            "/sys/devices/system/node")  # fmt: skip


@cache
def interpreter() -> tuple[str, ...]:
    """The system's libraries and this Python without its packages."""
    own = (sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path("stdlib"))
    etc = tuple(f"/etc/{name}" for name in _ETC)
    return _existing((*_SYSTEM, *etc, *_DEVICES, *own))


@cache
def packages() -> tuple[str, ...]:
    """Where this process imports from: its environment and our own code."""
    imported = (entry for entry in sys.path if entry and Path(entry).is_dir())
    ours = str(Path(__file__).resolve().parents[1])
    return _existing((sys.prefix, *imported, ours))


@cache
def machine() -> tuple[str, ...]:
    """What the machine says about itself, and the process about itself."""
    return _existing((*_MACHINE, "/proc/self"))


def worker() -> tuple[str, ...]:
    """Everything that a worker of ours needs to read before it is given any input."""
    return (*interpreter(), *packages(), *machine())


def _existing(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in paths if os.path.lexists(path)))
