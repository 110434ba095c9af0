"""``hivekeep approvals``: what waits for you, and your answers."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.prompt import Confirm

from hivekeep.cli.client import connect
from hivekeep.cli.output import (
    JsonFlag,
    YesFlag,
    console,
    print_json,
    safe,
    stderr,
    table,
    when,
)

app = typer.Typer(no_args_is_help=True, help="Actions that wait for your yes or no.")

Names = Annotated[
    list[str], typer.Argument(help="Ids that 'approvals list' shows; a beginning is enough.")
]
Note = Annotated[str, typer.Option(help="A remark for the audit log.")]


@app.command("list")
def list_approvals(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Answered ones too.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """What waits for an answer. Without one in time, the answer is no."""
    state = "all" if everything else "pending"
    found = connect(context.obj).get("/v1/approvals", state=state)["approvals"]
    if as_json:
        print_json(found)
        return
    picture = table("id", "state", "risk", "what", "run", "until")
    for item in found:
        picture.add_row(
            item["id"], item["state"], item["decision"]["risk"], safe(item["summary"]),
            safe(item["asker"]["run"]), when(item["expires"]),
        )  # fmt: skip
    console.print(picture if found else "Nothing waits for you.")


@app.command("show")
def show(
    context: typer.Context,
    approval: Annotated[str, typer.Argument(help="The id that 'approvals list' shows.")],
    as_json: JsonFlag = False,
) -> None:
    """Exactly what would be done, why it is asked, and what the agent has read."""
    item = connect(context.obj).get(f"/v1/approvals/{approval}")
    if as_json:
        print_json(item)
        return
    _print(item)
    if verdict := item["verdict"]:
        console.print(f"{item['state']} by {safe(verdict['by'])} at {when(verdict['at'])}")


@app.command("approve")
def approve(
    context: typer.Context,
    approvals: Names,
    for_run: Annotated[
        bool, typer.Option("--run", help="Also the same kind in the same place in this run.")
    ] = False,
    always: Annotated[
        bool, typer.Option("--always", help="Always for this recipe, where policy allows it.")
    ] = False,
    note: Note = "",
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> int:
    """Say yes to exactly what is shown; if it changes meanwhile, you are asked again.

    Example: [bold]hivekeep approvals approve a1b2 --run[/]
    """
    answer = "always" if always else "run" if for_run else "once"
    return _answer(context, approvals, answer, note, ask=not yes, as_json=as_json)


@app.command("deny")
def deny(
    context: typer.Context,
    approvals: Names,
    stop: Annotated[bool, typer.Option("--stop", help="Cancel the run as well.")] = False,
    note: Note = "",
    as_json: JsonFlag = False,
) -> int:
    """Say no."""
    answer = "deny_stop" if stop else "deny"
    return _answer(context, approvals, answer, note, ask=False, as_json=as_json)


@app.command("grants")
def grants(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Lasting approvals: what you have allowed for a run or for a recipe."""
    found = connect(context.obj).get("/v1/approvals/grants")["grants"]
    if as_json:
        print_json(found)
        return
    picture = table("id", "what", "for", "by", "since")
    for item in found:
        covers = f"run {item['run']}" if item["run"] else f"recipe {item['recipe']}"
        picture.add_row(
            item["id"], safe(item["scope"]), safe(covers), safe(item["by"]), when(item["at"])
        )
    console.print(picture if found else "Nothing is approved for longer than once.")


@app.command("revoke")
def revoke(
    context: typer.Context,
    grant: Annotated[str, typer.Argument(help="The id that 'approvals grants' shows.")],
    as_json: JsonFlag = False,
) -> None:
    """Take a lasting approval back."""
    gone = connect(context.obj).delete(f"/v1/approvals/grants/{grant}")
    print_json(gone) if as_json else console.print(f"Taken back: {safe(gone['scope'])}")


def _answer(
    context: typer.Context, names: list[str], answer: str, note: str, *, ask: bool, as_json: bool
) -> int:
    client = connect(context.obj)
    items = [client.get(f"/v1/approvals/{name}") for name in names]
    if ask:
        for item in items:
            _print(item)
        # The question goes to standard error, so that --json keeps its one value.
        if not Confirm.ask(f"Approve ({answer})?", default=False, console=stderr):
            return 1
    body: dict[str, Any] = {
        "answer": answer,
        "approvals": [{"id": item["id"], "digest": item["digest"]} for item in items],
        "via": "cli",
        "note": note,
    }
    done = client.post("/v1/approvals/answers", body)["answers"]
    if as_json:
        print_json(done)
    else:
        for item in done:
            error = item["error"]
            told = f"{safe(error['what'])} {safe(error['why'])}" if error else "answered"
            console.print(f"{item['id']}: {told}")
    return 0 if all(item["ok"] for item in done) else 4


def _print(item: dict[str, Any]) -> None:
    # Each line on its own: a line break inside a document's text must not forge a line of ours.
    for line in item["text"].split("\n"):
        stderr.print(safe(line))
