"""The policy of a long-lived program: always the one that the files say now.

Responsible for noticing changes by a few ``stat`` calls and loading anew.  Invariant: a policy that
cannot be loaded is never replaced by the one that was in force before; then nothing is allowed.
"""

from __future__ import annotations

import os
from pathlib import Path

from hivekeep.domain.errors import PolicyInvalidError
from hivekeep.policy.loading import PolicySources
from hivekeep.policy.policy import InvalidPolicy, Policy, load_policy

_Signature = tuple[tuple[int, ...], ...]


class PolicyHolder:
    """Holds the policy of ``sources``; ``current`` never raises."""

    def __init__(self, sources: PolicySources) -> None:
        self._sources = sources
        self._watched: tuple[Path, ...] = ()
        self._signature: _Signature = ()
        self._policy: Policy | None = None

    def current(self) -> Policy:
        """The policy in force now; one that denies everything if the files cannot be used."""
        if self._policy is None or _signature(self._watched) != self._signature:
            self._policy = self._load()
        return self._policy

    @property
    def problem(self) -> PolicyInvalidError | None:
        """Why nothing is allowed, if that is so."""
        policy = self.current()
        return policy.problem if isinstance(policy, InvalidPolicy) else None

    def _load(self) -> Policy:
        # Looked at before loading: a change in between is then found by the next call.
        self._watched = self._paths()
        self._signature = _signature(self._watched)
        try:
            return load_policy(self._sources)
        except PolicyInvalidError as error:
            return InvalidPolicy(error)

    def _paths(self) -> tuple[Path, ...]:
        folders = (self._sources.managed, self._sources.recommended)
        paths = list(folders)
        for folder in folders:
            try:
                paths += sorted(path for path in folder.iterdir() if path.suffix == ".json")
            except OSError:
                continue  # loading says what is wrong with it
        if self._sources.user is not None:
            paths.append(self._sources.user)
        return tuple(paths)


def _signature(paths: tuple[Path, ...]) -> _Signature:
    return tuple(_identity(path) for path in paths)


def _identity(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)  # noqa: PTH116 - this is on the way of every decision
    except OSError as error:
        return (error.errno or -1,)
    return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode)
