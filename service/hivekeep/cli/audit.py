"""``hivekeep audit``: read, search, verify, prove and export the audit log."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hivekeep.audit import verify
from hivekeep.audit.index import SEARCHABLE
from hivekeep.audit.opening import begin_anew
from hivekeep.audit.reading import read_folder
from hivekeep.audit.record import plain
from hivekeep.audit.sealing import new_administrator, read_administrator
from hivekeep.cli.client import DaemonClient, connect
from hivekeep.cli.output import (
    JsonFlag,
    PassphraseFd,
    YesFlag,
    console,
    print_json,
    safe,
    stderr,
    table,
)
from hivekeep.daemon.profile import Profile
from hivekeep.domain.errors import AuditError, StorageError, UsageError
from hivekeep.secrets import KeyStore, Passphrase, open_key_store

app = typer.Typer(no_args_is_help=True, help="The encrypted, signed record of every action.")
keys_app = typer.Typer(no_args_is_help=True, help="The log's keys, and who can read it.")
app.add_typer(keys_app, name="keys")

Terms = Annotated[
    list[str] | None,
    typer.Argument(help=f"Conditions as FIELD=VALUE, exact. Fields: {', '.join(SEARCHABLE)}."),
]
Since = Annotated[str, typer.Option(help="Not before this day or moment, as 2026-11-25T14:30.")]
Until = Annotated[str, typer.Option(help="Not after this day or moment.")]
_TAIL_SECONDS = 0.5
_LONG = 3_600.0


@app.command("show")
def show(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest last.")] = 50,
    folder: Annotated[
        Path | None, typer.Option(help="Read the log in this folder, a copy from another machine.")
    ] = None,
    private_key: Annotated[
        Path | None, typer.Option(help="The administrator's private key, for --folder.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """The latest records; with --folder and --private-key those of a lost laptop's log."""
    if folder is None:
        _print(connect(context.obj).get("/v1/audit", limit=limit)["records"], as_json)
        return
    if private_key is None:
        raise UsageError("--folder needs --private-key.", next_step="See 'audit keys new-reader'.")
    found = read_folder(folder, read_administrator(private_key), limit=limit)
    _print([{**plain(record), "time": record.time} for record in found], as_json)


@app.command("search")
def search(
    context: typer.Context,
    terms: Terms = None,
    text: Annotated[str, typer.Option(help="Words anywhere in a record; not indexed.")] = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 100,
    as_json: JsonFlag = False,
) -> None:
    """Records with these values, through encrypted indexes.

    For example: hivekeep audit search action=policy.read_file outcome=denied --since 2026-11-01
    """
    body = {"values": _values(terms), "text": text, "since": since, "until": until, "limit": limit}
    client = connect(context.obj)
    _print(client.post("/v1/audit/search", body, timeout=_LONG)["records"], as_json)


@app.command("tail")
def tail(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at first.")] = 10,
    as_json: JsonFlag = False,
) -> None:
    """The latest records, then each new one, until interrupted; --json prints one a line."""
    client = connect(context.obj)
    found = client.get("/v1/audit", limit=limit)["records"]
    while True:
        for item in found:
            line = json.dumps(item) if as_json else _line(item)
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        after = found[-1]["sequence"] if found else 0
        found = []
        while not found:
            time.sleep(_TAIL_SECONDS)
            found = client.get("/v1/audit", limit=1000, after=after)["records"]


