"""What policy says about the audit log, as the log's settings, also after policy changed.

Responsible for the translation only.  Invariant: a policy that cannot be understood changes nothing
about the log: its readers, sinks and witnesses stay those of the last one that could be.
"""

from __future__ import annotations

import threading

from hivekeep.audit import AuditLog, AuditSettings, Recipient
from hivekeep.audit.delivery import SINKS, WITNESSES, Target
from hivekeep.policy import InvalidPolicy, Policy


def audit_settings(policy: Policy) -> AuditSettings:
    """The log's settings under a policy."""
    rules, kept = policy.settings.audit, policy.settings.retention.audit_days
    after = rules.shred_after_days
    return AuditSettings(
        recipients=tuple(Recipient.parse(key) for key in rules.recipients),
        retention_days=None if after is None else max(after, kept),
        witnesses=tuple(Target.parse(text, WITNESSES) for text in rules.witnesses),
        sinks=tuple(Target.parse(text, SINKS) for text in rules.sinks),
    )


class AuditPolicy:
    """Keeps a log to the policy that is in force."""

    def __init__(self, log: AuditLog, policy: Policy) -> None:
        self._log, self._seen = log, policy
        self._lock = threading.Lock()

    def observe(self, policy: Policy) -> None:
        """A decision is made under this policy; obey it if it is another one than before.

        That is done in a thread of its own, because ending a sink may take as long as its server
        does not answer.
        """
        if policy is self._seen or isinstance(policy, InvalidPolicy):
            return
        self._seen = policy
        threading.Thread(target=self._obey, args=(policy,), name="audit-policy").start()

    def _obey(self, policy: Policy) -> None:
        settings = audit_settings(policy)
        with self._lock:
            if policy is self._seen and settings != self._log.settings:
                self._log.configure(settings)
