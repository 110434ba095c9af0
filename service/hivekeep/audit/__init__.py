"""The append-only, encrypted, hash-chained record of what was decided and done.

Responsible for making tampering visible; not for deciding what is recorded.  Invariant: ``append``
returns only when the record is on the disk, and after a failed write nothing more is accepted.
"""

from hivekeep.audit.log import AuditLog
from hivekeep.audit.record import AuditEvent, AuditRecord
from hivekeep.audit.verify import Problem, VerifyReport, records, verify

__all__ = [
    "AuditEvent",
    "AuditLog",
    "AuditRecord",
    "Problem",
    "VerifyReport",
    "records",
    "verify",
]
