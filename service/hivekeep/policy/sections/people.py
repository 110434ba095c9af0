"""Keys about people: approvals, the desktop, records, retention, updates, whom to ask."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hivekeep.domain.actions import ActionKind
from hivekeep.policy.markers import (
    ASKABLE,
    Allow,
    Demand,
    Deny,
    First,
    Highest,
    ItemKind,
    Lowest,
    Strictest,
)
from hivekeep.policy.sections.base import Section
from hivekeep.policy.values import Ask, Name, PublicKey, Sink, Text, Witness

Threshold = Literal["low", "medium", "high", "critical", "never"]
Ceiling = Literal["never", "low", "medium", "high", "critical"]


class ApprovalRules(Section):
    """When a person has to agree, who that is, and for how long it holds."""

    required_from: Annotated[
        Threshold, Strictest(("low", "medium", "high", "critical", "never"))
    ] = Field(
        default="high",
        description="The lowest risk class from which every action needs a person's yes.",
    )
    required_for: Annotated[tuple[ActionKind, ...], Demand(ItemKind.NAME)] = Field(
        default=(), description="Actions that need a person's yes whatever their risk class."
    )
    approvers: Annotated[tuple[Name, ...] | None, Allow(ItemKind.NAME)] = Field(
        default=None,
        description=(
            "Accounts that may say yes, by name or as '@group'. Not set: the user of the profile."
        ),
    )
    critical_approvers: Annotated[tuple[Name, ...] | None, Allow(ItemKind.NAME)] = Field(
        default=None,
        description="Accounts that may say yes to critical actions. Not set: those of 'approvers'.",
    )
    always_allow_up_to: Annotated[
        Ceiling, Strictest(("never", "low", "medium", "high", "critical"))
    ] = Field(
        default="high",
        description="The highest risk class for which a yes may be remembered ('always allow').",
    )
    timeout_seconds: Annotated[int, Lowest()] = Field(
        default=86_400,
        ge=0,
        le=31_536_000,
        description="After how long an unanswered question counts as a no, in seconds.",
    )


TrayEntry = Literal[
    "approvals", "ask", "files", "clipboard", "screenshot", "drop_folder", "run_now", "recent",
    "pause", "dashboard", "policy", "settings",
]  # fmt: skip


class DesktopRules(Section):
    """What the tray icon and notifications may show and do."""

    hidden_tray_actions: Annotated[tuple[TrayEntry, ...], Deny(ItemKind.NAME)] = Field(
        default=(), description="Entries of the tray menu that are not shown, by name."
    )
    notifications: Annotated[
        Literal["off", "private", "full"], Strictest(("off", "private", "full"))
    ] = Field(
        default="full",
        description="Whether notifications appear; 'private' ones name no file and no value.",
    )
    clipboard: Annotated[Ask, ASKABLE] = Field(
        default="ask",
        description="Whether the clipboard may be read. 'ask': when a person chooses it in the "
        "menu.",
    )


class AuditRules(Section):
    """Who can read the audit log besides its owner, and whether it may leave."""

    recipients: Annotated[tuple[PublicKey, ...], Demand(ItemKind.NAME)] = Field(
        default=(),
        description="X25519 public keys, in hexadecimal, that the audit log is sealed to as well.",
    )
    export: Annotated[Ask, ASKABLE] = Field(
        default="ask", description="Whether the audit log may be exported in readable form."
    )
    sinks: Annotated[tuple[Sink, ...], Demand(ItemKind.NAME)] = Field(
        default=(),
        description=(
            "Where every audit record is also sent to in readable form, as "
            "'syslog+tls://logs.example.com' or 'otlp+https://collector.example.com'."
        ),
    )
    witnesses: Annotated[tuple[Witness, ...], Demand(ItemKind.NAME)] = Field(
        default=(),
        description=(
            "Where signed checkpoints of the audit log, which show no content, are kept, as "
            "'file:///mnt/share/hivekeep' or 'https://witness.example.com/add'."
        ),
    )
    shred_after_days: Annotated[int | None, Lowest()] = Field(
        default=None,
        ge=0,
        le=36_500,
        description=(
            "After how many days the content of audit records is destroyed for ever, but not "
            "before 'retention.audit_days' have passed. Not set: never."
        ),
    )


class RetentionRules(Section):
    """How long things are kept."""

    run_days: Annotated[int | None, Lowest()] = Field(
        default=None,
        ge=0,
        le=36_500,
        description="After how many days a finished run is removed. Not set: kept.",
    )
    audit_days: Annotated[int, Highest()] = Field(
        default=0,
        ge=0,
        le=36_500,
        description="For how many days audit records are kept at the least. 0: until removed.",
    )


class UpdateRules(Section):
    """Whether Hivekeep may look for and install newer versions."""

    mode: Annotated[
        Literal["off", "notify", "install"], Strictest(("off", "notify", "install"))
    ] = Field(
        default="off",
        description="'notify' looks for newer versions, 'install' also installs them.",
    )


class SupportRules(Section):
    """Whom users can ask."""

    contact: Annotated[Text | None, First()] = Field(
        default=None,
        description="Whom to ask about this policy; errors show it, as 'IT desk, +49 30 1234'.",
    )
