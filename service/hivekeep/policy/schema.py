"""The schema of a policy: every section, and what is generated from it.

Responsible for the one pydantic model that files are validated by and from which JSON Schema,
templates and documentation follow.  Invariant: an unknown key is an error, and each key says by its
marker how it can be tightened, so that nothing combines by accident.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pydantic import BaseModel

from hivekeep.policy.markers import Marker
from hivekeep.policy.sections.base import Section
from hivekeep.policy.sections.files import FileActionRules, FileRules
from hivekeep.policy.sections.people import (
    ApprovalRules,
    AuditRules,
    DesktopRules,
    RetentionRules,
    SupportRules,
    UpdateRules,
)
from hivekeep.policy.sections.reach import (
    BrowserRules,
    LabelRules,
    MarketRules,
    NetworkRules,
    ToolRules,
)
from hivekeep.policy.sections.work import (
    ModelRules,
    RecipeRules,
    RunRules,
    SandboxRules,
    ScheduleRules,
    WatchRules,
)


class PolicySettings(Section):
    """A Hivekeep policy."""

    files: FileRules = FileRules()
    file_actions: FileActionRules = FileActionRules()
    runs: RunRules = RunRules()
    recipes: RecipeRules = RecipeRules()
    models: ModelRules = ModelRules()
    watch: WatchRules = WatchRules()
    schedules: ScheduleRules = ScheduleRules()
    network: NetworkRules = NetworkRules()
    browser: BrowserRules = BrowserRules()
    tools: ToolRules = ToolRules()
    market: MarketRules = MarketRules()
    labels: LabelRules = LabelRules()
    approvals: ApprovalRules = ApprovalRules()
    sandbox: SandboxRules = SandboxRules()
    desktop: DesktopRules = DesktopRules()
    audit: AuditRules = AuditRules()
    retention: RetentionRules = RetentionRules()
    updates: UpdateRules = UpdateRules()
    support: SupportRules = SupportRules()


@cache
def sections() -> dict[str, type[BaseModel]]:
    """Every section by name."""
    found: dict[str, type[BaseModel]] = {}
    for section, holder in PolicySettings.model_fields.items():
        rules = holder.annotation
        if not (isinstance(rules, type) and issubclass(rules, BaseModel)):
            raise TypeError(f"{section} is not a section")
        found[section] = rules
    return found


@cache
def markers() -> dict[str, Marker]:
    """Every key, as ``section.name``, with how it combines."""
    return {
        f"{section}.{name}": next(m for m in field.metadata if isinstance(m, Marker))
        for section, rules in sections().items()
        for name, field in rules.model_fields.items()
    }


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file."""
    schema = PolicySettings.model_json_schema()
    # Editors find the schema by this key; the loader ignores it.
    schema["properties"] = {"$schema": {"type": "string"}, **schema["properties"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def policy_schema_text() -> str:
    """``policies/schema.json`` as it has to be."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"
