"""``hivekeep policy``: what is allowed here, and who says so."""

from __future__ import annotations

import json

import typer

from hivekeep.cli.output import JsonFlag, console, print_json, safe, table
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.wiring import policy_sources
from hivekeep.policy import load_policy

app = typer.Typer(no_args_is_help=True, help="The policy in force, key by key.")


@app.command("show")
def show(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Each key with its value, its source and its level (mandatory, recommended, user, default)."""
    profile: Profile = context.obj
    policy = load_policy(policy_sources(profile))
    if as_json:
        print_json(
            [
                {"key": r.key, "value": r.value, "source": r.source, "level": str(r.level)}
                for r in policy.rows()
            ]
        )
        return
    picture = table("key", "value", "level", "source")
    for row in policy.rows():
        value = json.dumps(row.value, ensure_ascii=False)
        picture.add_row(row.key, safe(value), str(row.level), safe(row.source))
    console.print(picture)
