"""Verification: no value is believed because a model said it.

Responsible for grounding values in a document's blocks, for the checks between them, and for saying
what stays doubtful; not for asking the model.
"""

from hivekeep.swarm.verification.checking import alternatives, check, is_doubtful
from hivekeep.swarm.verification.mentions import Context

__all__ = ["Context", "alternatives", "check", "is_doubtful"]
