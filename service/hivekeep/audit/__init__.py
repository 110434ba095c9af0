"""The append-only, encrypted, signed record of what was decided and done.

Responsible for making tampering visible; not for deciding what is recorded.  Invariant: ``append``
returns only when the record and a signed checkpoint over it are on the disk.
"""

from hivekeep.audit.log import AuditLog, AuditSettings, AuditState
from hivekeep.audit.reading import records
from hivekeep.audit.record import AuditEvent, AuditRecord, DataRef, ModelRef
from hivekeep.audit.sealing import Recipient
from hivekeep.audit.searching import Query, search
from hivekeep.audit.verifying import verify
from hivekeep_verify import Problem, Report

__all__ = [
    "AuditEvent",
    "AuditLog",
    "AuditRecord",
    "AuditSettings",
    "AuditState",
    "DataRef",
    "ModelRef",
    "Problem",
    "Query",
    "Recipient",
    "Report",
    "records",
    "search",
    "verify",
]
