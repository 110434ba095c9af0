"""``hivekeep models bench``: how fast a model runs here, beside what the hardware allows."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hivekeep.cli.output import JsonFlag, console, print_json, safe, stderr, table
from hivekeep.daemon.wiring import open_calibrations, open_store
from hivekeep.domain.errors import UsageError
from hivekeep.engine.calibration import Rates, choose, machine
from hivekeep.engine.hardware import Limits, measure_limits
from hivekeep.engine.memory import ModelFacts, model_facts
from hivekeep.engine.settings import Tuning, default_tuning
from hivekeep.engine.store import DEFAULT_MODEL

# One batch shape that both can run: prompts of 128 tokens, 32 decoded, 1 and 16 sequences.
_BATCHED = ("-npp", "128", "-ntg", "32", "-npl", "1,16", "-c", "4096", "-b", "2048", "-ub", "512")


def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="An installed model.")] = DEFAULT_MODEL,
    against: Annotated[
        bool,
        typer.Option(
            "--against", help="Also run llama-batched-bench, if tools/build_llama_tools.py built it"
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Measure a model on this machine; the engine uses what is found from then on.

    Takes from a few seconds to a minute. Close other programs first: what they use is missing.
    """
    store = open_store(context.obj)
    path = store.resolve(name)
    with stderr.status(f"measuring {safe(name)}"):
        measured = open_calibrations(context.obj).measure(name, path)
    rates = measured.rates
    with stderr.status("measuring the hardware"):
        limits = measure_limits(default_tuning().threads)
    facts, tuning = model_facts(path), choose(rates)
    batched = _llama_batched_bench(path, tuning) if against else []
    if as_json:
        print_json(
            {
                "model": name,
                "machine": machine(),
                "rates": asdict(rates),
                "kept": measured.kept,
                "tuning": asdict(tuning),
                "limits": {
                    **asdict(limits),
                    "decode": limits.decode(facts.weights),
                    "prefill": limits.prefill(facts.parameters),
                },
                "llama_batched_bench": batched,
            }
        )
        return
    _show(console, rates, tuning)
    if not measured.kept:
        console.print("[yellow]![/] Other programs were at work, so this is shown but not used.")
    _show_limits(console, limits, facts)
    if batched:
        _show_batched(console, batched)


def _show(out: Console, rates: Rates, tuning: Tuning) -> None:
    picture = table("choice", "tokens/s", "")
    for count, (prefill, decode) in rates.threads.items():
        _row(
            picture, f"{count} threads", f"{prefill:.0f} prefill, {decode:.0f} decode",
            count == tuning.threads,
        )  # fmt: skip
    for size, rate in rates.chunks.items():
        _row(picture, f"prompt in {size}s", f"{rate:.0f} prefill", size == tuning.chunk_alone)
    for count, rate in rates.slots.items():
        _row(picture, f"{count} at once", f"{rate:.0f} decode", count == tuning.slots)
    for size, rate in rates.mixed.items():
        _row(picture, f"8 at once + {size} of a prompt", f"{rate:.0f} both", size == tuning.chunk)
    out.print(picture)


def _row(picture: Table, choice: str, rate: str, chosen: bool) -> None:
    picture.add_row(choice, rate, "← used" if chosen else "")


def _show_limits(out: Console, limits: Limits, facts: ModelFacts) -> None:
    picture = table("this machine's own limit", "measured", "allows")
    picture.add_row(
        "memory bandwidth", f"{limits.bandwidth / 1e9:.1f} GB/s",
        f"{limits.decode(facts.weights):.0f} tokens/s decoding one sequence",
    )  # fmt: skip
    picture.add_row(
        "single-precision arithmetic", f"{limits.flops / 1e9:.0f} GFLOP/s",
        f"{limits.prefill(facts.parameters):.0f} tokens/s prefill (integer kernels may do more)",
    )  # fmt: skip
    out.print(picture)


def _show_batched(out: Console, rows: list[dict[str, Any]]) -> None:
    picture = table("llama-batched-bench, 128 + 32 tokens", "prefill/s", "decode/s", "both/s")
    for row in rows:
        picture.add_row(
            f"{row['pl']} at once", f"{row['speed_pp']:.0f}", f"{row['speed_tg']:.0f}",
            f"{row['speed']:.0f}",
        )  # fmt: skip
    out.print(picture)


def _llama_batched_bench(model: Path, tuning: Tuning) -> list[dict[str, Any]]:
    """What llama.cpp's own measurement says.

    :raises UsageError: if it was not built.
    """
    program = llama_tool("llama-batched-bench")
    if program is None:
        raise UsageError(
            "llama-batched-bench is not built.", next_step="python tools/build_llama_tools.py"
        )
    with stderr.status("llama-batched-bench"):
        done = subprocess.run(  # noqa: S603 - built by us, from the locked source
            [program, "-m", model, *_BATCHED, "-t", str(tuning.threads), "--output-format",
             "jsonl"], capture_output=True, text=True, check=False,
        )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def llama_tool(name: str) -> Path | None:
    """Where ``tools/build_llama_tools.py`` has put a program, if it has."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = sorted((cache / "hivekeep" / "llama.cpp-build").glob(f"build-*/bin/{name}"))
    return found[-1] if found else None
