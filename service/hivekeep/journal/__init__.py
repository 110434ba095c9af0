"""The durable, encrypted event log that runs are folded from.

Responsible for appending events and content-addressed blobs with group commit, for reading them
back in order, and for moving, compacting and repairing the file; not for what the events mean.
Invariant: when ``append`` returns, the events survive a kill and a power cut.
"""

from hivekeep.journal.codec import decode, encode
from hivekeep.journal.database import KEY_BYTES, journal_key
from hivekeep.journal.records import Event, NewEvent
from hivekeep.journal.salvage import Repair, examine, repair
from hivekeep.journal.store import Journal

__all__ = [
    "KEY_BYTES",
    "Event",
    "Journal",
    "NewEvent",
    "Repair",
    "decode",
    "encode",
    "examine",
    "journal_key",
    "repair",
]
