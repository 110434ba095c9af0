"""Keys about work: how large runs may be, with which recipes and models, when, and how confined."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hivekeep.policy.markers import DUTY, GRANT, Allow, Demand, Deny, ItemKind, Lowest, Strictest
from hivekeep.policy.sections.base import Section
from hivekeep.policy.values import Name, PublicKey, Sha256, Times

Protection = Literal["namespaces", "landlock", "seccomp", "no_network", "resource_limits"]


class RunRules(Section):
    """How large a run may be."""

    max_documents: Annotated[int, Lowest()] = Field(
        default=10_000, ge=0, le=1_000_000, description="The most documents that one run may have."
    )
    max_agents: Annotated[int, Lowest()] = Field(
        default=300, ge=0, le=300, description="The most sub-agents alive at the same time."
    )
    max_steps: Annotated[int, Lowest()] = Field(
        default=4_000, ge=0, le=1_000_000, description="The most steps that one run may take."
    )
    max_tokens: Annotated[int | None, Lowest()] = Field(
        default=None,
        ge=0,
        le=2**53,
        description="The most tokens that one run may use, prompt and answer. Not set: no limit.",
    )
    max_minutes: Annotated[int | None, Lowest()] = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="The longest that one run may take, in minutes, pauses not counted. Not set: "
        "no limit.",
    )

    show_plans: Annotated[
        Literal["always", "ask", "never"], Strictest(("always", "ask", "never"))
    ] = Field(
        default="ask",
        description="Whether the plan of a free request waits for a person: always, unless who "
        "asks says otherwise, or never.",
    )


class RecipeRules(Section):
    """Which recipes may be used."""

    allowed: Annotated[tuple[Name, ...] | None, Allow(ItemKind.NAME)] = Field(
        default=None, description="Recipes that may be used, by name. Not set: all."
    )
    user_recipes: Annotated[bool, GRANT] = Field(
        default=True, description="Whether recipes that did not ship with Hivekeep may be used."
    )
    require_signature: Annotated[bool, DUTY] = Field(
        default=False,
        description="Whether recipes that did not ship with Hivekeep have to be signed.",
    )
    trusted_keys: Annotated[tuple[PublicKey, ...], Allow(ItemKind.NAME)] = Field(
        default=(),
        description="Ed25519 public keys, in hexadecimal, whose signatures of recipes count.",
    )


class ModelRules(Section):
    """Which models may be used."""

    allowed: Annotated[tuple[Name, ...] | None, Allow(ItemKind.NAME)] = Field(
        default=None, description="Models that may be used, by name. Not set: all."
    )
    allowed_sha256: Annotated[tuple[Sha256, ...] | None, Allow(ItemKind.NAME)] = Field(
        default=None,
        description="Models that may be used, by the SHA-256 of their file. Not set: all.",
    )
    keep_answers: Annotated[bool, GRANT] = Field(
        default=True,
        description="Whether answers may be kept, encrypted, in the profile, so that the same "
        "question about the same document is not computed again.",
    )


class WatchRules(Section):
    """Whether folders may be watched."""

    allowed: Annotated[bool, GRANT] = Field(
        default=True, description="Whether folders may be watched for new files."
    )


class ScheduleRules(Section):
    """Whether and when work may start by itself."""

    allowed: Annotated[bool, GRANT] = Field(
        default=True, description="Whether runs may be started by a schedule."
    )
    quiet_hours: Annotated[tuple[Times, ...], Deny(ItemKind.NAME)] = Field(
        default=(),
        description="Local hours in which no schedule starts a run, as '22:00-06:00'.",
    )


class SandboxRules(Section):
    """How processes that touch foreign data have to be confined."""

    required: Annotated[tuple[Protection, ...], Demand(ItemKind.NAME)] = Field(
        default=(),
        description="Protections that have to be active; where one is missing nothing is run.",
    )
