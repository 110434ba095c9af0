"""Signed notes and checkpoints as C2SP specifies them, and the certificates between signing keys.

Responsible for text and Ed25519 signatures.  Sources: https://c2sp.org/signed-note and
https://c2sp.org/tlog-checkpoint.  Invariant: parsing is strict; what parses renders to the same
bytes.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hivekeep_verify.frames import FormatError

_ED25519 = b"\1"
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class VerifierKey:
    """An Ed25519 public key with the name it signs under."""

    name: str
    public: bytes

    @cached_property
    def id(self) -> bytes:
        """The four bytes that signature lines begin with."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key that ``str`` rendered.

        :raises FormatError: if it is something else.
        """
        name, plus, rest = text.strip().partition("+")
        identifier, _, encoded = rest.partition("+")
        raw = decode64(encoded)
        if not plus or not _NAME.fullmatch(name) or len(raw) != 33 or raw[:1] != _ED25519:
            raise FormatError("this is not a verifier key of an Ed25519 signer")
        key = cls(name, raw[1:])
        if key.id.hex() != identifier:
            raise FormatError("the verifier key's id does not belong to it")
        return key

    @classmethod
    def of(cls, name: str, encoded: str) -> VerifierKey:
        """The key with these 32 bytes in base64.

        :raises FormatError: if it is something else.
        """
        return cls(name, decode64(encoded))

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made the signature."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: so many leaves with this Merkle root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text that is signed."""
        return checkpoint_text(self.origin, self.size, self.root)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint in a note's text; extension lines are ignored.

        :raises FormatError: if it is something else.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise FormatError("a checkpoint has an origin, a size and a root hash")
        root = decode64(lines[2])
        if not _SIZE.fullmatch(lines[1]) or len(root) != 32:
            raise FormatError("the checkpoint's size or root hash makes no sense")
        return cls(lines[0], int(lines[1]), root)


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """The text of a checkpoint."""
    return f"{origin}\n{size}\n{b64encode(root).decode()}\n"


def sign_line(key: VerifierKey, signature: bytes) -> str:
    """One signature line of a note."""
    return f"— {key.name} {b64encode(key.id + signature).decode()}\n"


def signed_note(text: str, lines: str) -> str:
    """A note's text with its signature lines."""
    return f"{text}\n{lines}"


def open_note(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """A note's text, and name, key id and signature of each of its signature lines.

    :raises FormatError: if it is no signed note.
    """
    text, separator, signatures = note.rpartition("\n\n")
    text += "\n"
    if not separator or not signatures.endswith("\n") or any(_control(c) for c in note):
        raise FormatError("this is not a signed note")
    found = []
    for line in signatures[:-1].split("\n"):
        match = _SIGNATURE_LINE.fullmatch(line)
        raw = decode64(match[2]) if match else b""
        if match is None or len(raw) < 5:
            raise FormatError("a signature line of the note makes no sense")
        found.append((match[1], raw[:4], raw[4:]))
    return text, found


def open_checkpoint(note: str, keys: list[VerifierKey]) -> tuple[Checkpoint, VerifierKey]:
    """The checkpoint of a signed note, and which of ``keys`` signed it.

    :raises FormatError: if it is no checkpoint, or none of the keys signed it.
    """
    text, signatures = open_note(note)
    checkpoint = Checkpoint.parse(text)
    for name, identifier, signature in signatures:
        for key in keys:
            known = (key.name, key.id) == (name, identifier)
            if known and name == checkpoint.origin and key.verifies(signature, text.encode()):
                return checkpoint, key
    raise FormatError("no known key of the log has signed this checkpoint")


def certificate_text(origin: str, epoch: int, public: bytes) -> bytes:
    """What the key of the epoch before signs to make ``public`` the key of ``epoch``."""
    return f"hivekeep audit key\n{origin}\n{epoch}\n{b64encode(public).decode()}\n".encode()


def decode64(text: str) -> bytes:
    """Strict base64.

    :raises FormatError: if it is not exactly what encoding gives.
    """
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("this is not base64") from error
    if b64encode(raw).decode() != text:
        raise FormatError("this is not canonical base64")
    return raw


def _control(character: str) -> bool:
    return character < " " and character != "\n"
