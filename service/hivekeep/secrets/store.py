"""Chooses the backend of a profile's keys, once, and keeps to it.

Responsible for the choice and its marker file ``keystore.json``; the backends are
``os_keyring`` and ``keyfile``.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Literal, Protocol

from hivekeep.domain.errors import SecretsError
from hivekeep.secrets.keyfile import KeyFile
from hivekeep.secrets.os_keyring import KeyringUnavailableError, OsKeyring
from hivekeep.secrets.passphrase import Passphrase

Backend = Literal["auto", "keyring", "file"]


class _Secrets(Protocol):
    def get(self, name: str) -> bytes | None: ...
    def put(self, name: str, value: bytes) -> None: ...
    def delete(self, name: str) -> None: ...
    def describe(self) -> str: ...


class KeyStore:
    """The secrets of one profile. Every method raises ``SecretsError`` if the backend fails.

    :param remark: why the preferred backend is not used, for ``doctor``; empty if it is.
    """

    def __init__(self, backend: _Secrets, remark: str = "") -> None:
        self._backend = backend
        self._remark = remark
        # The audit log's background thread and others write; a backend replaces all of its file.
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes | None:
        """The secret called ``name``, ``None`` if there is none."""
        try:
            with self._lock:
                return self._backend.get(name)
        except KeyringUnavailableError as error:
            raise _keyring_failed(error) from error

    def put(self, name: str, value: bytes) -> None:
        """Keep a secret; durable when this returns."""
        try:
            with self._lock:
                self._backend.put(name, value)
        except KeyringUnavailableError as error:
            raise _keyring_failed(error) from error

    def delete(self, name: str) -> None:
        """Forget a secret, if there is one of that name."""
        try:
            with self._lock:
                self._backend.delete(name)
        except KeyringUnavailableError as error:
            raise _keyring_failed(error) from error

    def get_or_create(self, name: str, size: int = 32) -> bytes:
        """The secret called ``name``, made of ``size`` random bytes if there is none."""
        found = self.get(name)
        if found is None:
            found = os.urandom(size)
            self.put(name, found)
        return found

    def describe(self) -> str:
        """Where the keys are, for a person."""
        text = self._backend.describe()
        return f"{text}; {self._remark}" if self._remark else text


def open_key_store(
    folder: Path,
    *,
    profile_id: str,
    passphrase: Passphrase,
    backend: Backend = "auto",
) -> KeyStore:
    """Open the keys of the profile in ``folder``.

    With ``auto`` a new profile takes the OS keyring where one works, else the key file.

    :raises SecretsError: if the profile's backend is not available now, or no passphrase is given.
    """
    chosen = _marked(folder)
    if chosen and backend not in ("auto", chosen):
        raise SecretsError(
            f"This profile keeps its keys in the {chosen}, not the {backend}.",
            next_step="Use a new profile to change that.",
        )
    wanted = chosen or backend
    remark = ""
    if wanted in ("auto", "keyring"):
        try:
            store = KeyStore(OsKeyring(profile_id))
        except KeyringUnavailableError as error:
            if wanted == "keyring":
                raise _keyring_failed(error) from error
            remark = f"no OS keyring: {error}"
        else:
            _mark(folder, "keyring")
            return store
    path = folder / "keys.bin"
    file = KeyFile(path, passphrase.read(creating=not path.exists()))
    _mark(folder, "file")
    return KeyStore(file, remark)


def needs_passphrase(folder: Path, *, profile_id: str) -> bool:
    """Whether opening the keys of this profile will ask for a passphrase."""
    chosen = _marked(folder)
    if chosen is None:
        try:
            OsKeyring(profile_id)
        except KeyringUnavailableError:
            return True
        return False
    return chosen == "file"


def _marked(folder: Path) -> Literal["keyring", "file"] | None:
    try:
        data = json.loads((folder / "keystore.json").read_text(encoding="utf-8"))
        chosen = data["backend"]
    except FileNotFoundError:
        return "file" if (folder / "keys.bin").exists() else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SecretsError(
            "It cannot be told where this profile keeps its keys.",
            why=f"{folder / 'keystore.json'}: {error}.",
            next_step='Restore the file; its content is {"backend": "keyring"} or "file".',
        ) from error
    if chosen not in ("keyring", "file"):
        raise SecretsError("It cannot be told where this profile keeps its keys.", why=str(chosen))
    return "keyring" if chosen == "keyring" else "file"


def _mark(folder: Path, chosen: str) -> None:
    if _marked(folder) == chosen and (folder / "keystore.json").exists():
        return
    temporary = folder / "keystore.new"
    temporary.write_text(json.dumps({"backend": chosen}), encoding="utf-8")
    temporary.replace(folder / "keystore.json")


def _keyring_failed(error: KeyringUnavailableError) -> SecretsError:
    return SecretsError(
        "The OS keyring cannot be used now.",
        why=f"This profile keeps its keys there, but {error}.",
        next_step="Unlock the keyring (log in to your desktop) and start again.",
    )
