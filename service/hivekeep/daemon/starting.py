"""What a daemon does before its parts are loaded: it takes its profile's lock and opens its keys.

Responsible for doing both at once with the rest of the start: deriving the key of a key file takes
a good part of it and needs no interpreter lock, so it runs in a thread while modules are imported.
Invariant: nothing of a profile is touched but by the process that holds its lock.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from hivekeep.daemon.profile import Profile
from hivekeep.domain.errors import DaemonError
from hivekeep.secrets import KeyStore, Passphrase, open_key_store

OpenKeys = Callable[[], KeyStore]
"""Waits for the keys; raises ``SecretsError`` if they cannot be opened."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the profile's lock; the system releases it however the process ends.

    :raises DaemonError: if another daemon holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DaemonError(
            "The daemon of this profile is running already.",
            why=f"{path} is locked.",
            next_step="'hivekeep daemon status' shows it.",
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def prepared(profile: Profile, passphrase_fd: int | None) -> Iterator[OpenKeys]:
    """Hold the lock of ``profile``, whose keys are being opened meanwhile.

    :raises HivekeepError: if its folders cannot be made or another daemon has it.
    """
    profile.create()
    keys: Future[KeyStore] = Future()

    def work() -> None:
        try:
            passphrase = Passphrase(passphrase_fd)
            store = open_key_store(profile.root, profile_id=profile.id, passphrase=passphrase)
        except BaseException as error:  # noqa: BLE001 - it is raised where the keys are waited for
            keys.set_exception(error)
        else:
            keys.set_result(store)

    with locked(profile.lock):
        if passphrase_fd is None and sys.stdin is not None and sys.stdin.isatty():
            # A person may be asked, and must be able to interrupt that.
            work()
        else:
            threading.Thread(target=work, name="keys", daemon=True).start()
        yield keys.result
