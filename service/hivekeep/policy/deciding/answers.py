"""Answers in the words of a rule: what decided, where it stands, and why.

Responsible for the shapes of decisions that every kind of action shares.
"""

from __future__ import annotations

from typing import Protocol

from hivekeep.domain.actions import Decision, Effect
from hivekeep.policy.merging import DEFAULT_SOURCE, Item, Setting
from hivekeep.policy.rules import RuleList


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def source(self) -> str: ...


def yes(by: _Keyed, reason: str) -> Decision:
    """Allowed, by a whole key."""
    return Decision(Effect.ALLOW, by.key, by.source, reason)


def no(by: _Keyed, reason: str) -> Decision:
    """Denied, by a whole key."""
    return Decision(Effect.DENY, by.key, by.source, reason)


def yes_by(item: Item, reason: str) -> Decision:
    """Allowed, by one entry of a list."""
    return Decision(Effect.ALLOW, item.rule, item.source, reason)


def no_by(item: Item, reason: str) -> Decision:
    """Denied, by one entry of a list."""
    return Decision(Effect.DENY, item.rule, item.source, reason)


def malformed(key: str, reason: str) -> Decision:
    """Denied, because the action is not described in a form that rules can speak of."""
    return Decision(Effect.DENY, key, DEFAULT_SOURCE, reason)


def chosen(choice: Setting, subject: str) -> Decision:
    """What a choice of deny, ask and allow says about ``subject``."""
    match choice.value:
        case "allow":
            return yes(choice, f"{subject}: allowed.")
        case "ask":
            return Decision(
                Effect.ASK, choice.key, choice.source, f"{subject}: only after a person has agreed."
            )
        case _:
            return no(choice, f"{subject}: not allowed.")


def listed(rules: RuleList, name: str, subject: str) -> Decision:
    """Whether a list of what is allowed names ``name``."""
    if rules.anything:
        return yes(rules, f"{subject} may be used.")
    found = rules.find(name)
    if found is None:
        return no(rules, f"{subject} may not be used.")
    return yes_by(found, f"{subject} may be used.")
