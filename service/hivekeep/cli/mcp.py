"""``hivekeep mcp``: tools from MCP servers of your choosing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from hivekeep.cli.client import DaemonClient, connect
from hivekeep.cli.output import JsonFlag, console, print_json, safe, table
from hivekeep.domain.errors import NotFoundError, UsageError

app = typer.Typer(
    no_args_is_help=True,
    help="Tools from MCP servers. Each runs in the sandbox, and only if policy names it: "
    "tools.mcp_servers.",
)

NameArgument = Annotated[str, typer.Argument(help="A short name; policy names servers by it.")]
_TIMEOUT = 180.0


@app.command("add")
def add(
    context: typer.Context,
    name: NameArgument,
    command: Annotated[list[str], typer.Argument(help="After --: the program and its arguments.")],
    read: Annotated[
        list[Path] | None, typer.Option(help="A folder or file that it may read; may be repeated.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, or NAME to take yours; may be repeated.")
    ] = None,
    network: Annotated[
        bool, typer.Option("--network", help="It needs the network: tools.mcp_network.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="How long one call may take.")] = 60.0,
    yes: Annotated[bool, typer.Option("--yes", help="Take its tools without asking.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Start a server once, show what it says its tools are, and keep it if you agree.

    Example: hivekeep mcp add notes --read ~/notes -- /usr/bin/notes-server --root ~/notes
    """
    client = connect(context.obj)
    body: dict[str, Any] = {
        "name": name,
        "command": [_program(command[0]), *command[1:]],
        "environment": dict(_variable(text) for text in env or []),
        "read": [str(path.expanduser().absolute()) for path in read or []],
        "network": network,
        "seconds": seconds,
    }
    seen = client.post("/v1/mcp/try", body, timeout=_TIMEOUT)
    if not as_json:
        _show(name, seen["tools"])
    if not yes and not typer.confirm("Keep this server with these tools?", err=True):
        raise UsageError("Nothing was kept.")
    added = client.post("/v1/mcp", {**body, "listing": seen["listing"]}, timeout=_TIMEOUT)
    if as_json:
        print_json(added)
        return
    console.print(f"[green]✓[/] {safe(name)} is added with {len(added['tools'])} tools.")


@app.command("list")
def list_servers(context: typer.Context, as_json: JsonFlag = False) -> None:
    """The MCP servers, their tools, and whether policy lets them start."""
    servers = connect(context.obj).get("/v1/mcp")["servers"]
    if as_json:
        print_json(servers)
        return
    picture = table("name", "command", "tools", "network", "policy")
    for server in servers:
        offered = [tool["name"] for tool in server["tools"] if not tool["problem"]]
        network = "wanted" if server["network"] else "no"
        policy = f"{server['allowed']} ({server['rule']})"
        row = (server["name"], " ".join(server["command"]), ", ".join(offered), network, policy)
        picture.add_row(*(safe(text) for text in row))
    console.print(picture)


@app.command("remove")
def remove(context: typer.Context, name: NameArgument, as_json: JsonFlag = False) -> None:
    """Forget a server. What it wrote into its own folder stays."""
    removed = connect(context.obj).delete(f"/v1/mcp/{name}")
    print_json(removed) if as_json else console.print(f"{safe(name)} is removed.")


@app.command("test")
def try_it(
    context: typer.Context,
    name: NameArgument,
    accept: Annotated[
        bool, typer.Option("--accept", help="Show what has changed and take it, if you agree.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --accept: do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Start a server and compare its tools with those that you agreed to."""
    client = connect(context.obj)
    found = client.post(f"/v1/mcp/{name}/test", {}, timeout=_TIMEOUT)
    changed = found["changed"] or found["gone"]
    if accept and changed:
        if not as_json:
            _show(name, [tool for tool in found["tools"] if tool["name"] in found["changed"]])
        found = _accept(client, name, found, yes=yes)
    if as_json:
        print_json(found)
        return
    if not changed:
        console.print(f"[green]✓[/] {safe(name)} answers with {len(found['tools'])} known tools.")
        return
    for word, names in (("changed or new", found["changed"]), ("gone", found["gone"])):
        if names:
            console.print(f"[yellow]![/] {word}: {safe(', '.join(names))}")
    if not found["accepted"]:
        console.print("Agents cannot use it until you agree: 'hivekeep mcp test "
                      f"{safe(name)} --accept'.")  # fmt: skip


def _accept(client: DaemonClient, name: str, seen: dict[str, Any], *, yes: bool) -> dict[str, Any]:
    if not yes and not typer.confirm("Take these tools as they are now?", err=True):
        raise UsageError("Nothing was changed.")
    path = f"/v1/mcp/{name}/test"
    return client.post(path, {"listing": seen["listing"]}, timeout=_TIMEOUT)


def _show(name: str, tools: list[dict[str, Any]]) -> None:
    console.print(f"{safe(name)} says of itself (its own words, unchecked):")
    for tool in tools:
        arguments = ", ".join(tool["arguments"].get("properties", {}))
        console.print(f"  [bold]{safe(tool['name'])}[/]({safe(arguments)})")
        console.print(f"    {safe(' '.join(tool['description'].split()))}")
        if tool["problem"]:
            console.print(f"    [yellow]![/] cannot be offered to agents: {safe(tool['problem'])}")


def _program(text: str) -> str:
    found = shutil.which(text)
    if found is None:
        raise NotFoundError(f"There is no program '{text}'.", next_step="Give its full path.")
    return str(Path(found).absolute())


def _variable(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if given:
        return name, value
    if name not in os.environ:
        raise UsageError(f"'{name}' is not set here.", next_step="Give it as NAME=VALUE.")
    return name, os.environ[name]
