"""Which protections this machine really has, found out by using them.

Responsible for asking in a process of its own, because a protection that was tried cannot be taken
back.  Invariant: a protection is called active only after it was applied and seen to hold.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from hivekeep.sandbox.model import Protection

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ProtectionStatus:
    """One protection on this machine; ``detail`` is for a person."""

    protection: Protection
    active: bool
    detail: str


def wanted() -> tuple[Protection, ...]:
    """The protections that Hivekeep has for this operating system."""
    if sys.platform == "darwin":
        return (Protection.SEATBELT, Protection.NO_NETWORK, Protection.RESOURCE_LIMITS)
    if sys.platform == "win32":
        return (Protection.RESTRICTED_TOKEN, Protection.JOB_OBJECT)
    return (
        Protection.LANDLOCK,
        Protection.SECCOMP,
        Protection.NO_NETWORK,
        Protection.NAMESPACES,
        Protection.NO_NEW_PRIVILEGES,
        Protection.RESOURCE_LIMITS,
    )


@cache
def protections() -> tuple[ProtectionStatus, ...]:
    """What holds here; takes a fraction of a second the first time."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "hivekeep.sandbox.probe"],
            capture_output=True, timeout=_SECONDS, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return tuple(ProtectionStatus(name, False, f"not known: {error}") for name in wanted())
    # An empty reason is what the probe says of a protection that held.
    return tuple(
        ProtectionStatus(name, not found.get(name, "not tried"), found.get(name, "not tried"))
        for name in wanted()
    )


def missing_protections(required: Iterable[str]) -> tuple[str, ...]:
    """Those of ``required`` that are not active here, also names that nobody knows."""
    demanded = sorted(set(required))
    if not demanded:
        return ()
    active = {str(status.protection) for status in protections() if status.active}
    return tuple(name for name in demanded if name not in active)
