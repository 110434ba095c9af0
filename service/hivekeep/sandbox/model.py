"""What a confined process keeps, and the names of what takes the rest away.

Responsible for plain data.  Invariant: the default of every field is the strictest, so that a
process keeps only what somebody wrote down.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hivekeep.domain.errors import ErrorCode, HivekeepError


class Protection(StrEnum):
    """What can stand between a hostile process and the machine.

    The names are stable: policy demands protections by them (``sandbox.required``).
    """

    LANDLOCK = "landlock"
    SECCOMP = "seccomp"
    NO_NETWORK = "no_network"
    NAMESPACES = "namespaces"
    NO_NEW_PRIVILEGES = "no_new_privileges"
    RESOURCE_LIMITS = "resource_limits"
    SEATBELT = "seatbelt"
    RESTRICTED_TOKEN = "restricted_token"  # noqa: S105 - a Windows access token, not a password
    JOB_OBJECT = "job_object"


class SandboxError(HivekeepError):
    """A process could not be confined as it has to be, so it was not started."""

    code = ErrorCode.POLICY
    exit_status = 4


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a process may still do.

    ``read`` and ``write`` are absolute paths that are allowed with all below them; ``write`` may be
    read as well.  ``execute`` allows programs below ``read``.  ``threads`` and ``processes`` say
    what it may start.  ``memory`` bounds the address space in bytes, ``cpu_seconds`` processor
    time, ``file_size`` each file it writes.  There is never any network.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    execute: bool = False
    threads: bool = False
    processes: int = 0
    memory: int = 2 * 1024**3
    cpu_seconds: int = 120
    file_size: int = 0
    open_files: int = 256
