"""A process of ours gives up what it does not need, in the right order.

Responsible for the order and for saying what holds afterwards; each protection is its own module.
Invariant: nothing can be taken back, and a protection that was required and is not to be had ends
the process's work before it sees any input.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from hivekeep.sandbox import landlock, limits, seatbelt, seccomp, system
from hivekeep.sandbox.model import Confinement, Protection, SandboxError


def leave_network() -> bool:
    """Move this single-threaded process into an empty network namespace, where Linux allows it."""
    for flags in (system.CLONE_NEWNET, system.CLONE_NEWUSER | system.CLONE_NEWNET):
        with suppress(OSError):
            system.unshare(flags)
            return True
    return False


def drop_privileges() -> bool:
    """Give up capabilities on the host and the ability to gain any. Call it after opening files."""
    with suppress(OSError):
        system.unshare(system.CLONE_NEWUSER)
    try:
        system.prctl(system.PR_SET_NO_NEW_PRIVS, 1)
    except OSError:
        return False
    return True


def confine(keep: Confinement, *, required: Iterable[str] = ()) -> frozenset[Protection]:
    """Confine the calling thread and all that it starts; call it before there are other threads.

    :param required: names of protections without which the process must not go on; those that
        belong to other kinds of process are not looked at.
    :returns: the protections that hold now.
    :raises SandboxError: if a required one could not be had.
    """
    limits.limit_resources(keep)
    held = {Protection.RESOURCE_LIMITS}
    steps: tuple[tuple[Protection, Callable[[], object]], ...] = (
        (Protection.NO_NEW_PRIVILEGES, _no_new_privileges),
        (Protection.LANDLOCK, lambda: _files(keep)),
        (Protection.SECCOMP, lambda: seccomp.install(_filter(keep))),
        (Protection.SEATBELT, lambda: seatbelt.apply(keep)),
    )
    for protection, take in steps:
        with suppress(OSError):
            take()
            held.add(protection)
    if held & {Protection.SECCOMP, Protection.SEATBELT}:
        held.add(Protection.NO_NETWORK)
    demanded = {Protection.NO_NETWORK, *(name for name, _ in steps)} & set(required)
    if missing := sorted(demanded - held):
        raise SandboxError(
            "A worker could not be confined, so it was not used.",
            why=f"The policy requires {', '.join(missing)}, which this system does not have.",
            next_step="'hivekeep doctor' says which protections are active here.",
        )
    return frozenset(held)


def _no_new_privileges() -> None:
    if not drop_privileges():
        raise OSError("no_new_privs is not to be had")


def _files(keep: Confinement) -> None:
    # Libraries open the null device for writing, and nothing can be done with it.
    landlock.restrict(keep.read, (*keep.write, os.devnull), execute=keep.execute)


def _filter(keep: Confinement) -> seccomp.Filter:
    return seccomp.Filter(
        programs=keep.execute,
        processes=keep.processes > 0,
        threads=keep.threads,
        own_pid=0 if keep.processes else os.getpid(),
        modes=bool(keep.write),
    )
