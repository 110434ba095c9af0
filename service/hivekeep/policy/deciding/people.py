"""Decisions about what people see and hold: clipboard, notifications, the audit log, updates."""

from __future__ import annotations

from hivekeep.domain.actions import Action, Decision
from hivekeep.domain.saying import say
from hivekeep.policy.deciding.answers import chosen, no, yes
from hivekeep.policy.rules import Rulebook


def clipboard(book: Rulebook, _action: Action) -> Decision:
    """Whether the clipboard may be read or written."""
    return chosen(book.setting("desktop.clipboard"), say("subject.clipboard", "The clipboard"))


def notify(book: Rulebook, _action: Action) -> Decision:
    """Whether a notification may appear."""
    choice = book.setting("desktop.notifications")
    if choice.value == "off":
        return no(choice, say("rule.no_notice", "Notifications are off."))
    return yes(choice, say("rule.notice", "Notifications may appear."))


def export_audit(book: Rulebook, _action: Action) -> Decision:
    """Whether the audit log may be exported in readable form."""
    return chosen(book.setting("audit.export"), say("subject.export", "Exporting the audit log"))


def install_update(book: Rulebook, _action: Action) -> Decision:
    """Whether a newer version may be installed."""
    choice = book.setting("updates.mode")
    if choice.value != "install":
        return no(choice, say("rule.no_update", "Newer versions may not be installed."))
    return yes(choice, say("rule.update", "Newer versions may be installed."))
