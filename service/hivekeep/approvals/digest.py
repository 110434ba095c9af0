"""The hash that ties an answer to exactly one action and its content.

Responsible for the canonical form; not for what is asked.  Invariant: two proposals have the same
digest only if a person would have been shown the same action and the same content.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from hivekeep.domain.approvals import Proposal


def canonical(proposal: Proposal) -> bytes:
    """Action and preview as canonical JSON: sorted keys, no spaces, ASCII.

    The passages are left out: they explain the action and are no part of it.
    """
    data = {"action": asdict(proposal.action), "preview": asdict(proposal.preview)}
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode("ascii")


def digest_of(proposal: Proposal) -> str:
    """The SHA-256 of the canonical form, in hex."""
    return hashlib.sha256(canonical(proposal)).hexdigest()