@app.command("export")
def export(
    context: typer.Context,
    terms: Terms = None,
    kind: Annotated[
        str, typer.Option("--format", help="jsonl, csv, ocsf (one event a line) or cef.")
    ] = "jsonl",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file; not set: standard output.")
    ] = None,
    since: Since = "",
    until: Until = "",
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Write records in readable form for another system. Policy decides, and it is recorded."""
    client = connect(context.obj)
    question = "The export is readable by anyone who gets the file. Export?"
    confirmed = yes or (sys.stdin.isatty() and typer.confirm(question, err=True))
    body = {"format": kind, "values": _values(terms), "since": since, "until": until}
    made = client.post("/v1/audit/export", {**body, "confirmed": confirmed}, timeout=_LONG)
    end = "\r\n" if kind == "csv" else "\n"  # RFC 4180
    text = "".join(f"{line}{end}" for line in made["lines"])
    if output is None:
        sys.stdout.write(text)
        return
    _write_new(output, text)
    if as_json:
        print_json({"file": str(output), "lines": len(made["lines"])})
    else:
        console.print(f"[green]✓[/] {len(made['lines'])} lines in {safe(output)}")


@app.command("verify")
def check(
    context: typer.Context, passphrase_fd: PassphraseFd = None, as_json: JsonFlag = False
) -> None:
    """Check every record, signature and place outside; what is wrong is named with its place.

    Works without the daemon, too. 'hivekeep-verify' does the same with public keys only.
    """
    client = DaemonClient(context.obj)
    if client.running():
        report = client.post("/v1/audit/verify", timeout=_LONG)
    else:
        report = _verify_here(context.obj, passphrase_fd)
    if as_json:
        print_json(report)
        raise typer.Exit(0 if report["ok"] else AuditError.exit_status)
    for problem in report["problems"]:
        console.print(f"[red]✗[/] {safe(problem)}")
    for remark in report["remarks"]:
        console.print(f"[yellow]![/] {safe(remark)}")
    if not report["ok"]:
        raise AuditError(
            f"The audit log does not verify: {len(report['problems'])} problem(s).",
            why=report["problems"][0],
            next_step="Keep the folder as it is and show it to whoever audits this machine.",
        )
    console.print(
        f"[green]✓[/] {report['records']} records, none changed, removed or moved; "
        f"{report['checkpoints']} checkpoints, {report['epochs']} signing key(s)."
    )


@app.command("prove")
def prove(
    context: typer.Context,
    record: Annotated[int, typer.Argument(min=0, help="The record's number, as 'show' prints it.")],
    reveal: Annotated[
        bool, typer.Option(help="Also show its content, which is an export.")
    ] = False,
    older: Annotated[
        Path | None,
        typer.Option(help="A file with a signed checkpoint; prove that its log is the beginning."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file; not set: standard output.")
    ] = None,
) -> None:
    """A proof that a record is in the log, for 'hivekeep-verify proof FILE --key KEY'."""
    note = older.read_text(encoding="utf-8") if older is not None else ""
    body = {"record": record, "reveal": reveal, "older": note}
    bundle = connect(context.obj).post("/v1/audit/prove", body, timeout=_LONG)
    text = json.dumps(bundle, indent=1) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        _write_new(output, text)
        stderr.print(f"[green]✓[/] {safe(output)}; keep the key of 'audit keys show' elsewhere")


@app.command("anchor")
def anchor(
    context: typer.Context,
    anew: Annotated[
        bool,
        typer.Option("--begin-anew", help="Set a log that was changed or lost aside; stop first."),
    ] = False,
    yes: YesFlag = False,
    passphrase_fd: PassphraseFd = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the newest signed checkpoint and write it to the key store and all witnesses now.

    Keep it elsewhere: whoever has it can tell later whether the log was cut, rolled back or forked.
    """
    if anew:
        _begin_anew(context.obj, passphrase_fd, yes=yes, as_json=as_json)
        return
    state = connect(context.obj).post("/v1/audit/anchor")
    if as_json:
        print_json(state)
        return
    sys.stdout.write(state["checkpoint"])
    for witness in state["witnesses"]:
        mark = "[green]✓[/]" if witness["current"] else "[yellow]![/]"
        stderr.print(f"{mark} witness {safe(witness['target'])} {safe(witness['why'])}")
    for sink in state["sinks"]:
        mark = "[yellow]![/]" if sink["why"] else "[green]✓[/]"
        text = f"sink {sink['target']} next is record {sink['next']} {sink['why']}"
        stderr.print(f"{mark} {safe(text)}")


@keys_app.command("show")
def show_keys(context: typer.Context, as_json: JsonFlag = False) -> None:
    """The public keys. Keep the first one elsewhere: 'hivekeep-verify' needs it."""
    said = connect(context.obj).get("/v1/audit/keys")
    if as_json:
        print_json(said)
        return
    console.print(f"first key    {safe(said['first'])}")
    console.print(f"current key  {safe(said['current'])} (epoch {said['epoch']})")
    console.print(f"readers      {safe(', '.join(said['readers']))}")


