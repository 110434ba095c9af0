"""``hivekeep policy``: what is allowed here, who says so, and why something is denied."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any

import typer

from hivekeep.cli import policy_bundles, policy_files
from hivekeep.cli.output import JsonFlag, console, print_json, safe, table
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.wiring import policy_sources, resolved
from hivekeep.domain.actions import ActionKind, Decision
from hivekeep.domain.errors import UsageError
from hivekeep.policy import Policy, load_policy
from hivekeep.policy.asking import action_of
from hivekeep.policy.merging import plain

app = typer.Typer(
    no_args_is_help=True,
    help="The policy in force, and the tools to write, check, sign and deploy one.",
)
policy_files.register(app)
policy_bundles.register(app)


@app.command("show")
def show(
    context: typer.Context,
    stated: Annotated[
        bool, typer.Option("--set", help="Only the keys that some source sets.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Each key with its value, its source and its level (mandatory, recommended, user, default).

    A key that several sources state has a row for each; what is in force is what all of them leave.
    """
    profile: Profile = context.obj
    policy = load_policy(policy_sources(profile))
    rows = [row for row in policy.rows() if not stated or row.level != "default"]
    if as_json:
        print_json(
            [
                {
                    "key": row.key, "value": row.value, "source": row.source,
                    "level": str(row.level), "in_force": _in_force(policy, row.key),
                }
                for row in rows
            ]
        )  # fmt: skip
        return
    picture = table("key", "value", "level", "source")
    for row in rows:
        value = json.dumps(row.value, ensure_ascii=False)
        picture.add_row(row.key, safe(value), str(row.level), safe(row.source))
    console.print(picture)


@app.command("explain")
def explain(
    context: typer.Context,
    action: Annotated[str, typer.Argument(help=f"One of {', '.join(ActionKind)}.")],
    details: Annotated[
        list[str] | None, typer.Argument(help="What it is about, as NAME=VALUE.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Why an action is allowed, asked about or denied, without doing it.

    For example: hivekeep policy explain read_file path=~/Documents/a.pdf size=1000

    Symbolic links in paths are followed, as they are when the action happens.
    """
    profile: Profile = context.obj
    policy = load_policy(policy_sources(profile))
    wanted = action_of({"kind": action, **_pairs(details or [])})
    decision = policy.decide(
        replace(wanted, path=resolved(wanted.path), target=resolved(wanted.target))
    )
    key = decision.rule.partition("[")[0]
    rows = [row for row in policy.rows() if row.key == key]
    if as_json:
        print_json(
            {
                **decision_data(decision),
                "key": [
                    {"value": row.value, "source": row.source, "level": str(row.level)}
                    for row in rows
                ],
            }
        )
        return
    colour = {"allow": "green", "ask": "yellow", "deny": "red"}[decision.effect.value]
    console.print(f"[bold {colour}]{decision.effect.value}[/] {safe(decision.reason)}")
    console.print(f"rule    {safe(decision.rule)}")
    console.print(f"source  {safe(decision.source)}")
    console.print(f"risk    {decision.risk.value}")
    if decision.approval is not None:
        who = "the user of the profile"
        if decision.approval.approvers is not None:
            who = ", ".join(decision.approval.approvers) or "nobody"
        kept = "may be remembered" if decision.approval.always_allow else "holds once"
        hours = decision.approval.timeout_seconds / 3600
        console.print(f"ask     {safe(who)}; a yes {kept}; no answer in {hours:g} h is a no")
    for row in rows:
        value = json.dumps(row.value, ensure_ascii=False)
        console.print(f"{row.level!s:8}{safe(row.key)} = {safe(value)} ({safe(row.source)})")


def decision_data(decision: Decision) -> dict[str, Any]:
    """A decision for ``--json``."""
    terms = decision.approval
    return {
        "effect": decision.effect.value,
        "rule": decision.rule,
        "source": decision.source,
        "reason": decision.reason,
        "risk": decision.risk.value,
        "approval": None
        if terms is None
        else {
            "approvers": None if terms.approvers is None else list(terms.approvers),
            "always_allow": terms.always_allow,
            "timeout_seconds": terms.timeout_seconds,
        },
    }


def _in_force(policy: Policy, key: str) -> Any:
    section, _, name = key.partition(".")
    return plain(getattr(getattr(policy.settings, section), name))


def _pairs(details: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for detail in details:
        name, equals, value = detail.partition("=")
        if not equals or name == "kind":
            raise UsageError(f"'{detail}' is not NAME=VALUE.", next_step="As in path=/a/b.pdf")
        found[name] = value
    return found
