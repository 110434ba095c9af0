"""Ed25519 keys and signatures of policy bundles and recipes.

Responsible for the bytes that a signature covers and for keys as files; what a signature is worth
is ``bundle``'s.  Signatures are DSSE envelopes (github.com/secure-systems-lab/dsse), so the type of
what is signed is signed with it, and a signature of one thing is never one of another.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from hivekeep.domain.errors import UsageError


class EnvelopeError(ValueError):
    """An envelope is not what it should be; the text says how."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload with its type and signatures, each the key's id (its hexadecimal public key)."""

    payload_type: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...] = ()

    def signed_by(self, key: Ed25519PrivateKey) -> Envelope:
        """This envelope with one signature more; an older one of the same key is replaced."""
        mine = key_id(key.public_key())
        others = tuple(pair for pair in self.signatures if pair[0] != mine)
        signature = key.sign(_covered(self.payload_type, self.payload))
        return Envelope(self.payload_type, self.payload, (*others, (mine, signature)))

    def valid_signers(self, trusted: Iterable[str]) -> tuple[str, ...]:
        """Those of the ``trusted`` keys whose signature verifies."""
        wanted = set(trusted)
        covered = _covered(self.payload_type, self.payload)
        return tuple(
            key
            for key, signature in self.signatures
            if key in wanted and _verifies(key, signature, covered)
        )

    def as_data(self) -> dict[str, Any]:
        """The envelope as DSSE's JSON."""
        return {
            "payloadType": self.payload_type,
            "payload": base64.b64encode(self.payload).decode(),
            "signatures": [
                {"keyid": key, "sig": base64.b64encode(signature).decode()}
                for key, signature in self.signatures
            ],
        }

    def text(self) -> str:
        """The envelope as it stands in a file."""
        return json.dumps(self.as_data(), indent=2) + "\n"


def parse_envelope(raw: bytes | str, expected_type: str) -> Envelope:
    """The envelope in ``raw``.

    :raises EnvelopeError: if it is none, or of another type.
    """
    try:
        data = json.loads(raw)
        payload_type = data["payloadType"]
        payload = base64.b64decode(data["payload"], validate=True)
        signatures = tuple(
            (str(one["keyid"]), base64.b64decode(one["sig"], validate=True))
            for one in data["signatures"]
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EnvelopeError("it is no signed envelope") from error
    if not isinstance(payload_type, str) or payload_type != expected_type:
        raise EnvelopeError(f"it holds '{payload_type}', not '{expected_type}'")
    return Envelope(payload_type, payload, signatures)


def key_id(key: Ed25519PublicKey) -> str:
    """The public key in hexadecimal: it is its own id, so none can be mistaken for another."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def new_key() -> Ed25519PrivateKey:
    """A fresh key from the system's random source."""
    return Ed25519PrivateKey.generate()


def private_pem(key: Ed25519PrivateKey, passphrase: bytes | None) -> bytes:
    """A private key as PKCS #8, encrypted where a passphrase is given."""
    protection = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def public_pem(key: Ed25519PublicKey) -> bytes:
    """A public key as it is pinned."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def load_private(raw: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
    """The private key of a PEM file.

    :raises UsageError: if it is none, or the passphrase does not fit.
    """
    try:
        key = load_pem_private_key(raw, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(
            "The private key cannot be read.",
            why=f"{error}",
            next_step="--passphrase-file gives the passphrase of an encrypted key.",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("The key is not an Ed25519 key.", next_step="'hivekeep policy keygen'")
    return key


def load_public(raw: bytes) -> Ed25519PublicKey:
    """The public key of a PEM file.

    :raises EnvelopeError: if it is no Ed25519 public key.
    """
    try:
        key = load_pem_public_key(raw)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EnvelopeError("it is no public key in PEM form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise EnvelopeError("it is not an Ed25519 key")
    return key


def fingerprint(payload: bytes) -> str:
    """What a payload is remembered by."""
    return hashlib.sha256(payload).hexdigest()


def _covered(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding, protocol.md of its specification, version 1."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _verifies(key: str, signature: bytes, covered: bytes) -> bool:
    try:
        raw = bytes.fromhex(key)
        if raw.hex() != key:
            # Another spelling would be another id of the same key.
            return False
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, covered)
    except (InvalidSignature, ValueError):
        return False
    return True
