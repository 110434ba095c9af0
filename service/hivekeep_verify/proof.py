"""Proof bundles: that a record is in the log, and that one log head is the prefix of another.

Responsible for the JSON that ``hivekeep audit prove`` writes, and for checking it offline.
Invariant: a bundle is believed only as far as a key that the verifier already trusts reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from hivekeep_verify.frames import FormatError, leaf_hash
from hivekeep_verify.notes import (
    Checkpoint,
    VerifierKey,
    certificate_text,
    decode64,
    open_checkpoint,
)
from hivekeep_verify.tree import consistent, root_from_inclusion

FORMAT = "hivekeep-audit-proof/1"
_COMMITMENT = b"hivekeep audit commitment\n"
_COMMITMENT_AT = 1 + 8 + 32


class ProofError(Exception):
    """A proof that does not prove what it claims; the message says which check failed."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What a bundle proves: the record, the head it is under, and its content if revealed."""

    record: int
    checkpoint: Checkpoint
    signed_by: VerifierKey
    content: bytes | None
    older: Checkpoint | None


def commitment(opening: bytes, content: bytes) -> bytes:
    """The hiding, binding commitment to a record's content."""
    return sha256(_COMMITMENT + opening + content).digest()


def trusted_keys(
    trusted: Sequence[VerifierKey], certificates: Sequence[dict[str, Any]]
) -> list[VerifierKey]:
    """The trusted keys and all that they certify, step by step.

    :raises FormatError: if a certificate cannot be read.
    """
    known = list(trusted)
    for certificate in certificates:
        signer = VerifierKey.parse(certificate["by"])
        text = certificate_text(
            signer.name, int(certificate["epoch"]), decode64(certificate["public_key"])
        )
        if signer in known and signer.verifies(decode64(certificate["signature"]), text):
            known.append(VerifierKey(signer.name, decode64(certificate["public_key"])))
    return known


def check_proof(bundle: dict[str, Any], trusted: Sequence[VerifierKey]) -> Proven:
    """Check that the bundle's record is in the log.

    :param trusted: at least one key of the log, from a source other than the bundle.
    :raises ProofError: if it is not proven.
    """
    try:
        if bundle["format"] != FORMAT:
            raise ProofError("this is not a proof of a known format")
        keys = trusted_keys(trusted, bundle.get("certificates", []))
        checkpoint, key = open_checkpoint(bundle["checkpoint"], keys)
        leaf = decode64(bundle["leaf"])
        path = [decode64(step) for step in bundle["inclusion"]]
        record = int(bundle["record"])
        if int.from_bytes(leaf[1:9], "big") != record:
            raise ProofError("the leaf is of another record")
        if root_from_inclusion(record, checkpoint.size, leaf_hash(leaf), path) != checkpoint.root:
            raise ProofError("the record is not under the checkpoint's root")
        older = _check_older(bundle, keys, checkpoint)
        return Proven(record, checkpoint, key, _content(bundle, leaf), older)
    except (FormatError, ValueError, KeyError, TypeError) as error:
        raise ProofError(f"the proof cannot be used: {error}") from error


def check_consistency(
    older: str, newer: str, path: Sequence[bytes], keys: Sequence[VerifierKey]
) -> tuple[Checkpoint, Checkpoint]:
    """Check that the log of one signed checkpoint is the beginning of another's.

    :raises ProofError: if it is not.
    """
    try:
        old, _ = open_checkpoint(older, list(keys))
        new, _ = open_checkpoint(newer, list(keys))
    except FormatError as error:
        raise ProofError(str(error)) from error
    if old.origin != new.origin or not consistent(old.size, new.size, (old.root, new.root), path):
        raise ProofError("the older checkpoint is not the beginning of the newer one")
    return old, new


def _check_older(
    bundle: dict[str, Any], keys: list[VerifierKey], newer: Checkpoint
) -> Checkpoint | None:
    if "older" not in bundle:
        return None
    path = [decode64(step) for step in bundle["consistency"]]
    old, new = check_consistency(bundle["older"], bundle["checkpoint"], path, keys)
    if new != newer:
        raise ProofError("the consistency proof is about another checkpoint")
    return old


def _content(bundle: dict[str, Any], leaf: bytes) -> bytes | None:
    if "content" not in bundle:
        return None
    content, opening = decode64(bundle["content"]), decode64(bundle.get("opening", ""))
    kind, at = leaf[0], _COMMITMENT_AT
    expected = commitment(opening, content) if kind == 1 else sha256(content).digest()
    if leaf[at : at + 32] != expected:
        raise ProofError("the content shown is not the content that was recorded")
    return content
