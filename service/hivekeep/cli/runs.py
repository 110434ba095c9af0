"""``hivekeep run`` and ``hivekeep runs``."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

import typer

from hivekeep.cli import live
from hivekeep.cli.client import DaemonClient, connect
from hivekeep.cli.output import JsonFlag, console, print_json, safe, stderr, table, when

_MOST_ROWS = 20
app = typer.Typer(no_args_is_help=True, help="List, inspect, pause, resume and replay runs.")

RunArgument = Annotated[str, typer.Argument(help="The run's id, or enough of its beginning.")]


def run(
    context: typer.Context,
    recipe: Annotated[
        str, typer.Argument(help="A recipe's name ('hivekeep recipes list') or file.")
    ],
    paths: Annotated[list[str], typer.Argument(help="Files and folders to process.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the result.")
    ] = None,
    title: Annotated[str, typer.Option(help="A name for the run.")] = "",
    model: Annotated[str, typer.Option(help="Another model than the recipe's.")] = "",
    executor: Annotated[
        Literal["local", "ray"],
        typer.Option(help="Where documents are read and checked: here, or on the Ray cluster."),
    ] = "local",
    wait: Annotated[bool, typer.Option(help="Wait and show progress.")] = True,
    as_json: JsonFlag = False,
) -> int:
    """Process files with a recipe and write a workbook.

    The work is done by the daemon, which is started if needed. Interrupting this command does not
    stop the run. Example: [bold]hivekeep run invoices ~/Invoices/2026-11[/]
    """
    client = connect(context.obj)
    recipe_file = Path(recipe)
    is_file = recipe_file.suffix in (".yaml", ".yml")
    body = {
        "recipe": str(recipe_file.absolute()) if is_file else recipe,
        "paths": [str(Path(path).expanduser().absolute()) for path in paths],
        "output": str(output.expanduser().absolute()) if output else "",
        "title": title,
        "model": model,
        "executor": executor,
    }
    begun = client.post("/v1/runs", body)
    if not wait:
        if as_json:
            print_json(begun)
        else:
            console.print(f"Run {begun['id']} started. 'hivekeep runs show {begun['id']}'")
        return 0
    return follow(client, begun["id"], as_json=as_json)


def follow(client: DaemonClient, run_id: str, *, as_json: bool) -> int:
    """Show a run until it ends; 0 if every document gave a result, else 1."""
    live.show(stderr if as_json else console, client.follow(run_id))
    detail = client.get(f"/v1/runs/{run_id}")
    if as_json:
        print_json(detail)
    else:
        print_result(detail)
    failed = detail["counts"].get("failed", 0)
    return 0 if detail["state"] == "finished" and not failed else 1


def print_result(detail: dict[str, Any]) -> None:
    """What came out of a run, in a few lines."""
    counts = detail["counts"]
    if detail["goal"]:
        _print_answers(detail)
        return
    console.print(
        f"\n[bold]{safe(detail['title'])}[/]: {detail['state']}, "
        f"{counts.get('done', 0)} of {detail['documents']} documents read, "
        f"{detail['needs_review']} to review, {counts.get('failed', 0)} failed"
    )
    _print_failures(detail)
    for statement in detail["overview"]:
        sources = ", ".join(PurePath(source["path"]).name for source in statement["sources"])
        console.print(f"  • {safe(statement['text'])} [dim]{safe(sources)}[/]")
    _print_end(detail)


def _print_answers(detail: dict[str, Any]) -> None:
    """What a free request gave: the values of its workers, then its files."""
    agents = detail["agents"]
    readers = [a for a in agents if a["role"] == "document"]
    done = sum(a["state"] == "done" for a in readers)
    console.print(f"\n[bold]{safe(detail['title'])}[/]: {detail['state']}", end="")
    console.print(f", {done} of {len(readers)} readings done" if readers else "")
    if note := (detail["plan"] or {}).get("note", ""):
        console.print(f"  [dim]{safe(note)}[/]")
    if not detail["overview"] and not any(a["values"] for a in agents if a["role"] == "task"):
        _print_readings([a for a in readers if not a["parent"]])
    for agent in agents:
        if agent["role"] == "task" and not agent["parent"]:
            console.print(f"  [bold]{safe(agent['task'])}[/] [dim]{agent['state']}[/]")
            for value in agent["values"]:
                _print_answer(value)
            for line in agent["problems"]:
                console.print(f"    [yellow]![/] {safe(line)}")
    for statement in detail["overview"]:
        sources = ", ".join(PurePath(source["path"]).name for source in statement["sources"])
        console.print(f"  • {safe(statement['text'])} [dim]{safe(sources)}[/]")
    _print_failures(detail)
    _print_end(detail)


def _print_readings(readers: list[dict[str, Any]]) -> None:
    """What was read off each document, where nothing else came of it."""
    rows = [
        [{"name": "file", "value": agent["path"], "status": ""}, *agent["values"]]
        for agent in readers
        if agent["values"] and not any("rows" in value for value in agent["values"])
    ]
    if rows:
        _print_rows(rows)


def _print_answer(value: dict[str, Any]) -> None:
    if "rows" not in value:
        remark = f" [dim]{safe(value['reason'])}[/]" if value["reason"] else ""
        console.print(f"    {safe(value['name'])}: {safe(value['value'])}{_doubt(value)}{remark}")
        return
    rows = value["rows"]
    console.print(f"    {len(rows)} row{'' if len(rows) == 1 else 's'}")
    if not rows:
        return
    _print_rows(rows)


def _print_rows(rows: list[list[dict[str, Any]]]) -> None:
    shown = table(*(safe(cell["name"]) for cell in rows[0]))
    for file, *cells in rows[:_MOST_ROWS]:
        named = safe(PurePath(str(file["value"])).name)
        shown.add_row(named, *(f"{_cell(cell)}{_doubt(cell)}" for cell in cells))
    console.print(shown)
    if len(rows) > _MOST_ROWS:
        console.print(f"    [dim]and {len(rows) - _MOST_ROWS} more in the result[/]")


def _cell(cell: dict[str, Any]) -> str:
    return "" if cell["value"] is None else safe(cell["value"])


def _doubt(value: dict[str, Any]) -> str:
    return " [yellow]?[/]" if value["status"] == "needs_review" else ""


def _print_failures(detail: dict[str, Any]) -> None:
    for agent in detail["agents"]:
        # A plan that the model did not make is no failure of the run; its note says why.
        failure = agent["failure"] if agent["role"] != "planner" else None
        if failure:
            why = " ".join(failure[key] for key in ("what", "why") if failure[key])
            console.print(f"  [red]✗[/] {safe(agent['name'])}: {safe(why)}")


def _print_end(detail: dict[str, Any]) -> None:
    for line in detail["missing"]:
        console.print(f"  [yellow]missing[/] {safe(line)}")
    if detail["in_doubt"]:
        console.print(f"  [yellow]in doubt[/] 'hivekeep runs resolve {detail['id']}' shows what.")
    if error := detail["error"]:
        console.print(f"  [red]{safe(error['what'])}[/] {safe(error['why'])} {safe(error['next'])}")
    for path in detail["deliverables"]:
        console.print(f"  result: [bold]{safe(path)}[/]")


@app.command("list")
def list_runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """Runs, newest first."""
    runs = connect(context.obj).get("/v1/runs", limit=limit)["runs"]
    if as_json:
        print_json(runs)
        return
    picture = table("id", "recipe", "state", "documents", "review", "failed", "created", "title")
    for item in runs:
        failed = item["counts"].get("failed", 0)
        done = sum(item["counts"].get(state, 0) for state in ("done", "failed", "cancelled"))
        picture.add_row(
            item["id"], safe(item["recipe"]), item["state"], f"{done}/{item['documents']}",
            str(item["needs_review"]), str(failed), when(item["created"]), safe(item["title"]),
        )  # fmt: skip
    console.print(picture if runs else "No runs yet. 'hivekeep run RECIPE PATHS…' starts one.")


@app.command("show")
def show_run(
    context: typer.Context,
    run_id: RunArgument,
    live_view: Annotated[bool, typer.Option("--live", help="Follow until it ends.")] = False,
    as_json: JsonFlag = False,
) -> int:
    """One run: every document, its values and what is doubtful."""
    client = connect(context.obj)
    if live_view:
        return follow(client, client.get(f"/v1/runs/{run_id}")["id"], as_json=as_json)
    detail = client.get(f"/v1/runs/{run_id}")
    if as_json:
        print_json(detail)
        return 0
    print_result(detail)
    if detail["plan"]:
        for line in detail["plan"]["text"].splitlines():
            console.print(f"  [dim]{safe(line)}[/]")
    for agent in detail["agents"]:
        console.print(f"\n[bold]{safe(agent['name'])}[/] [dim]{agent['id']} {agent['state']}[/]")
        for value in agent["values"]:
            if "rows" in value:
                console.print(
                    f"  {value['name']:16} {len(value['rows'])} rows [dim]{value['status']}[/]"
                )
            else:
                remark = f"{value['status']} {safe(value['reason'])}"
                console.print(f"  {value['name']:16} {safe(value['value'])} [dim]{remark}[/]")
        for problem in agent["problems"]:
            console.print(f"  [yellow]![/] {safe(problem)}")
    return 0


@app.command("cancel")
def cancel_run(context: typer.Context, run_id: RunArgument, as_json: JsonFlag = False) -> None:
    """Stop a run; results of finished documents are kept and 'resume' goes on from there."""
    result = connect(context.obj).post(f"/v1/runs/{run_id}/cancel")
    print_json(result) if as_json else console.print(f"Run {result['id']} is cancelled.")


@app.command("resume")
def resume_run(
    context: typer.Context,
    run_id: RunArgument,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also try failed documents again.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Wait and show progress.")] = True,
    as_json: JsonFlag = False,
) -> int:
    """Go on with a cancelled or failed run; finished documents are not done again."""
    client = connect(context.obj)
    body = {"retry_failed": retry_failed}
    result = client.post(f"/v1/runs/{run_id}/resume", body)
    if wait:
        return follow(client, result["id"], as_json=as_json)
    print_json(result) if as_json else console.print(f"Run {result['id']} goes on.")
    return 0
