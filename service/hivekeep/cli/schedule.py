"""``hivekeep schedule``: recipes that run by the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hivekeep.cli.client import connect
from hivekeep.cli.output import JsonFlag, console, print_json, safe, table, when

app = typer.Typer(no_args_is_help=True, help="Recipes that run at fixed times.")


@app.command("add")
def add(
    context: typer.Context,
    cron: Annotated[str, typer.Argument(help="Minute hour day month weekday, in quotes.")],
    recipe: Annotated[str, typer.Argument(help="The recipe to run.")],
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to process.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the workbooks.")
    ] = None,
    title: Annotated[str, typer.Option(help="A name for its runs.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Run a recipe at fixed times; what was missed while the machine slept is done once.

    Example: [bold]hivekeep schedule add "0 8 * * mon-fri" invoices ~/Inbox[/]
    """
    is_file = recipe.endswith((".yaml", ".yml"))
    body = {
        "cron": cron,
        "recipe": str(Path(recipe).absolute()) if is_file else recipe,
        "paths": [str(path.expanduser().absolute()) for path in paths],
        "output": str(output.expanduser().absolute()) if output else "",
        "title": title,
    }
    result = connect(context.obj).post("/v1/schedules", body)
    if as_json:
        print_json(result)
        return
    console.print(f"Schedule {result['id']}: next at {when(result['next'])}.")


@app.command("list")
def list_schedules(context: typer.Context, as_json: JsonFlag = False) -> None:
    """The schedules and when each is due next."""
    found = connect(context.obj).get("/v1/schedules")["schedules"]
    if as_json:
        print_json(found)
        return
    picture = table("id", "when", "recipe", "next", "paths")
    for item in found:
        picture.add_row(
            item["id"], safe(item["cron"]), safe(item["recipe"]), when(item["next"]),
            safe(", ".join(item["paths"])),
        )  # fmt: skip
    console.print(picture if found else "Nothing is scheduled. 'hivekeep schedule add' adds one.")


@app.command("remove")
def remove(
    context: typer.Context,
    schedule: Annotated[str, typer.Argument(help="The id that 'schedule list' shows.")],
    as_json: JsonFlag = False,
) -> None:
    """Forget a schedule; runs that it started stay."""
    result = connect(context.obj).delete(f"/v1/schedules/{schedule}")
    print_json(result) if as_json else console.print(f"{result['id']} is removed.")
