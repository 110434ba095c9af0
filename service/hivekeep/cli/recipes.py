"""``hivekeep recipes``: list, write, validate and try recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hivekeep.cli import live
from hivekeep.cli.client import connect
from hivekeep.cli.output import JsonFlag, console, print_json, safe, stderr, table
from hivekeep.daemon.profile import Profile
from hivekeep.domain.errors import StorageError, UsageError
from hivekeep.domain.values import DocumentResult
from hivekeep.journal import decode
from hivekeep.recipes import builtin_recipes, compare, find_recipe, load_recipe, new_recipe_text

app = typer.Typer(no_args_is_help=True, help="What to do with a document: built-in and your own.")

FileArgument = Annotated[Path, typer.Argument(help="A recipe file.", dir_okay=False)]


@app.command("list")
def list_recipes(context: typer.Context, as_json: JsonFlag = False) -> None:
    """The recipes that can be used by name."""
    profile: Profile = context.obj
    rows = [
        {"name": name, "title": recipe.title, "version": recipe.version, "from": "built in"}
        for name, recipe in builtin_recipes().items()
    ]
    for path in sorted(profile.recipes.glob("*.y*ml")):
        recipe = load_recipe(path)
        rows.append(
            {"name": recipe.name, "title": recipe.title, "version": recipe.version,
             "from": str(path)}
        )  # fmt: skip
    if as_json:
        print_json(rows)
        return
    picture = table("name", "title", "version", "from")
    for row in rows:
        picture.add_row(*(safe(row[key]) for key in ("name", "title", "version", "from")))
    console.print(picture)


@app.command("new")
def new(
    file: FileArgument,
    title: Annotated[str, typer.Option(help="The recipe's title.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Write a commented starter recipe that is valid as it stands. Nothing is overwritten."""
    name = file.stem
    try:
        with file.open("x", encoding="utf-8") as sink:
            sink.write(new_recipe_text(name, title or name.replace("-", " ").title()))
    except FileExistsError as error:
        raise UsageError(f"'{file}' exists already.", next_step="Choose another name.") from error
    except OSError as error:
        raise StorageError(f"'{file}' cannot be written.", why=f"{error.strerror}.") from error
    if as_json:
        print_json({"file": str(file)})
    else:
        console.print(f"Wrote {safe(file)}. Next: hivekeep recipes test {safe(file)} DOCUMENT")


@app.command("validate")
def validate(file: FileArgument, as_json: JsonFlag = False) -> None:
    """Check a recipe file; every problem is shown with its line."""
    recipe = load_recipe(file)
    plan = recipe.compile()
    if as_json:
        print_json({"file": str(file), "name": recipe.name, "fields": len(plan.fields)})
    else:
        console.print(f"[green]✓[/] {safe(recipe.name)}: {len(plan.fields)} fields, no problems.")


@app.command("test")
def try_recipe(
    context: typer.Context,
    file: FileArgument,
    documents: Annotated[list[Path] | None, typer.Argument(help="Documents to try it on.")] = None,
    as_json: JsonFlag = False,
) -> int:
    """Try a recipe on documents and compare with what its 'test:' section expects.

    Without documents the recipe's own test cases are run.
    """
    profile: Profile = context.obj
    recipe = find_recipe(str(file), profile.recipes)
    expected = {(file.parent / case.file).absolute(): case.expect for case in recipe.tests}
    paths = [path.absolute() for path in documents or []] or list(expected)
    if not paths:
        raise UsageError(
            "There is nothing to test.",
            why="No document was given and the recipe has no 'test:' section.",
            next_step=f"hivekeep recipes test {file} DOCUMENT",
        )
    client = connect(profile)
    begun = client.post(
        "/v1/runs",
        {"recipe": str(file.absolute()), "paths": [str(p) for p in paths],
         "title": f"Test of {recipe.name}"},
    )  # fmt: skip
    live.show(stderr, client.follow(begun["id"]))
    detail = client.get(f"/v1/runs/{begun['id']}")
    rows = [_judge(agent, expected.get(Path(agent["path"]), {})) for agent in detail["agents"]]
    if as_json:
        print_json({"run": begun["id"], "documents": rows})
    else:
        _print(rows, detail)
    return 0 if all(row["ok"] for row in rows) else 1


def _judge(agent: dict[str, Any], expect: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"document": agent["path"], "values": agent["values"], "mismatches": []}
    if agent["failure"]:
        return {**row, "ok": False, "failure": agent["failure"]}
    result = decode(DocumentResult, {"values": agent["values"], "problems": agent["problems"]})
    mismatches = compare(result, expect)
    row["mismatches"] = [
        {"field": m.field, "expected": m.expected, "got": m.got} for m in mismatches
    ]
    return {**row, "ok": not mismatches}


def _print(rows: list[dict[str, Any]], detail: dict[str, Any]) -> None:
    for row in rows:
        mark = "[green]✓[/]" if row["ok"] else "[red]✗[/]"
        console.print(f"{mark} [bold]{safe(row['document'])}[/]")
        for value in row["values"]:
            if "rows" in value:
                console.print(f"    {value['name']}: {len(value['rows'])} rows")
            else:
                console.print(
                    f"    {value['name']}: {safe(value['value'])} [dim]{value['status']}[/]"
                )
        if failure := row.get("failure"):
            console.print(f"    {safe(failure['what'])} {safe(failure['why'])}")
        for m in row["mismatches"]:
            told = f"expected {safe(m['expected'])}, got {safe(m['got'])}"
            console.print(f"    [red]{safe(m['field'])}[/]: {told}")
    for path in detail["deliverables"]:
        console.print(f"workbook: {safe(path)}")
