"""``hivekeep audit``: read and verify the audit log."""

from __future__ import annotations

from typing import Annotated

import typer

from hivekeep.cli.client import connect
from hivekeep.cli.output import JsonFlag, console, print_json, safe, table, when
from hivekeep.domain.errors import AuditError

app = typer.Typer(no_args_is_help=True, help="The encrypted, hash-chained record of every action.")


@app.command("show")
def show(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest last.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """The latest records."""
    records = connect(context.obj).get("/v1/audit", limit=limit)["records"]
    if as_json:
        print_json(records)
        return
    picture = table("no", "time", "who", "action", "subject", "outcome", "rule")
    for item in records:
        picture.add_row(
            str(item["sequence"]), when(item["time"]), safe(item["actor"]), safe(item["action"]),
            safe(item["subject"]), safe(item["outcome"]), safe(item["rule"]),
        )  # fmt: skip
    console.print(picture)


@app.command("verify")
def verify(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check every record: changed, removed, reordered or added ones are found and named."""
    report = connect(context.obj).post("/v1/audit/verify")
    if as_json:
        print_json(report)
    else:
        for problem in report["problems"]:
            console.print(f"[red]✗[/] {safe(problem)}")
    if not report["ok"]:
        raise AuditError(
            f"The audit log does not verify: {len(report['problems'])} problem(s).",
            why=report["problems"][0],
            next_step="Keep the folder as it is and show it to whoever audits this machine.",
        )
    if not as_json:
        console.print(f"[green]✓[/] {report['records']} records, none changed, removed or moved.")
