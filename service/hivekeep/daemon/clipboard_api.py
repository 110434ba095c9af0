"""The route that the interface asks before it looks at the clipboard.

Responsible for deciding and recording the one act of the interface that reads something which the
daemon does not see.
"""

from __future__ import annotations

from hivekeep.daemon.gate import PolicyGate
from hivekeep.daemon.routing import Routes
from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import PolicyDeniedError


async def allow_reading(gate: PolicyGate) -> None:
    """Decide about reading the clipboard, which a person has just asked for by a click.

    :raises PolicyDeniedError: if policy forbids it.
    :raises AuditError: if the decision cannot be recorded; then it must not be read.
    """
    action = Action(ActionKind.CLIPBOARD, verb="read")
    decision = gate.policy.current().decide(action, confirmed=True)
    await gate.record(
        f"policy.{action.kind.value}", subject="read",
        outcome="allowed" if decision.allowed else "denied", rule=decision.rule,
        source=decision.source, approval="Process the clipboard",
    )  # fmt: skip
    if not decision.allowed:
        raise PolicyDeniedError(
            decision.reason, rule=decision.rule,
            why=f"The rule is {decision.rule}, from {decision.source}.",
            next_step="'hivekeep policy show' lists every rule and who set it.",
        )  # fmt: skip


def add_clipboard_route(routes: Routes, gate: PolicyGate) -> None:
    """Add ``/v1/desktop/clipboard``."""

    @routes.post("/v1/desktop/clipboard")
    async def read_clipboard() -> dict[str, bool]:
        await allow_reading(gate)
        return {"allowed": True}
