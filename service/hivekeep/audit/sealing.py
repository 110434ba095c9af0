"""The key of one segment: sealing its records, and wrapping the key for those who may read.

Responsible for AES-256-GCM, commitments and HPKE (RFC 9180); not for files.  Invariant: a record's
ciphertext is bound to its log, segment, number and predecessor, and a segment's first note commits
to its key, so that no other key can ever be shown for it.
"""

from __future__ import annotations

import hmac
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hivekeep.audit.canonical import canonical
from hivekeep.domain.errors import AuditError
from hivekeep_verify.frames import FormatError
from hivekeep_verify.proof import commitment

OWNER = "owner"
_HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_HPKE_NAME = "hpke-x25519-hkdf-sha256-aes-256-gcm"
_OWNER_NAME = "aes-256-gcm"
_NONCE = 12
_NONCES_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Recipient:
    """An administrator who may read the log, known by an X25519 public key."""

    public: bytes

    def __str__(self) -> str:
        return self.public.hex()

    @classmethod
    def parse(cls, text: str) -> Recipient:
        """The recipient that ``str`` rendered.

        :raises ValueError: if it is something else.
        """
        public = bytes.fromhex(text)
        if len(public) != 32:
            raise ValueError("a recipient is an X25519 public key of 64 hexadecimal digits")
        return cls(public)


def new_administrator() -> tuple[str, str]:
    """A new key pair: the private half as PEM (PKCS 8), the public half in hexadecimal."""
    private = X25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode(), private.public_key().public_bytes_raw().hex()


def read_administrator(path: Path) -> AdministratorKey:
    """The private key in a PEM file.

    :raises AuditError: if it cannot be read, or is no X25519 key.
    """
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise AuditError("The private key cannot be read.", why=f"{path}: {error}.") from error
    if not isinstance(private, X25519PrivateKey):
        raise AuditError("The private key is no X25519 key.", why=str(path))
    return AdministratorKey(private.private_bytes_raw())


class SegmentKey:
    """The key of one segment of one log; seals and opens its records."""

    def __init__(self, secret: bytes, log: bytes, number: int) -> None:
        self.secret, self._log, self.number = secret, log, number
        self._bound = log + number.to_bytes(8, "big")
        self._cipher = AESGCM(self._derive(b"records"))
        self._blinding = self._derive(b"commitments")
        self._prepared: list[tuple[bytes, bytes]] = []

    @classmethod
    def create(cls, log: bytes, number: int) -> SegmentKey:
        """A new key."""
        return cls(os.urandom(32), log, number)

    @property
    def commitment(self) -> bytes:
        """What the segment's first note says of its key."""
        return key_commitment(self.secret)

    def seal(self, index: int, previous: bytes, content: bytes) -> tuple[bytes, bytes, bytes]:
        """Commitment, nonce and ciphertext of one record's content."""
        if not self._prepared:
            self._prepare()
        nonce, opening = self._prepared.pop()
        hidden = commitment(opening, content)
        return hidden, nonce, self._cipher.encrypt(nonce, content, self._place(index, previous))

    def _prepare(self) -> None:
        """Random nonces and what opens their commitments; many at once, which is cheaper."""
        fresh = os.urandom(_NONCE * _NONCES_AT_ONCE)
        nonces = [fresh[at : at + _NONCE] for at in range(0, len(fresh), _NONCE)]
        self._prepared = [(nonce, self.opening(nonce)) for nonce in nonces]

    def open(self, index: int, previous: bytes, stored: bytes) -> bytes:
        """The content of a stored record, checked against its commitment.

        :raises FormatError: if any of its bytes was changed.
        """
        hidden, nonce, ciphertext = stored[:32], stored[32:44], stored[44:]
        try:
            content = self._cipher.decrypt(nonce, ciphertext, self._place(index, previous))
        except InvalidTag as error:
            raise FormatError("the record's content was changed") from error
        if commitment(self.opening(nonce), content) != hidden:
            raise FormatError("the record's content does not match its commitment")
        return content

    def opening(self, nonce: bytes) -> bytes:
        """What opens the commitment of the record with this nonce, and of no other."""
        return hmac.digest(self._blinding, nonce, "sha256")

    def index_key(self) -> bytes:
        """The key of the segment's search index."""
        return self._derive(b"index")

    def _place(self, index: int, previous: bytes) -> bytes:
        return self._bound + index.to_bytes(8, "big") + previous

    def _derive(self, purpose: bytes) -> bytes:
        info = b"hivekeep audit " + purpose
        return HKDF(hashes.SHA256(), 32, self._bound, info).derive(self.secret)


