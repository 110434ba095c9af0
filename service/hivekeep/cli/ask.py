"""``hivekeep ask``: a free request, its plan, and what came of it.

Responsible for showing the plan and for letting a person change it; planning and doing are the
daemon's.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from hivekeep.cli import live
from hivekeep.cli.client import DaemonClient, connect
from hivekeep.cli.output import JsonFlag, YesFlag, console, print_json, safe, stderr
from hivekeep.cli.runs import follow
from hivekeep.domain.errors import UsageError

_EDITORS = ("VISUAL", "EDITOR")


def ask(
    context: typer.Context,
    request: Annotated[str, typer.Argument(help="What you want to know or have done.")],
    paths: Annotated[
        list[str] | None, typer.Argument(help="Files and folders that it is about.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the result.")
    ] = None,
    model: Annotated[str, typer.Option(help="Another model than the usual one.")] = "",
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Show the plan and leave it waiting.")
    ] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> int:
    """Ask for something in your own words; a plan is made, shown, and carried out.

    The model splits the request into a few tasks: readers that look into each document, and workers
    that combine what was found, with tools. You see the plan before anything else happens and may
    edit it. Example: [bold]hivekeep ask "Which invoice is the largest, and what do they add up to?"
    ~/Invoices[/]
    """
    client = connect(context.obj)
    body = {
        "request": request,
        "paths": [str(Path(path).expanduser().absolute()) for path in paths or []],
        "output": str(output.expanduser().absolute()) if output else "",
        "model": model,
        "show_plan": not yes,
    }
    run = client.post("/v1/ask", body)["id"]
    if yes and not plan_only:
        return follow(client, run, as_json=as_json)
    live.show(stderr if as_json else console, client.follow(run))
    detail = client.get(f"/v1/runs/{run}")
    if detail["paused_for"] != "plan":
        return follow(client, run, as_json=as_json)
    if plan_only or not sys.stdin.isatty():
        return _leave(detail, as_json=as_json)
    return _decide(client, detail, as_json=as_json)


def show_plan(detail: dict[str, Any]) -> None:
    """A plan in plain words."""
    console.print("\n[bold]The plan[/]")
    console.print(safe_lines(detail["plan"]["text"]))
    if note := detail["plan"]["note"]:
        console.print(f"[dim]{safe(note)}[/]")


def safe_lines(text: str) -> str:
    """Several lines that are harmless in a terminal."""
    return "\n".join(safe(line) for line in text.splitlines())


def edited(text: str) -> str:
    """``text`` as a person has changed it in their editor.

    :raises UsageError: if no editor is set or it ends with an error.
    """
    editor = next((os.environ[name] for name in _EDITORS if os.environ.get(name)), "")
    if not editor:
        raise UsageError(
            "There is no editor to open the plan with.",
            next_step="Set EDITOR, or use 'hivekeep runs plan RUN --from FILE'.",
        )
    with tempfile.NamedTemporaryFile("w+", suffix=".yaml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        command = [*shlex.split(editor), file.name]
        done = subprocess.run(command, check=False)  # noqa: S603 - the user's own editor
        if done.returncode:
            raise UsageError(f"The editor failed ({done.returncode}); nothing was started.")
        return Path(file.name).read_text(encoding="utf-8")


def _decide(client: DaemonClient, detail: dict[str, Any], *, as_json: bool) -> int:
    run = detail["id"]
    show_plan(detail)
    answer = typer.prompt("Carry it out? [y]es, [e]dit, [n]o", default="y", err=as_json)
    choice = str(answer).strip().lower()[:1]
    if choice == "e":
        client.post(f"/v1/runs/{run}/plan", {"text": edited(detail["plan"]["yaml"])})
    elif choice == "y":
        client.post(f"/v1/runs/{run}/plan", {})
    else:
        client.post(f"/v1/runs/{run}/cancel")
        console.print("Nothing was done.")
        return 0
    return follow(client, run, as_json=as_json)


def _leave(detail: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        print_json(detail)
        return 0
    show_plan(detail)
    run = detail["id"]
    console.print(
        f"\nRun {run} waits. 'hivekeep runs plan {run} --accept' carries it out, '--edit' changes "
        f"it first, 'hivekeep runs cancel {run}' drops it."
    )
    return 0
