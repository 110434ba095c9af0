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
    return Envelope(FILE_TYPE, _statement(fingerprint(content))).signed_by(key).text()


def signers_of(sha256: str, signature: bytes) -> tuple[str, ...]:
    """The ids of the keys that really signed the content with this hash."""
    try:
        envelope = parse_envelope(signature, FILE_TYPE)
    except EnvelopeError:
        return ()
    if envelope.payload != _statement(sha256):
        return ()
    return envelope.valid_signers(key for key, _ in envelope.signatures)


def file_signers(file: Path, sha256: str) -> tuple[str, ...]:
    """The ids of the keys that signed ``file`` as it was when it had this hash.

    The hash comes from whoever read the file, so that what was signed is what is used.
    """
    try:
        with signature_path(file).open("rb") as opened:
            return signers_of(sha256, opened.read(_MAX_BYTES))
    except OSError:
        return ()


def _statement(sha256: str) -> bytes:
    return json.dumps({"sha256": sha256}).encode()
