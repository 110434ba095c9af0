"""Verification: no value is believed because a model said it.

Responsible for grounding values in a document's blocks, for the checks between them, and for saying
what stays doubtful; not for asking the model.
"""

from hivekeep.swarm.verification.checking import alternatives, check, is_doubtful
from hivekeep.swarm.verification.mentions import Context
from hivekeep.swarm.verification.settled import open_fields, unconvincing

__all__ = ["Context", "alternatives", "check", "is_doubtful", "open_fields", "unconvincing"]
