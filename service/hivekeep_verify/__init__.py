"""Reads and verifies Hivekeep audit logs and proofs with public keys only.

Responsible for the public half of the format in docs/audit-format.md: frames, the hash chain, the
Merkle tree, checkpoints and key certificates.  Not for content, which it cannot decrypt.
Invariant: it imports nothing of ``hivekeep``, so an auditor can read the whole of what is trusted.
"""

from hivekeep_verify.check import Report, check_log
from hivekeep_verify.frames import FormatError
from hivekeep_verify.notes import Checkpoint, VerifierKey
from hivekeep_verify.proof import ProofError, check_consistency, check_proof
from hivekeep_verify.segment import Problem

__all__ = [
    "Checkpoint",
    "FormatError",
    "Problem",
    "ProofError",
    "Report",
    "VerifierKey",
    "check_consistency",
    "check_log",
    "check_proof",
]
