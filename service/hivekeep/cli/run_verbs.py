"""``hivekeep runs pause``, ``retry``, ``rerun``, ``plan``, ``resolve``, ``replay`` and the like.

Responsible for turning a command into a request and its answer into text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from hivekeep.cli import runs
from hivekeep.cli.client import connect
from hivekeep.cli.output import JsonFlag, console, print_json, safe, table
from hivekeep.cli.runs import RunArgument, follow
from hivekeep.domain.errors import NotFoundError, UsageError

app = runs.app
WaitFlag = Annotated[bool, typer.Option(help="Wait and show progress.")]


@app.command("pause")
def pause_run(context: typer.Context, run_id: RunArgument, as_json: JsonFlag = False) -> None:
    """Let a run rest; finished steps are kept and 'resume' goes on from there, also after days."""
    result = connect(context.obj).post(f"/v1/runs/{run_id}/pause")
    print_json(result) if as_json else console.print(f"Run {result['id']} is paused.")


@app.command("retry")
def retry_run(
    context: typer.Context,
    run_id: RunArgument,
    wait: WaitFlag = True,
    as_json: JsonFlag = False,
) -> int:
    """Try only what failed again, and what rests on it; everything else is kept."""
    client = connect(context.obj)
    result = client.post(f"/v1/runs/{run_id}/resume", {"retry_failed": True})
    if wait:
        return follow(client, result["id"], as_json=as_json)
    print_json(result) if as_json else console.print(f"Run {result['id']} goes on.")
    return 0


@app.command("rerun")
def rerun_run(
    context: typer.Context,
    run_id: RunArgument,
    recipe: Annotated[
        str, typer.Option(help="Another recipe's name or file; by default the same, as it is now.")
    ] = "",
    model: Annotated[str, typer.Option(help="Another model.")] = "",
    wait: WaitFlag = True,
    as_json: JsonFlag = False,
) -> int:
    """Do a run anew, keeping what is still valid.

    A document whose content did not change is not read again, and a question that did not change is
    not asked again. Use it after you changed a recipe.
    """
    client = connect(context.obj)
    file = Path(recipe)
    chosen = str(file.absolute()) if file.suffix in (".yaml", ".yml") else recipe
    result = client.post(f"/v1/runs/{run_id}/rerun", {"recipe": chosen, "model": model})
    if wait:
        return follow(client, result["id"], as_json=as_json)
    print_json(result) if as_json else console.print(f"Run {result['id']} started.")
    return 0


@app.command("plan")
def plan_run(
    context: typer.Context,
    run_id: RunArgument,
    accept: Annotated[bool, typer.Option("--accept", help="Carry it out.")] = False,
    edit: Annotated[bool, typer.Option("--edit", help="Open it in your editor first.")] = False,
    file: Annotated[
        Path | None, typer.Option("--from", help="Carry out the plan in this YAML file instead.")
    ] = None,
    wait: WaitFlag = True,
    as_json: JsonFlag = False,
) -> int:
    """The plan of a free request: show it, or carry it out, as it is or changed."""
    from hivekeep.cli.ask import edited, show_plan

    client = connect(context.obj)
    detail = client.get(f"/v1/runs/{run_id}")
    if detail["plan"] is None:
        raise NotFoundError(f"Run {detail['id']} has no plan.", why="It follows a recipe.")
    if not (accept or edit or file):
        if as_json:
            print_json(detail["plan"])
        else:
            show_plan(detail)
            console.print(f"\n{safe(detail['plan']['yaml'])}", markup=False)
        return 0
    text = ""
    if file:
        text = _text_of(file)
    elif edit:
        text = edited(detail["plan"]["yaml"])
    client.post(f"/v1/runs/{detail['id']}/plan", {"text": text})
    if wait:
        return follow(client, detail["id"], as_json=as_json)
    console.print(f"Run {detail['id']} goes on.")
    return 0


@app.command("resolve")
def resolve_run(
    context: typer.Context,
    run_id: RunArgument,
    happened: Annotated[
        bool | None,
        typer.Option("--happened/--repeat", help="It took place / it did not: do it."),
    ] = None,
    agent: Annotated[str, typer.Option(help="The agent, if several steps are in doubt.")] = "",
    step: Annotated[str, typer.Option(help="The step, if several are in doubt.")] = "",
    wait: WaitFlag = True,
    as_json: JsonFlag = False,
) -> int:
    """Say whether the effect of a step took place that a crash has left in doubt.

    Without --happened or --repeat the steps in doubt are listed with what they would have done.
    """
    client = connect(context.obj)
    detail = client.get(f"/v1/runs/{run_id}")
    doubts = [d for d in detail["doubts"] if agent in ("", d["agent"]) and step in ("", d["step"])]
    if happened is None:
        print_json(doubts) if as_json else print_doubts(detail["id"], doubts)
        return 0
    if len(doubts) != 1:
        raise UsageError(
            f"{len(doubts)} steps are in doubt." if doubts else "No step is in doubt.",
            next_step="Name one with --agent and --step." if doubts else "",
        )
    (doubt,) = doubts
    body = {"agent": doubt["agent"], "step": doubt["step"], "happened": happened}
    result = client.post(f"/v1/runs/{detail['id']}/resolve", body)
    if wait:
        return follow(client, result["id"], as_json=as_json)
    print_json(result) if as_json else console.print(f"Run {result['id']} goes on.")
    return 0


@app.command("replay")
def replay_run(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(help="The run's id, or a file that 'export' made.")],
    accept: Annotated[
        bool, typer.Option("--accept", help="Declare the new deliverables of a file right.")
    ] = False,
    as_json: JsonFlag = False,
) -> int:
    """Execute a finished run again from its journal, with its recorded answers.

    No model is loaded and nothing is changed. The deliverables have to come out byte for byte as
    they were; if not, the exit status is 1. A file made by 'runs export' needs no daemon, which
    makes it a regression test.
    """
    file = Path(run_id)
    if file.suffix in (".jsonl", ".gz"):
        result = _replay_file(file, accept=accept)
    elif accept:
        raise UsageError("Only a file can be given new expected deliverables.")
    else:
        result = connect(context.obj).post(f"/v1/runs/{run_id}/replay")
    if as_json:
        print_json(result)
    else:
        _print_replay(result)
    return 0 if result["identical"] else 1


@app.command("export")
def export_run(
    context: typer.Context,
    run_id: RunArgument,
    file: Annotated[Path, typer.Argument(help="Where to write it: *.jsonl or *.jsonl.gz.")],
    as_json: JsonFlag = False,
) -> None:
    """Write a finished run into a file that can be replayed anywhere.

    It holds what the run read and what its model answered, in the clear.
    """
    from hivekeep.swarm.recording import read_recording, save_recording

    answer = connect(context.obj).post(f"/v1/runs/{run_id}/export")
    save_recording(read_recording(answer["recording"]), file)
    size = file.stat().st_size
    shown = {"run": answer["run"], "file": str(file), "size": size}
    print_json(shown) if as_json else console.print(f"{safe(file)}: {size} bytes")


@app.command("quarantine")
def quarantine(
    context: typer.Context,
    release: Annotated[
        str, typer.Option(help="Let the document whose SHA-256 begins so be opened again.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Documents that killed their reader twice; they are not opened any more."""
    client = connect(context.obj)
    if release:
        freed = client.post("/v1/quarantine/release", {"sha256": release})
        print_json(freed) if as_json else console.print(f"{safe(freed['path'])} may be read again.")
        return
    documents = client.get("/v1/quarantine")["documents"]
    if as_json:
        print_json(documents)
        return
    picture = table("sha256", "file", "reason", "kills")
    for item in documents:
        picture.add_row(
            item["sha256"][:12], safe(item["path"]), safe(item["reason"]), str(item["kills"])
        )
    console.print(picture if documents else "No document is in quarantine.")