@keys_app.command("rotate")
def rotate(
    context: typer.Context,
    owner: Annotated[bool, typer.Option(help="Also replace the owner's key.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Sign with a new key, and wrap all content keys anew for the readers that policy names."""
    done = connect(context.obj).post("/v1/audit/keys/rotate", {"owner": owner}, timeout=_LONG)
    if as_json:
        print_json(done)
    else:
        console.print(f"[green]✓[/] {done['segments']} segment(s), epoch {done['epoch']}")


@keys_app.command("new-reader")
def new_reader(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; a new file.")],
    as_json: JsonFlag = False,
) -> None:
    """Make an administrator's key pair; the public half goes into policy 'audit.recipients'.

    Do this on the administrator's machine. Without the private key nobody reads the log there.
    """
    private, public = new_administrator()
    _write_new(file, private, mode=0o600)
    if as_json:
        print_json({"file": str(file), "public": public})
    else:
        console.print(f"[green]✓[/] private key in {safe(file)}; for policy audit.recipients:")
        sys.stdout.write(public + "\n")


@keys_app.command("shred")
def shred(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=0, help="Destroy what is older than so many days.")],
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Destroy the content keys of old records for ever; the log still verifies.

    Whole segments are concerned, and only those that policy does not keep longer.
    """
    if not yes and not typer.confirm(f"Destroy all content older than {days} days for ever?"):
        raise UsageError("Nothing was destroyed.", next_step="Answer yes, or use --yes.")
    done = connect(context.obj).post("/v1/audit/shred", {"days": days}, timeout=_LONG)
    if as_json:
        print_json(done)
    else:
        console.print(f"[green]✓[/] the content of {len(done['segments'])} segment(s) is destroyed")


def _keys(profile: Profile, passphrase_fd: int | None) -> KeyStore:
    source = Passphrase(passphrase_fd)
    return open_key_store(profile.root, profile_id=profile.id, passphrase=source)


def _verify_here(profile: Profile, passphrase_fd: int | None) -> dict[str, Any]:
    report = verify(profile.audit, _keys(profile, passphrase_fd), jobs=os.cpu_count() or 1)
    return {
        "ok": report.ok, "records": report.events, "entries": report.records,
        "checkpoints": report.checkpoints, "epochs": len(report.keys), "witnessed": 0,
        "problems": [str(problem) for problem in report.problems],
        "remarks": list(report.remarks),
    }  # fmt: skip


def _begin_anew(profile: Profile, passphrase_fd: int | None, *, yes: bool, as_json: bool) -> None:
    question = "Set the audit log aside as it is and begin a new one that says so?"
    if not yes and not typer.confirm(question):
        raise UsageError("Nothing was changed.", next_step="Answer yes, or use --yes.")
    place = begin_anew(profile.audit, _keys(profile, passphrase_fd))
    if as_json:
        print_json({"set_aside": str(place)})
    else:
        console.print(f"[green]✓[/] the old log is in {safe(place)}; keep it for an audit")


def _print(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    picture = table("no", "time", "who", "action", "subject", "outcome", "rule")
    for item in found:
        picture.add_row(
            str(item["sequence"]), _time(item), safe(item["actor"]), safe(item["action"]),
            safe(item.get("subject", "")), safe(item.get("outcome", "")),
            safe(item.get("rule", "")),
        )  # fmt: skip
    console.print(picture)


def _line(item: dict[str, Any]) -> str:
    parts = [item.get(name, "") for name in ("actor", "action", "subject", "outcome", "rule")]
    text = "  ".join(str(part) for part in parts if part)
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f"{item['sequence']:>8}  {_time(item)}  {printable}"


def _time(item: dict[str, Any]) -> str:
    return datetime.fromtimestamp(item["time"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _values(terms: list[str] | None) -> dict[str, str]:
    values = {}
    for term in terms or []:
        field, equals, value = term.partition("=")
        if not equals:
            raise UsageError(f"'{term}' is no condition.", next_step="Write it as FIELD=VALUE.")
        values[field] = value
    return values


def _write_new(path: Path, text: str, mode: int = 0o600) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StorageError(
            f"'{path}' cannot be written.",
            why=f"{error.strerror}.",
            next_step="Choose a new file in a folder that you may write to.",
        ) from error
