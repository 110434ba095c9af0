"""Where the key file's passphrase may come from.

Responsible for asking in order: a systemd credential, an inherited file descriptor, a prompt on a
terminal.  Invariant: it is never taken from the environment or the command line, which other
processes can see.
"""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from hivekeep.domain.errors import SecretsError

CREDENTIAL = "hivekeep-passphrase"
_MAX_BYTES = 4096
_MIN_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Passphrase:
    """The ways open to one process.

    :param descriptor: an inherited file descriptor to read it from, closed after reading.
    :param prompt: whether a person may be asked on the terminal.
    """

    descriptor: int | None = None
    prompt: bool = True

    def read(self, *, creating: bool) -> bytes:
        """The passphrase from the first source there is.

        :param creating: ask twice and insist on a minimum length, because a new key file is made.
        :raises SecretsError: if there is no source, or the passphrase is too short.
        """
        found = self._from_credential() or self._from_descriptor()
        if found is None and self.prompt and sys.stdin is not None and sys.stdin.isatty():
            found = _ask(creating=creating)
        if not found:
            raise SecretsError(
                "The passphrase of the key file is needed.",
                why="There is no usable OS keyring, and no passphrase was given.",
                next_step="Run 'hivekeep daemon start' in a terminal to be asked for it, or give "
                f"systemd the credential '{CREDENTIAL}' (LoadCredentialEncrypted=).",
            )
        if creating and len(found.decode(errors="replace")) < _MIN_CHARACTERS:
            raise SecretsError(
                "The passphrase is too short.",
                next_step=f"Use at least {_MIN_CHARACTERS} characters.",
            )
        return found

    def _from_credential(self) -> bytes | None:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            return None
        try:
            return (Path(folder) / CREDENTIAL).read_bytes()[:_MAX_BYTES].rstrip(b"\r\n") or None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SecretsError(
                "The systemd credential cannot be read.", why=f"{folder}: {error.strerror}."
            ) from error

    def _from_descriptor(self) -> bytes | None:
        if self.descriptor is None:
            return None
        try:
            with os.fdopen(self.descriptor, "rb") as source:
                return source.read(_MAX_BYTES).rstrip(b"\r\n") or None
        except OSError as error:
            raise SecretsError(
                "The passphrase could not be read.",
                why=f"File descriptor {self.descriptor}: {error.strerror}.",
            ) from error


def ask_passphrase(folder: Path) -> str:
    """Ask on the terminal for the passphrase of the profile in ``folder``.

    :raises SecretsError: if there is no terminal, or two entries differ.
    """
    if not sys.stdin.isatty():
        raise SecretsError(
            "The passphrase of the key file is needed, and there is no terminal to ask on.",
            next_step=f"Use 'hivekeep daemon run --passphrase-fd N', or a systemd credential "
            f"named '{CREDENTIAL}'.",
        )
    return _ask(creating=not (folder / "keys.bin").exists()).decode()


def _ask(*, creating: bool) -> bytes:
    first = getpass.getpass("Passphrase for Hivekeep's key file: ")
    if creating and getpass.getpass("Once more: ") != first:
        raise SecretsError("The two passphrases differ.", next_step="Try again.")
    return first.encode()
