"""Policy and audit as the one gate that every action passes.

Responsible for asking policy, writing the answer to the audit log, and refusing; not for deciding.
Invariant: no action goes ahead whose decision is not durably in the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import anyio

from hivekeep.audit import AuditEvent, AuditLog
from hivekeep.daemon.wiring import resolved
from hivekeep.domain.actions import Action
from hivekeep.domain.errors import PolicyDeniedError
from hivekeep.policy import PolicyHolder


def _resolve(action: Action) -> Action:
    """Policy judges where a path really leads, not what a symbolic link calls it."""
    return replace(action, path=resolved(action.path), target=resolved(action.target))


@dataclass(frozen=True, slots=True)
class PolicyGate:
    """The gate of one daemon."""

    policy: PolicyHolder
    audit: AuditLog

    async def require(self, action: Action, *, run: str = "", agent: str = "") -> str:
        """Decide, record, and return the id of the rule that allowed the action.

        :raises PolicyDeniedError: if policy forbids it; the denial is recorded too.
        :raises AuditError: if the decision cannot be recorded; then nothing may happen.
        """
        action = await anyio.to_thread.run_sync(_resolve, action)
        policy = self.policy.current()
        decision = policy.decide(action)
        subject = action.target or action.path or action.model or action.host or action.recipe
        await self.record(
            f"policy.{action.kind.value}",
            run=run,
            agent=agent,
            subject=subject,
            outcome="allowed" if decision.allowed else "denied",
            rule=decision.rule,
            source=decision.source,
            label=action.label.value,
        )
        if not decision.allowed:
            raise PolicyDeniedError(
                decision.reason,
                rule=decision.rule,
                why=f"The rule is {decision.rule}, from {decision.source}.",
                next_step="'hivekeep policy show' lists every rule and who set it.",
            )
        return decision.rule

    async def record(
        self,
        action: str,
        *,
        run: str = "",
        agent: str = "",
        subject: str = "",
        outcome: str = "",
        rule: str = "",
        **detail: Any,
    ) -> None:
        """Write one audit record; durable when this returns."""
        event = AuditEvent(
            actor=agent or run or "daemon",
            action=action,
            subject=subject,
            rule=rule,
            outcome=outcome,
            detail={"run": run, **detail} if run else detail,
        )
        await anyio.to_thread.run_sync(self.audit.append, event)
