"""The durable event log that runs are folded from.

Responsible for appending events and content-addressed blobs with group commit, and for reading
them back in order; not for what the events mean.  Invariant: when ``append`` returns, the events
survive a kill and a power cut.
"""

from hivekeep.journal.codec import decode, encode
from hivekeep.journal.store import Event, Journal, NewEvent

__all__ = ["Event", "Journal", "NewEvent", "decode", "encode"]
