"""Who can read which segment: the key files, and their change as a whole.

Responsible for wrapping for a new owner key or other administrators, and for destroying keys.
Invariant: a change is prepared beside the files, said in the log, then done; so a kill leaves
either the old state or one that the next start completes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from hivekeep.audit import files
from hivekeep.audit.sealing import Recipient, SegmentKey, owner_id, wrap
from hivekeep.audit.vault import AuditVault
from hivekeep_verify.check import key_file_path

_PENDING = ".pending"


def prepare_owner_key(vault: AuditVault) -> bytes:
    """A new owner key, beside the one in force."""
    made = os.urandom(32)
    vault.save(next_owner=made)
    return made


def settle_owner_key(vault: AuditVault, key_file: bytes) -> None:
    """Keep the one of two owner keys that a key file is wrapped for."""
    successor = vault.next_owner
    if successor is None:
        return
    owners = [entry["key"] for entry in json.loads(key_file)["wraps"]]
    if owner_id(successor) in owners:
        vault.save(owner=successor, next_owner=b"")
    else:
        vault.save(next_owner=b"")


def prepare_rewrap(
    folder: Path, segment_keys: Iterable[SegmentKey], log: bytes, owner: bytes,
    recipients: Sequence[Recipient],
) -> dict[str, str]:  # fmt: skip
    """Write key files beside those in force; returns their hashes by segment.

    :raises OSError: if they cannot be written.
    """
    hashes: dict[str, str] = {}
    for key in segment_keys:
        wrapped = wrap(key, log, owner, recipients)
        path = key_file_path(folder, key.number)
        files.write_durably(path.with_name(path.name + _PENDING), wrapped)
        hashes[str(key.number)] = sha256(wrapped).hexdigest()
    return hashes


def finish_changes(folder: Path, notes: Iterable[Mapping[str, Any]]) -> None:
    """Do what the log's newest notes say of key files, and drop what they do not say.

    :raises OSError: if the files cannot be changed.
    """
    for said in notes:
        if said["type"] == "keys":
            for number, digest in said["files"].items():
                path = key_file_path(folder, int(number))
                pending = path.with_name(path.name + _PENDING)
                if pending.exists() and sha256(pending.read_bytes()).hexdigest() == digest:
                    pending.replace(path)
        elif said["type"] == "shredded":
            for number in said["segments"]:
                _destroy(folder, int(number))
    for left in (folder / "keys").glob(f"*{_PENDING}"):
        left.unlink()
    files.sync_folder(folder / "keys")


def _destroy(folder: Path, number: int) -> None:
    path = key_file_path(folder, number)
    if path.exists():
        # Overwritten first: some file systems do so in place, and it costs nothing.
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    for derived in (folder / "derived").glob(f"{number:08d}.*"):
        derived.unlink()
