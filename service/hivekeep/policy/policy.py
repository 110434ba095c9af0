"""The policy in force: one question, one answer, and the rule that gave it.

Responsible for deciding from data handed to it; it performs no action and touches no file.
Invariant: a denial beats a question, a question beats a permission, and an action that no rule
speaks of is denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from hivekeep.domain.actions import (
    Action,
    ActionKind,
    ApprovalTerms,
    Decision,
    Effect,
    Label,
    Risk,
    risk_of,
)
from hivekeep.domain.errors import PolicyDeniedError, PolicyInvalidError
from hivekeep.domain.saying import say
from hivekeep.policy.deciding import DECIDERS
from hivekeep.policy.layers import Layer, Level
from hivekeep.policy.loading import PolicySources, read_all
from hivekeep.policy.merging import (
    PolicyRow,
    Setting,
    as_settings,
    closed_settings,
    merge,
)
from hivekeep.policy.rules import Rulebook
from hivekeep.policy.schema import PolicySettings


class Policy:
    """An immutable policy; after ``expires`` it has to be loaded anew."""

    def __init__(
        self,
        settings: Mapping[str, Setting],
        rows: tuple[PolicyRow, ...],
        *,
        expires: datetime | None = None,
    ) -> None:
        self.expires = expires
        self._book = Rulebook(settings)
        self._rows = rows
        self.settings: PolicySettings = as_settings(dict(settings))
        self._terms = {risk: _terms(self.settings, risk) for risk in Risk}
        threshold = self.settings.approvals.required_from
        self._asked_from = len(Risk) if threshold == "never" else Risk(threshold).rank

    def decide(self, action: Action, *, confirmed: bool = False) -> Decision:
        """Whether ``action`` may happen: what its rules say, then its label, then its risk.

        :param confirmed: a person who may do so said yes to exactly this; a denial stays one.
        """
        by_document = action.label is Label.UNTRUSTED and not self._granted(action.kind)
        risk = risk_of(action, by_document=by_document)
        decision = DECIDERS[action.kind](self._book, action)
        if by_document and decision.effect is not Effect.DENY:
            decision = self._by_document(action)
        if decision.effect is Effect.ALLOW:
            decision = self._by_risk(action, risk, decision)
        if decision.effect is Effect.ASK:
            if confirmed:
                return replace(decision, effect=Effect.ALLOW, risk=risk)
            return replace(decision, risk=risk, approval=self._terms[risk])
        return replace(decision, risk=risk)

    def require(self, action: Action, *, confirmed: bool = False) -> Decision:
        """The decision, if it allows.

        :raises PolicyDeniedError: if it does not.
        """
        decision = self.decide(action, confirmed=confirmed)
        if not decision.allowed:
            raise PolicyDeniedError(
                decision.reason,
                rule=decision.rule,
                why=f"The rule is {decision.rule} ({decision.source}).",
                next_step="'hivekeep policy show' lists all rules.",
            )
        return decision

    def rows(self) -> tuple[PolicyRow, ...]:
        """Every key with its value and who says so; a key that several sources tighten has more."""
        return self._rows

    def _granted(self, kind: ActionKind) -> bool:
        return self._book.rules("labels.untrusted_actions").find(kind.value) is not None

    def _by_document(self, action: Action) -> Decision:
        """What a document says decides nothing alone."""
        granted = self._book.rules("labels.untrusted_actions")
        effect = Effect(self._book.setting("labels.untrusted_otherwise").value)
        name = action.kind.value
        if effect is Effect.DENY:
            reason = say(
                "rule.by_document", "What a document says may not lead to '{kind}'.", kind=name
            )
        else:
            reason = say(
                "rule.by_document_asked",
                "What a document says leads only after a person has agreed to '{kind}'.",
                kind=name,
            )
        return Decision(effect, granted.key, granted.source, reason)

    def _by_risk(self, action: Action, risk: Risk, decision: Decision) -> Decision:
        """What is allowed may still need a person's yes."""
        always = self._book.rules("approvals.required_for").find(action.kind.value)
        if always is not None:
            reason = say(
                "rule.always_asked", "'{kind}' needs a person's agreement.", kind=action.kind.value
            )
            return Decision(Effect.ASK, always.rule, always.source, reason)
        if risk.rank >= self._asked_from:
            setting = self._book.setting("approvals.required_from")
            reason = say(
                "rule.risk", "Its risk is {risk}, which needs a person's agreement.",
                risk=risk.value,
            )  # fmt: skip
            return Decision(Effect.ASK, setting.key, setting.source, reason)
        return decision


class InvalidPolicy(Policy):
    """What is in force while the real policy cannot be understood: nothing is allowed."""

    def __init__(self, problem: PolicyInvalidError) -> None:
        row = PolicyRow("policy", str(problem), problem.what, Level.MANDATORY)
        settings, _ = merge([])
        super().__init__(settings, (row,))
        self.problem = problem
        self.settings = closed_settings()

    def decide(self, action: Action, *, confirmed: bool = False) -> Decision:  # noqa: ARG002
        """No."""
        return Decision(
            Effect.DENY, "policy.invalid", self.problem.what, str(self.problem), risk_of(action)
        )


def load_policy(sources: PolicySources) -> Policy:
    """Read, validate and combine all sources.

    :raises PolicyInvalidError: if any file cannot be used; then nothing may be done.
    """
    loaded = read_all(sources)
    return policy_of(loaded.layers, expires=loaded.expires)


def policy_of(layers: Iterable[Layer], *, expires: datetime | None = None) -> Policy:
    """The policy that these layers make.

    :raises PolicyInvalidError: if a mandatory one permits more than one before it.
    """
    return Policy(*merge(layers), expires=expires)


def _terms(settings: PolicySettings, risk: Risk) -> ApprovalTerms:
    rules = settings.approvals
    approvers = rules.approvers
    if risk is Risk.CRITICAL and rules.critical_approvers is not None:
        approvers = rules.critical_approvers
    ceiling = rules.always_allow_up_to
    remembered = ceiling != "never" and risk.rank <= Risk(ceiling).rank
    return ApprovalTerms(approvers, remembered, rules.timeout_seconds)
