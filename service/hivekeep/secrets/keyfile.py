"""The encrypted key file: scrypt, then AES-256-GCM over a JSON table of secrets.

Responsible for one file, mode 0600, replaced as a whole.  Layout: ``HKEY1`` | log2 N, r, p (one
byte each) | salt (16) | nonce (12) | ciphertext and tag; everything before the ciphertext is
authenticated.  scrypt parameters follow RFC 7914 and OWASP's password storage advice (N = 2^17,
r = 8, p = 1: 128 MiB and about half a second, once per start).
"""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hivekeep.domain.errors import SecretsError

_MAGIC = b"HKEY1"
_LOG_N, _R, _P = 17, 8, 1
_SALT, _NONCE = 16, 12
_HEADER = len(_MAGIC) + 3 + _SALT


class KeyFile:
    """The open key file of one profile.

    :raises SecretsError: if the file is another user's, open to others, damaged, or the passphrase
        is wrong.
    """

    def __init__(self, path: Path, passphrase: bytes) -> None:
        self._path = path
        if path.exists() or path.is_symlink():
            data = _read_private(path)
            self._header = data[:_HEADER]
            self._key = _derive(passphrase, self._header)
            self._table = self._open(data)
        else:
            self._header = _MAGIC + bytes((_LOG_N, _R, _P)) + os.urandom(_SALT)
            self._key = _derive(passphrase, self._header)
            self._table = {}
            self._save()

    def get(self, name: str) -> bytes | None:
        """The secret called ``name``."""
        value = self._table.get(name)
        return base64.b64decode(value) if value is not None else None

    def put(self, name: str, value: bytes) -> None:
        """Keep a secret; durable when this returns."""
        self._table[name] = base64.b64encode(value).decode()
        self._save()

    def delete(self, name: str) -> None:
        """Forget a secret."""
        if self._table.pop(name, None) is not None:
            self._save()

    def describe(self) -> str:
        """The backend, for a person."""
        return f"encrypted key file {self._path}"

    def _open(self, data: bytes) -> dict[str, str]:
        nonce, sealed = data[_HEADER : _HEADER + _NONCE], data[_HEADER + _NONCE :]
        try:
            plain = AESGCM(self._key).decrypt(nonce, sealed, self._header)
        except InvalidTag as error:
            raise SecretsError(
                "The key file could not be opened.",
                why="The passphrase is wrong, or the file was changed.",
                next_step="Try again. Without the passphrase its keys cannot be recovered.",
            ) from error
        table: dict[str, str] = json.loads(plain)
        return table

    def _save(self) -> None:
        nonce = os.urandom(_NONCE)
        plain = json.dumps(self._table, sort_keys=True).encode()
        data = self._header + nonce + AESGCM(self._key).encrypt(nonce, plain, self._header)
        temporary = self._path.with_suffix(".new")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise SecretsError(
                "The key file cannot be written.", why=f"{self._path}: {error.strerror}."
            ) from error


def _read_private(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if os.name == "posix" and (
                found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077
            ):
                raise SecretsError(
                    "The key file is not private.",
                    why=f"{path} must belong to you and have mode 0600.",
                    next_step=f"If it is yours: chmod 600 '{path}'",
                )
            data = file.read()
    except OSError as error:
        raise SecretsError(
            "The key file cannot be read.", why=f"{path}: {error.strerror}."
        ) from error
    if not data.startswith(_MAGIC) or len(data) < _HEADER + _NONCE + 16:
        raise SecretsError("The key file is damaged.", why=f"{path} is not a Hivekeep key file.")
    return data


def _derive(passphrase: bytes, header: bytes) -> bytes:
    log_n, r, p = header[len(_MAGIC) : len(_MAGIC) + 3]
    if not (14 <= log_n <= 20 and r == _R and 1 <= p <= 4):
        raise SecretsError("The key file is damaged.", why="Its key derivation makes no sense.")
    salt = header[len(_MAGIC) + 3 :]
    return Scrypt(salt=salt, length=32, n=2**log_n, r=r, p=p).derive(passphrase)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
