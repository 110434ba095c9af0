"""Policy and audit as the one gate that every action passes.

Responsible for asking policy, writing the answer to the audit log, and refusing; not for deciding.
Invariant: no action goes ahead whose decision is not durably in the audit log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

import anyio
import psutil

from hivekeep.audit import AuditEvent, AuditLog, DataRef, ModelRef
from hivekeep.daemon.asking import Asking
from hivekeep.daemon.pause import Pause
from hivekeep.daemon.shared_write import SharedWrite
from hivekeep.daemon.wiring import resolved
from hivekeep.domain.actions import Action, ActionKind, Decision, Effect
from hivekeep.domain.approvals import Passage, Preview
from hivekeep.domain.errors import PolicyDeniedError
from hivekeep.domain.saying import say
from hivekeep.policy import Policy, PolicyHolder
from hivekeep.sandbox import missing_protections

_OUTCOMES = {Effect.ALLOW: "allowed", Effect.ASK: "asked", Effect.DENY: "denied"}


# What has foreign data read, thought about or run in a process that policy may want confined.
_CONFINED = frozenset({ActionKind.START_RUN, ActionKind.READ_FILE, ActionKind.RUN_CODE,
                       ActionKind.MCP_START})  # fmt: skip


async def _unprotected(action: Action, policy: Policy) -> Decision | None:
    """The refusal, if the policy demands protections that this machine does not have."""
    required = policy.settings.sandbox.required
    if not required or action.kind not in _CONFINED:
        return None
    missing = await anyio.to_thread.run_sync(missing_protections, required)
    if not missing:
        return None
    source = next((row.source for row in policy.rows() if row.key == "sandbox.required"), "")
    reason = say(
        "rule.unprotected", "This machine lacks what the policy requires: {protections}.",
        protections=", ".join(missing),
    )  # fmt: skip
    return Decision(Effect.DENY, "sandbox.required", source, reason)


def _resolve(action: Action) -> Action:
    """Policy judges where a path really leads, not what a symbolic link calls it."""
    return replace(action, path=resolved(action.path), target=resolved(action.target))


@dataclass(frozen=True, slots=True)
class PolicyGate:
    """The gate of one daemon."""

    policy: PolicyHolder
    audit: AuditLog
    asking: Asking | None = None
    pause: Pause | None = None
    observe: Callable[[Policy], None] = lambda _policy: None
    _records: SharedWrite = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_records", SharedWrite(self.audit))

    async def require(
        self,
        action: Action,
        *,
        run: str = "",
        agent: str = "",
        preview: Preview | None = None,
        passages: tuple[Passage, ...] = (),
    ) -> str:
        """Decide, record, and return the id of the rule that allowed the action.

        What a run wants to do waits while there is a pause.  Where policy asks, this waits for a
        person.  ``preview`` and ``passages`` are what the person sees; without them they are looked
        up.

        :raises PolicyDeniedError: if policy or a person forbids it; the denial is recorded too.
        :raises AuditError: if the decision cannot be recorded; then nothing may happen.
        """
        if run and self.pause is not None:
            await self.pause.passed()
        action = await anyio.to_thread.run_sync(_resolve, action)
        policy = self.policy.current()
        self.observe(policy)
        decision = await _unprotected(action, policy) or policy.decide(action)
        subject = (
            action.target or action.path or action.model or action.host or action.recipe
            or "/".join(name for name in (action.server, action.tool) if name)
        )  # fmt: skip
        await self.record(
            f"policy.{action.kind.value}",
            run=run,
            agent=agent,
            subject=subject,
            outcome=_OUTCOMES[decision.effect],
            rule=decision.rule,
            source=decision.source,
            label=action.label.value,
            arguments=_arguments(action),
        )
        if decision.effect is Effect.ASK and self.asking is not None:
            return await self.asking.require(
                action, decision, run=run, agent=agent, preview=preview, passages=passages
            )
        if not decision.allowed:
            raise PolicyDeniedError(
                decision.reason,
                rule=decision.rule,
                why=say(
                    "why.rule",
                    "The rule is {rule}, from {source}.",
                    rule=decision.rule,
                    source=decision.source,
                ),
                next_step=say(
                    "next.policy", "'hivekeep policy show' lists every rule and who set it."
                ),
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
            user=_user(),
            job=run,
            agent=agent,
            arguments=detail.pop("arguments", {}),
            approval=detail.pop("approval", ""),
            result=detail.pop("result", ""),
            model=_model(action, subject, detail),
            data=tuple(_data(subject, detail)),
            detail=detail,
        )
        await self._records.append(event)


def _arguments(action: Action) -> dict[str, Any]:
    """What the action would do, without what it leaves open."""
    said = {item.name: getattr(action, item.name) for item in fields(action)}
    return {name: value for name, value in said.items() if value and name not in ("kind", "label")}


def _model(action: str, subject: str, detail: dict[str, Any]) -> ModelRef | None:
    if action != "model.call":
        return None
    return ModelRef(subject, detail.pop("model_sha256", ""), detail.pop("sampling", {}))


def _data(subject: str, detail: dict[str, Any]) -> Iterator[DataRef]:
    """The data that a record speaks of: by its hashes, and by the label it carries."""
    label, sha256 = detail.pop("label", ""), detail.pop("sha256", "")
    if label or sha256:
        yield DataRef(subject, sha256, label)
    for name in ("prompt", "answer"):
        if f"{name}_sha256" in detail:
            yield DataRef(name, detail.pop(f"{name}_sha256"), label)


@cache
def _user() -> str:
    """The account this daemon works for."""
    return psutil.Process().username()