def key_commitment(secret: bytes) -> bytes:
    """A hash that fixes a segment key without giving it away."""
    return sha256(b"hivekeep audit key commitment\n" + secret).digest()


def wrap(key: SegmentKey, log: bytes, owner: bytes, recipients: Sequence[Recipient]) -> bytes:
    """The segment's key file: its key, wrapped once for each who may read."""
    context = _context(log, key.number)
    nonce = os.urandom(_NONCE)
    sealed = nonce + AESGCM(owner).encrypt(nonce, key.secret, context)
    wraps: list[dict[str, Any]] = [
        {"to": OWNER, "key": owner_id(owner), "how": _OWNER_NAME, "wrapped": _text(sealed)}
    ]
    for recipient in recipients:
        public = X25519PublicKey.from_public_bytes(recipient.public)
        sealed = _HPKE.encrypt(key.secret, public, info=context)
        wraps.append(
            {"to": "administrator", "key": _text(recipient.public), "how": _HPKE_NAME,
             "wrapped": _text(sealed)}
        )  # fmt: skip
    return canonical({"log": log.hex(), "segment": key.number, "wraps": wraps})


def owner_id(owner: bytes) -> str:
    """A short name for an owner key."""
    return sha256(b"hivekeep audit owner key\n" + owner).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class OwnerKey:
    """Opens what was wrapped for the owner."""

    secret: bytes

    def unwrap(self, entry: dict[str, Any], context: bytes) -> bytes | None:
        """The segment key of an entry that is ours, else ``None``."""
        if entry["how"] != _OWNER_NAME or entry["key"] != owner_id(self.secret):
            return None
        sealed = b64decode(entry["wrapped"])
        return AESGCM(self.secret).decrypt(sealed[:_NONCE], sealed[_NONCE:], context)


@dataclass(frozen=True, slots=True)
class AdministratorKey:
    """Opens what was wrapped for one administrator."""

    private: bytes

    def unwrap(self, entry: dict[str, Any], context: bytes) -> bytes | None:
        """The segment key of an entry that is ours, else ``None``."""
        private = X25519PrivateKey.from_private_bytes(self.private)
        public = _text(private.public_key().public_bytes_raw())
        if entry["how"] != _HPKE_NAME or entry["key"] != public:
            return None
        return _HPKE.decrypt(b64decode(entry["wrapped"]), private, info=context)


ReadingKey = OwnerKey | AdministratorKey


def unwrap(raw: bytes, reader: ReadingKey, expected: bytes) -> SegmentKey:
    """The segment key in a key file.

    :param expected: the commitment in the segment's first note.
    :raises FormatError: if it is not in it, or is not the one that was committed to.
    """
    try:
        said = json.loads(raw)
        log, number = bytes.fromhex(said["log"]), int(said["segment"])
        context = _context(log, number)
        for entry in said["wraps"]:
            secret = reader.unwrap(entry, context)
            if secret is not None and key_commitment(secret) == expected:
                return SegmentKey(secret, log, number)
    except (ValueError, KeyError, TypeError, InvalidTag) as error:
        raise FormatError("the segment's key cannot be unwrapped") from error
    raise FormatError("the segment's key is not wrapped for this reader")


def _context(log: bytes, number: int) -> bytes:
    return b"hivekeep audit segment key\n" + log + number.to_bytes(8, "big")


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
