"""Answers in the words of a rule: what decided, where it stands, and why.

Responsible for the shapes of decisions that every kind of action shares.
"""

from __future__ import annotations

from typing import Protocol

from hivekeep.domain.actions import Decision, Effect
from hivekeep.domain.saying import say
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
            return yes(choice, say("rule.allowed", "{subject}: allowed.", subject=subject))
        case "ask":
            reason = say(
                "rule.asked", "{subject}: only after a person has agreed.", subject=subject
            )
            return Decision(Effect.ASK, choice.key, choice.source, reason)
        case _:
            return no(choice, say("rule.not_allowed", "{subject}: not allowed.", subject=subject))


def listed(rules: RuleList, name: str, subject: str) -> Decision:
    """Whether a list of what is allowed names ``name``."""
    may = say("rule.may_be_used", "{subject} may be used.", subject=subject)
    if rules.anything:
        return yes(rules, may)
    found = rules.find(name)
    if found is None:
        return no(rules, say("rule.may_not_be_used", "{subject} may not be used.", subject=subject))
    return yes_by(found, may)
