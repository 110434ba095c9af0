"""Actions that wait for a person: asked once, bound to a hash, remembered across restarts.

Responsible for questions and answers; policy decides when to ask, the daemon shows and records.
"""

from hivekeep.approvals.desk import ApprovalDesk, DeskPorts, may_always
from hivekeep.approvals.digest import digest_of
from hivekeep.approvals.ledger import Case, Entry, Kind, Ledger, plain_data
from hivekeep.approvals.wording import shown_text

__all__ = [
    "ApprovalDesk",
    "Case",
    "DeskPorts",
    "Entry",
    "Kind",
    "Ledger",
    "digest_of",
    "may_always",
    "plain_data",
    "shown_text",
]
