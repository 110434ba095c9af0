"""The log's secrets as one entry of the key store: signing keys, owner key, anchor.

Responsible for keeping them together, because a keyring takes a fraction of a second for each call,
and because they then change as one.  Invariant: only the process that holds the log's lock writes.
"""

from __future__ import annotations

import json
import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from hivekeep.domain.errors import AuditError
from hivekeep.secrets import KeyStore
from hivekeep_verify.frames import FormatError
from hivekeep_verify.notes import Checkpoint, open_note

_STORED = "audit-log"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key's epoch and its 32 secret bytes."""

    epoch: int
    seed: bytes


class AuditVault:
    """The secrets of one profile's log. Methods raise ``SecretsError`` if the key store fails.

    :raises AuditError: if the key store holds something else under their name.
    """

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        raw = store.get(_STORED)
        try:
            self._said: dict[str, object] = json.loads(raw) if raw else {}
        except ValueError as error:
            raise AuditError("The audit log's keys in the key store were changed.") from error

    @property
    def owner(self) -> bytes | None:
        """The key that segment keys are wrapped with for the owner of this machine."""
        return self._bytes("owner")

    @property
    def next_owner(self) -> bytes | None:
        """Its successor, while a rotation is under way."""
        return self._bytes("next_owner")

    @property
    def anchor_note(self) -> str:
        """The signed checkpoint that the log is known to have come to; empty if none."""
        return str(self._said.get("anchor", ""))

    @property
    def anchor(self) -> Checkpoint | None:
        """The same, parsed.

        :raises AuditError: if it is no checkpoint.
        """
        if not self.anchor_note:
            return None
        try:
            return Checkpoint.parse(open_note(self.anchor_note)[0])
        except FormatError as error:
            raise AuditError(
                "The audit log's anchor in the key store was changed.", why=f"{error}."
            ) from error

    @property
    def signing(self) -> list[StoredKey]:
        """The signing key in force and, for a moment, its successor."""
        found = self._said.get("signing", [])
        if not isinstance(found, list):
            return []
        return [StoredKey(int(item["epoch"]), b64decode(item["seed"])) for item in found]

    def owner_or_new(self) -> bytes:
        """The owner's key, made if there is none."""
        if self.owner is None:
            self.save(owner=os.urandom(32))
        return self.owner or b""

    def save(
        self, *, owner: bytes | None = None, next_owner: bytes | None = None,
        anchor: str | None = None, signing: Sequence[StoredKey] | None = None,
    ) -> None:  # fmt: skip
        """Change what is given; ``b''`` and ``''`` forget. Durable when this returns."""
        changes: dict[str, object] = {}
        for name, value in (("owner", owner), ("next_owner", next_owner)):
            if value is not None:
                changes[name] = b64encode(value).decode()
        if anchor is not None:
            changes["anchor"] = anchor
        if signing is not None:
            changes["signing"] = [
                {"epoch": key.epoch, "seed": b64encode(key.seed).decode()} for key in signing
            ]
        with self._lock:
            said = {**self._said, **changes}
            said = {name: value for name, value in said.items() if value}
            self._store.put(_STORED, json.dumps(said).encode())
            self._said = said

    def _bytes(self, name: str) -> bytes | None:
        value = self._said.get(name)
        return b64decode(value) if isinstance(value, str) else None
