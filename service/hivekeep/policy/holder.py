"""The policy of a long-lived program: always the one that the sources say now.

Responsible for noticing changes by a few ``stat`` calls and loading anew.  Invariant: a policy that
cannot be loaded, or has expired, is never replaced by the one that was in force before; then
nothing is allowed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from hivekeep.domain.errors import PolicyInvalidError
from hivekeep.policy.loading import PolicySources, watched_paths
from hivekeep.policy.policy import InvalidPolicy, Policy, load_policy
from hivekeep.policy.registry import POLICY_KEY, Hive, RegistryKey, RegistryReader

_Signature = tuple[tuple[int, ...], ...]
_REGISTRY_SECONDS = 1.0


class PolicyHolder:
    """Holds the policy of ``sources``; ``current`` never raises."""

    def __init__(
        self, sources: PolicySources, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._sources = sources
        self._monotonic = monotonic
        self._watched: tuple[Path, ...] = ()
        self._signature: _Signature = ()
        self._registry: tuple[RegistryKey | str | None, ...] = ()
        self._registry_read = float("-inf")
        self._policy: Policy | None = None

    def current(self) -> Policy:
        """The policy in force now; one that denies everything if the sources cannot be used."""
        if self._policy is None or self._changed(self._policy):
            self._policy = self._load()
        return self._policy

    @property
    def problem(self) -> PolicyInvalidError | None:
        """Why nothing is allowed, if that is so."""
        policy = self.current()
        return policy.problem if isinstance(policy, InvalidPolicy) else None

    def _changed(self, policy: Policy) -> bool:
        return (
            _signature(self._watched) != self._signature
            or self._registry_changed()
            or (policy.expires is not None and self._sources.now() >= policy.expires)
        )

    def _load(self) -> Policy:
        # Looked at before loading: a change in between is then found by the next call.
        self._watched = watched_paths(self._sources)
        self._signature = _signature(self._watched)
        self._registry_changed()
        try:
            return load_policy(self._sources)
        except PolicyInvalidError as error:
            return InvalidPolicy(error)

    def _registry_changed(self) -> bool:
        """Whether the registry says something else than a moment ago; read once a second."""
        reader = self._sources.registry
        if reader is None or self._monotonic() - self._registry_read < _REGISTRY_SECONDS:
            return False
        self._registry_read = self._monotonic()
        before = self._registry
        self._registry = tuple(_registry_state(reader, hive) for hive in Hive)
        return self._registry != before


def _registry_state(reader: RegistryReader, hive: Hive) -> RegistryKey | str | None:
    try:
        return reader.read(hive, POLICY_KEY)
    except OSError as error:
        return str(error)


def _signature(paths: tuple[Path, ...]) -> _Signature:
    return tuple(_identity(path) for path in paths)


def _identity(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)  # noqa: PTH116 - this is on the way of every decision
    except OSError as error:
        return (error.errno or -1,)
    return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode)
