"""``hivekeep policy`` for those who write policies: check, try, compare, generate templates.

Responsible for reading files and printing; nothing here touches the policy in force.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hivekeep.cli.output import JsonFlag, console, print_json, safe, table
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.wiring import policy_sources
from hivekeep.domain.errors import NotFoundError, PolicyInvalidError, UsageError
from hivekeep.policy import Policy, load_policy
from hivekeep.policy.asking import Outcome, judge, parse_cases
from hivekeep.policy.comparing import Direction, compare
from hivekeep.policy.generated.files import generated_files, stale_files, write_files
from hivekeep.policy.layers import Layer, Level, parse_text
from hivekeep.policy.merging import plain
from hivekeep.policy.policy import policy_of

CURRENT = "current"
_PolicyFiles = Annotated[list[Path], typer.Argument(help="Policy files.", dir_okay=False)]


def register(app: typer.Typer) -> None:
    """Add the commands to ``hivekeep policy``."""
    for name, command in (
        ("validate", validate), ("test", try_cases), ("diff", diff), ("generate", generate),
    ):  # fmt: skip
        app.command(name)(command)


def validate(files: _PolicyFiles, as_json: JsonFlag = False) -> None:
    """Check policy files: each by itself, then all together as mandatory policy in this order."""
    layers = [read_layer(path) for path in files]
    policy_of(layers)
    if as_json:
        print_json([{"file": layer.source, "keys": sorted(layer.values)} for layer in layers])
        return
    for layer in layers:
        console.print(f"[green]ok[/] {safe(layer.source)}: {len(layer.values)} keys")


def try_cases(
    context: typer.Context,
    cases: Annotated[Path, typer.Argument(help="A YAML or JSON file of cases.", dir_okay=False)],
    policy: Annotated[
        list[Path] | None,
        typer.Option(
            "--policy", help="Policy file to test, instead of those the cases name.", dir_okay=False
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask a policy about actions and compare its answers with the expected ones.

    A file of cases looks like this; without 'policies' the policy in force is asked:

    policies: [finance.json]
    cases:
    - name: personnel files stay closed
      action: {kind: read_file, path: /srv/personnel/a.pdf}
      expect: deny
      rule: files.denied_folders

    The exit status is 4 if any answer differs.
    """
    found = parse_cases(read_text(cases), str(cases))
    named = policy or [cases.parent / name for name in found.policies]
    asked = policy_of([read_layer(path) for path in named]) if named else _current(context)
    outcomes = judge(asked, found.cases)
    if as_json:
        print_json([_outcome(outcome) for outcome in outcomes])
    else:
        _print_outcomes(outcomes)
    if not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(PolicyInvalidError.exit_status)


def diff(
    context: typer.Context,
    before: Annotated[str, typer.Argument(help="A policy file, or 'current'.")],
    after: Annotated[str, typer.Argument(help="A policy file, or 'current'.")],
    as_json: JsonFlag = False,
) -> None:
    """What changes from one policy to another, and whether it permits less or more."""
    changes = compare(_named(context, before).settings, _named(context, after).settings)
    if as_json:
        print_json(
            [
                {
                    "key": change.key, "before": plain(change.before),
                    "after": plain(change.after), "direction": change.direction.value,
                }
                for change in changes
            ]
        )  # fmt: skip
        return
    if not changes:
        console.print("No key differs.")
        return
    colours = {Direction.TIGHTER: "green", Direction.LOOSER: "red", Direction.OTHER: "yellow"}
    picture = table("key", "before", "after", "permits")
    words = {Direction.TIGHTER: "less", Direction.LOOSER: "more", Direction.OTHER: "other things"}
    for change in changes:
        picture.add_row(
            change.key,
            safe(json.dumps(plain(change.before), ensure_ascii=False)),
            safe(json.dumps(plain(change.after), ensure_ascii=False)),
            f"[{colours[change.direction]}]{words[change.direction]}[/]",
        )
    console.print(picture)


def generate(
    into: Annotated[
        Path, typer.Option(help="Folder to write 'policies' and 'docs' into.", file_okay=False)
    ] = Path(),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if a file is not up to date.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write the templates: JSON Schema, ADMX and ADML, macOS profile, examples, reference page."""
    try:
        changed = stale_files(into) if check else write_files(into)
    except OSError as error:
        raise UsageError(f"'{into}' cannot be written to.", why=f"{error.strerror}.") from error
    verb = "not up to date" if check else "written"
    if as_json:
        print_json({"files": len(generated_files()), verb.replace(" ", "_"): changed})
    else:
        for path in changed:
            console.print(f"{verb}: {safe(path)}")
        console.print(f"{len(generated_files()) - len(changed)} files were up to date already.")
    if check and changed:
        raise typer.Exit(1)


def read_bytes(path: Path) -> bytes:
    """A file that an administrator names; it need not be trusted.

    :raises NotFoundError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"'{path}' cannot be read.", why=f"{error.strerror}.") from error


def read_text(path: Path) -> str:
    """The same as text.

    :raises UsageError: if it is no UTF-8 text.
    """
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"'{path}' is no text.", why=f"{error}.") from error


def read_layer(path: Path) -> Layer:
    """A policy file as mandatory policy.

    :raises PolicyInvalidError: naming line and key.
    """
    return parse_text(read_bytes(path), Level.MANDATORY, str(path))


def _current(context: typer.Context) -> Policy:
    profile: Profile = context.obj
    return load_policy(policy_sources(profile))


def _named(context: typer.Context, name: str) -> Policy:
    return _current(context) if name == CURRENT else policy_of([read_layer(Path(name))])


def _outcome(outcome: Outcome) -> dict[str, object]:
    return {
        "name": outcome.case.name,
        "passed": outcome.passed,
        "expected": outcome.case.expect.value,
        "effect": outcome.decision.effect.value,
        "rule": outcome.decision.rule,
        "reason": outcome.decision.reason,
    }


def _print_outcomes(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.passed:
            console.print(f"[green]pass[/] {safe(outcome.case.name)}")
            continue
        console.print(f"[red]FAIL[/] {safe(outcome.case.name)}")
        wanted = f"{outcome.case.expect.value} {outcome.case.rule}".strip()
        console.print(f"     expected {safe(wanted)}")
        console.print(f"     got {outcome.decision.effect.value} {safe(outcome.decision.rule)}")
        console.print(f"     because {safe(outcome.decision.reason)}")
    failed = sum(not outcome.passed for outcome in outcomes)
    console.print(f"{len(outcomes) - failed} of {len(outcomes)} cases pass.")
