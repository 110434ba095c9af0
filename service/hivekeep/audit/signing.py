"""The signing key that evolves forward: one Ed25519 key per epoch, the old one forgotten.

Responsible for which key signs and for its place in the key store.  Invariant: before the log says
that a key is in force, the key store has it; after that, the key store has no older one.  So a
kill at any instant leaves a usable key, and whoever takes the machine finds only the newest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from nacl.bindings import crypto_sign, crypto_sign_BYTES
from nacl.signing import SigningKey

from hivekeep.audit.vault import AuditVault, StoredKey
from hivekeep_verify.frames import FormatError
from hivekeep_verify.notes import VerifierKey, certificate_text, sign_line, signed_note


@dataclass(frozen=True)
class EpochKey:
    """The private key of one epoch."""

    origin: str
    epoch: int
    private: SigningKey

    @classmethod
    def create(cls, origin: str, epoch: int) -> EpochKey:
        """A new key."""
        return cls(origin, epoch, SigningKey.generate())

    @classmethod
    def from_seed(cls, origin: str, epoch: int, seed: bytes) -> EpochKey:
        """The key with these secret bytes."""
        return cls(origin, epoch, SigningKey(seed))

    @cached_property
    def _secret(self) -> bytes:
        """The private key as libsodium takes it: seed and public half."""
        return bytes(self.private) + bytes(self.private.verify_key)

    @cached_property
    def public(self) -> VerifierKey:
        """Its public half."""
        return VerifierKey(self.origin, bytes(self.private.verify_key))

    def certify(self, successor: EpochKey) -> bytes:
        """The signature that makes another key the next epoch's."""
        text = certificate_text(self.origin, successor.epoch, successor.public.public)
        return self.private.sign(text).signature

    def sign(self, text: str) -> bytes:
        """The signature over a note's text."""
        # What ``SigningKey.sign`` does, without the objects it makes around it.
        return crypto_sign(text.encode(), self._secret)[:crypto_sign_BYTES]

    def note(self, text: str, signature: bytes) -> str:
        """The signed note of a text this key signed."""
        return signed_note(text, sign_line(self.public, signature))


class SigningKeys:
    """The key in force, and for a moment its successor, in the vault."""

    def __init__(self, vault: AuditVault, current: EpochKey) -> None:
        self._vault = vault
        self.current = current

    @classmethod
    def begin(cls, vault: AuditVault, origin: str) -> SigningKeys:
        """The first key of a new log."""
        keys = cls(vault, EpochKey.create(origin, 0))
        keys._save(keys.current)
        return keys

    @classmethod
    def load(cls, vault: AuditVault, origin: str, epoch: int, public: bytes) -> SigningKeys:
        """The key that the log says is in force.

        :raises FormatError: if the vault does not have it.
        """
        stored = vault.signing
        for item in stored:
            key = EpochKey.from_seed(origin, epoch, item.seed)
            if (item.epoch, key.public.public) == (epoch, public):
                keys = cls(vault, key)
                if len(stored) > 1:
                    keys.forget_old()
                return keys
        raise FormatError("the signing key in the key store is not the one that the log names")

    def prepare(self) -> EpochKey:
        """A successor, which the vault has from now on beside the key in force."""
        successor = EpochKey.create(self.current.origin, self.current.epoch + 1)
        self._save(self.current, successor)
        return successor

    def switch(self, successor: EpochKey) -> None:
        """The log has the successor's certificate: it signs from now on."""
        self.current = successor

    def forget_old(self) -> None:
        """Leave only the key in force in the vault."""
        self._save(self.current)

    def _save(self, *keys: EpochKey) -> None:
        self._vault.save(signing=[StoredKey(key.epoch, bytes(key.private)) for key in keys])
