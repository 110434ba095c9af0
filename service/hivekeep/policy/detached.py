"""Signatures that lie beside the file they vouch for, as recipes have them.

Responsible for who signed a file; whether that key counts is policy's to say.  Invariant: a
signature that does not verify is the same as none.
"""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hivekeep.policy.signing import Envelope, EnvelopeError, fingerprint, parse_envelope

FILE_TYPE = "application/vnd.hivekeep.signed-file+json"
_MAX_BYTES = 100_000


def signature_path(file: Path) -> Path:
    """Where the signature of ``file`` lies."""
    return file.with_name(f"{file.name}.sig")


def sign_file(content: bytes, key: Ed25519PrivateKey) -> str:
    """The signature of a file with this content, as text."""
    return Envelope(FILE_TYPE, _statement(content)).signed_by(key).text()


def signers_of(content: bytes, signature: bytes) -> tuple[str, ...]:
    """The ids of the keys that really signed this content."""
    try:
        envelope = parse_envelope(signature, FILE_TYPE)
    except EnvelopeError:
        return ()
    if envelope.payload != _statement(content):
        return ()
    return envelope.valid_signers(key for key, _ in envelope.signatures)


def file_signers(file: Path) -> tuple[str, ...]:
    """The ids of the keys that signed ``file`` as it is now; none if there is no signature."""
    try:
        with signature_path(file).open("rb") as opened:
            signature = opened.read(_MAX_BYTES)
        return signers_of(file.read_bytes(), signature)
    except OSError:
        return ()


def _statement(content: bytes) -> bytes:
    return json.dumps({"sha256": fingerprint(content)}).encode()
