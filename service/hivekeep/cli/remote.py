"""``hivekeep models remote``: models on an OpenAI-compatible server of yours."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hivekeep.cli.client import connect
from hivekeep.cli.output import JsonFlag, console, print_json, safe, table
from hivekeep.domain.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    help="Models on a server of your own (vLLM, SGLang, llama-server). Policy has to allow its "
    "host: network.allowed_hosts.",
)

NameArgument = Annotated[str, typer.Argument(help="The name that recipes and --model use.")]


@app.command("add")
def add(
    context: typer.Context,
    name: NameArgument,
    url: Annotated[str, typer.Argument(help="For example https://gpu.example.com/v1")],
    model: Annotated[str, typer.Option(help="What the server calls the model.")],
    guided: Annotated[
        str, typer.Option(help="How schemas are sent: json_schema, guided_json or none.")
    ] = "json_schema",
    ca_file: Annotated[str, typer.Option(help="PEM certificates of your own authority.")] = "",
    host_limit: Annotated[int, typer.Option(help="Requests under way to the host.")] = 64,
    key: Annotated[
        bool, typer.Option("--key", help="Ask for the server's key, or read it from a pipe.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Add a remote model, or change one. The key is kept in the keyring, never in a file."""
    secret = ""
    if key:
        piped = not sys.stdin.isatty()
        secret = sys.stdin.readline() if piped else typer.prompt("Key", hide_input=True, err=True)
        secret = secret.strip()
        if not secret:
            raise UsageError("The key is empty.")
    added = connect(context.obj).post(
        "/v1/remotes",
        {
            "name": name, "url": url, "model": model, "guided": guided, "ca_file": ca_file,
            "host_limit": host_limit, "key": secret,
        },
    )  # fmt: skip
    if as_json:
        print_json(added)
        return
    console.print(f"[green]✓[/] {safe(name)} is added. Try it: hivekeep models remote test {name}")
    if not added["allowed"]:
        console.print(
            f"[yellow]![/] Policy does not allow its host yet ({safe(added['rule'])}): "
            "'hivekeep policy show'."
        )


@app.command("list")
def list_remotes(context: typer.Context, as_json: JsonFlag = False) -> None:
    """The remote models, and whether policy allows their hosts."""
    remotes = connect(context.obj).get("/v1/remotes")["remotes"]
    if as_json:
        print_json(remotes)
        return
    picture = table("name", "url", "model", "schema", "key", "policy")
    for remote in remotes:
        picture.add_row(
            safe(remote["name"]), safe(remote["url"]), safe(remote["model"]), remote["guided"],
            "kept" if remote["key"] else "none", "allowed" if remote["allowed"] else "not allowed",
        )  # fmt: skip
    console.print(picture)


@app.command("remove")
def remove(context: typer.Context, name: NameArgument, as_json: JsonFlag = False) -> None:
    """Forget a remote model and its key."""
    removed = connect(context.obj).delete(f"/v1/remotes/{name}")
    print_json(removed) if as_json else console.print(f"{safe(name)} is removed.")


@app.command("test")
def try_it(context: typer.Context, name: NameArgument, as_json: JsonFlag = False) -> None:
    """Ask the model one small question, to see that address, key and schemas work."""
    found = connect(context.obj).post(f"/v1/remotes/{name}/test")
    if as_json:
        print_json(found)
        return
    console.print(
        f"[green]✓[/] {safe(name)} answered {safe(found['answer'])} in {found['seconds']:.1f} s "
        f"({found['prompt_tokens']} + {found['completion_tokens']} tokens; log-probabilities: "
        f"{'yes' if found['logprobs'] else 'no'})."
    )
