"""``hivekeep watch``: watched folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hivekeep.cli.client import DaemonClient, connect
from hivekeep.cli.output import JsonFlag, console, print_json, safe, size, table

WatchArgument = Annotated[
    str, typer.Argument(help="The id that 'watch list' shows, or the folder.")
]
_FATES = {
    "new": "processed",
    "changing": "processed once nobody writes it",
    "under_way": "left: under way",
    "done": "left: done",
    "failed": "left: failed before",
    "ignored": "left",
    "unreadable": "left: unreadable",
    "unwanted": "left: unwanted name",
    "denied": "left: policy",
}

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


@app.command("pause")
def pause(context: typer.Context, watch: WatchArgument, as_json: JsonFlag = False) -> None:
    """Pick up nothing from a folder until 'resume'; runs that have begun go on.

    The pause survives restarts. What arrives meanwhile is found when it ends.
    """
    client = connect(context.obj)
    result = client.post(f"/v1/watches/{_id(client, watch)}/pause")
    print_json(result) if as_json else console.print(f"{safe(result['folder'])} is paused.")


@app.command("resume")
def resume(context: typer.Context, watch: WatchArgument, as_json: JsonFlag = False) -> None:
    """Go on with a paused folder; what arrived during the pause is processed."""
    client = connect(context.obj)
    result = client.post(f"/v1/watches/{_id(client, watch)}/resume")
    print_json(result) if as_json else console.print(f"{safe(result['folder'])} goes on.")


@app.command("test")
def look_ahead(context: typer.Context, watch: WatchArgument, as_json: JsonFlag = False) -> None:
    """What would be picked up from a folder now, and why the rest would not; starts nothing."""
    client = connect(context.obj)
    found = client.get(f"/v1/watches/{_id(client, watch)}/outlook")
    if as_json:
        print_json(found)
        return
    picture = table("file", "size", "would be", "why")
    for file in found["files"]:
        picture.add_row(
            safe(file["path"]), size(file["size"]), _FATES[file["fate"]], safe(file["reason"])
        )
    console.print(picture if found["files"] else "The folder holds no files.")
    if found["left_out"]:
        console.print(f"{found['left_out']} more files were not looked at.")
    if found["paused"]:
        console.print("The folder is paused, so nothing is picked up until 'watch resume'.")


@app.command("remove")
def remove(
    context: typer.Context,
    watch: WatchArgument,
    as_json: JsonFlag = False,
) -> None:
    """Stop watching a folder; its files and results stay."""
    client = connect(context.obj)
    result = client.delete(f"/v1/watches/{_id(client, watch)}")
    print_json(result) if as_json else console.print(f"{safe(result['folder'])} is not watched.")


def _id(client: DaemonClient, watch: str) -> str:
    """The id of a watched folder that is named by its path or by its id."""
    path = str(Path(watch).expanduser().absolute())
    known = client.get("/v1/watches")["watches"]
    return next((str(one["id"]) for one in known if path == one["folder"]), watch)
