"""Takes from a process what it does not need, with what the operating system offers.

Readers of documents, text recognition and inference confine themselves (``confine``); code that an
agent wrote is started inside a place made for it (``code``).  Nothing here decides what may run.
"""

from hivekeep.sandbox.confine import confine
from hivekeep.sandbox.model import Confinement, Protection, SandboxError
from hivekeep.sandbox.status import ProtectionStatus, missing_protections, protections

__all__ = [
    "Confinement",
    "Protection",
    "ProtectionStatus",
    "SandboxError",
    "confine",
    "missing_protections",
    "protections",
]
