"""``hivekeep daemon``: start, stop and status of the background service."""

from __future__ import annotations

import os
import subprocess
import sys

import typer

from hivekeep.cli.client import DaemonClient, connect, spawn_daemon
from hivekeep.cli.output import JsonFlag, PassphraseFd, console, print_json, safe, size
from hivekeep.secrets import ask_passphrase, needs_passphrase

app = typer.Typer(
    help="The background service that does the work. Without a sub-command it runs right here.",
    invoke_without_command=True,
)


@app.callback()
def default(context: typer.Context) -> None:
    """Run in the foreground when no sub-command is given."""
    if context.invoked_subcommand is None:
        run_daemon(context, None)


@app.command("run")
def run_daemon(
    context: typer.Context,
    passphrase_fd: PassphraseFd = None,
) -> None:
    """Run in the foreground until interrupted; what systemd starts."""
    command = [sys.executable, "-m", "hivekeep.daemon", "--profile", str(context.obj.root)]
    if passphrase_fd is not None:
        command += ["--passphrase-fd", str(passphrase_fd)]
    if os.name == "posix":
        # In place of this process, whose command-line libraries would only take up memory.
        if passphrase_fd is not None:
            os.set_inheritable(passphrase_fd, True)
        os.execv(sys.executable, command)  # noqa: S606 - our own interpreter and module
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603


@app.command("start")
def start(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Start in the background; asks for the passphrase where there is no OS keyring."""
    client = DaemonClient(context.obj)
    if not client.running():
        passphrase = None
        if needs_passphrase(context.obj.root, profile_id=context.obj.id):
            passphrase = ask_passphrase(context.obj.root)
        spawn_daemon(context.obj, passphrase=passphrase)
    _print_status(client, as_json=as_json)


@app.command("stop")
def stop(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Stop it; runs under way go on at the next start."""
    result = connect(context.obj, start=False).post("/v1/stop")
    print_json(result) if as_json else console.print("The daemon is stopping.")


@app.command("status")
def status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """What it is doing and what it uses."""
    _print_status(connect(context.obj, start=False), as_json=as_json)


def _print_status(client: DaemonClient, *, as_json: bool) -> None:
    data = client.get("/v1/status")
    if as_json:
        print_json(data)
        return
    console.print(f"Daemon [bold]{data['state']}[/], process {data['pid']}, {size(data['rss'])}")
    console.print(f"  profile {safe(data['profile'])}")
    console.print(f"  runs under way {data['runs']}, watched folders {data['watches']}")
    console.print(f"  model {safe(data['engine']['state'])}, keys in {safe(data['keys'])}")
    if data["audit"]["state"] != "ok":
        why = safe(data["audit"]["why"])
        console.print(f"  [bold red]Nothing is done: the audit log is not written.[/] {why}")
    if data["user"] != os.getuid():
        console.print("  [yellow]It runs as another user.[/]")
