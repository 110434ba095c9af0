"""``hivekeep watch``: watched folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hivekeep.cli.client import connect
from hivekeep.cli.output import JsonFlag, console, print_json, safe, table

app = typer.Typer(no_args_is_help=True, help="Folders whose new files are processed by a recipe.")


@app.command("add")
def add(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder to watch.")],
    recipe: Annotated[str, typer.Argument(help="The recipe for its files.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the workbooks.")
    ] = None,
    recursive: Annotated[bool, typer.Option(help="Watch its sub-folders too.")] = False,
    include: Annotated[
        list[str] | None, typer.Option(help="Only files matching this pattern, e.g. '*.pdf'.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="No files matching this.")] = None,
    settle_seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=3600,
            help="Seconds for which a file must not have changed. Default: 0.1 once it was closed "
            "and nobody writes to it, 1 where the system does not tell.",
        ),
    ] = None,
    batch_seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=600,
            help="Seconds for which a workbook waits for further files. Default: 3.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Watch a folder: files that arrive, and those already there, are processed once each.

    The files stay where they are. Example: [bold]hivekeep watch add ~/Inbox invoices[/]
    """
    is_file = recipe.endswith((".yaml", ".yml"))
    body = {
        "folder": str(folder.expanduser().absolute()),
        "recipe": str(Path(recipe).absolute()) if is_file else recipe,
        "output": str(output.expanduser().absolute()) if output else "",
        "recursive": recursive,
        "include": include or [],
        "exclude": exclude or [],
        "settle_seconds": settle_seconds,
        "batch_seconds": batch_seconds,
    }
    result = connect(context.obj).post("/v1/watches", body)
    if as_json:
        print_json(result)
        return
    console.print(f"Watching [bold]{safe(result['folder'])}[/] as {result['id']}.")
    console.print(f"Workbooks go to [bold]{safe(result['output'])}[/].")


@app.command("list")
def list_watches(context: typer.Context, as_json: JsonFlag = False) -> None:
    """The watched folders."""
    watches = connect(context.obj).get("/v1/watches")["watches"]
    if as_json:
        print_json(watches)
        return
    picture = table("id", "folder", "recipe", "state", "output")
    for item in watches:
        picture.add_row(
            item["id"], safe(item["folder"]), safe(item["recipe"]), safe(item["state"]),
            safe(item["output"]),
        )  # fmt: skip
    console.print(picture if watches else "No folder is watched. 'hivekeep watch add' adds one.")


@app.command("remove")
def remove(
    context: typer.Context,
    watch: Annotated[str, typer.Argument(help="The id that 'watch list' shows, or the folder.")],
    as_json: JsonFlag = False,
) -> None:
    """Stop watching a folder; its files and results stay."""
    client = connect(context.obj)
    path = str(Path(watch).expanduser().absolute())
    known = client.get("/v1/watches")["watches"]
    chosen = next((w["id"] for w in known if path == w["folder"]), watch)
    result = client.delete(f"/v1/watches/{chosen}")
    print_json(result) if as_json else console.print(f"{safe(result['folder'])} is not watched.")