def print_doubts(run: str, doubts: list[dict[str, Any]]) -> None:
    """The steps of a run that are in doubt, and what to do about them."""
    if not doubts:
        console.print("No step is in doubt.")
        return
    for doubt in doubts:
        place = f"{safe(doubt['agent'])} {safe(doubt['step'])}"
        console.print(f"[yellow]?[/] {place}: {safe(doubt['why'])}")
        console.print(f"    {safe(doubt['tool'])} {safe(doubt['arguments'])}")
        if doubt["prepared"]:
            console.print(f"    [dim]{safe(doubt['prepared'])}[/]")
    console.print(f"'hivekeep runs resolve {run} --happened' or '--repeat' says what is true.")


def _replay_file(file: Path, *, accept: bool) -> dict[str, Any]:
    from hivekeep.journal import encode
    from hivekeep.swarm.recording import load_recording, save_recording
    from hivekeep.swarm.replay import replay

    if not file.is_file():
        raise NotFoundError(f"There is no file '{file}'.")
    recording = load_recording(file)
    result = anyio.run(replay, recording)
    if accept:
        if result.missing:
            raise UsageError(
                "The recording lacks answers, so its deliverables cannot be declared right.",
                why=", ".join(result.missing[:5]),
                next_step="Record the run anew with 'hivekeep runs export'.",
            )
        save_recording(recording.accepting({f.suffix: f.replayed for f in result.files}), file)
    return encode(result)  # type: ignore[no-any-return]


def _print_replay(result: dict[str, Any]) -> None:
    for item in result["files"]:
        same = item["recorded"] == item["replayed"]
        mark = "[green]✓[/]" if same else "[red]✗[/]"
        console.print(f"{mark} {item['suffix']:6} {'identical' if same else 'differs'}")
    for title, names in (("changed question", "changed"), ("no recorded answer", "missing")):
        for name in result[names]:
            console.print(f"  [yellow]{title}[/] {safe(name)}")


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFoundError(f"'{file}' cannot be read.", why=f"{error}.") from error
