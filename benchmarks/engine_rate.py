"""Tokens a second with 16 agents against llama-batched-bench at the same shape, interleaved.

Every agent has a prompt of its own and answers at length, so that nothing is shared and nothing is
saved: what is compared is the engine's own cost (scheduling, sampling, its two processes) with bare
``llama_decode``.  A schema keeps every answer from ending early, because the other side's answers
have one length; its masks are in our time.  Both sides count prompt and answer tokens over the
whole wall-clock time.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import anyio

from benchmarks.engine_setup import InstalledFiles, ask, engine, machine_line, options
from benchmarks.setup import report
from hivekeep.cli.bench import llama_tool
from hivekeep.domain.inference import FinishEvent
from hivekeep.engine.settings import default_tuning


async def ours(model: str, agents: int, words: int, answer: int) -> tuple[float, int, int]:
    """Tokens a second through the engine, and the tokens of prompts and answers."""
    async with engine(agents, 512) as local:
        await local.complete(ask(999, model, 4, 1))
        begun, prompt, completion = time.perf_counter(), 0, 0
        questions = [ask(n, model, words, answer, exact=True) for n in range(agents)]
        async for event in local.generate(questions):
            if isinstance(event, FinishEvent):
                prompt += event.usage.prompt - event.usage.cached
                completion += event.usage.completion
        return (prompt + completion) / (time.perf_counter() - begun), prompt, completion


def theirs(program: Path, model: Path, agents: int, prompt: int, answer: int) -> float:
    """Tokens a second of llama-batched-bench."""
    command = [
        str(program), "-m", str(model), "-c", str(agents * 512), "-b", "2048", "-ub", "512",
        "-npp", str(prompt), "-ntg", str(answer), "-npl", str(agents), "-t",
        str(default_tuning().threads), "--output-format", "jsonl",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return float(rows[-1]["speed"])


def main() -> None:
    """Interleave both sides and print the ratio of their sums."""
    chosen = options("see module", rounds=2, agents=16, words=110, answer=32)
    program = llama_tool("llama-batched-bench")
    if program is None:
        raise SystemExit("Build it first: python tools/build_llama_tools.py")
    path = InstalledFiles().resolve(chosen.model)
    print(f"{chosen.model}, {chosen.agents} agents, {machine_line()}")
    ratios = []
    for turn in range(chosen.rounds):
        mine, prompt, completion = anyio.run(
            ours, chosen.model, chosen.agents, chosen.words, chosen.answer
        )
        bare = theirs(
            program, path, chosen.agents, prompt // chosen.agents, completion // chosen.agents
        )
        ratios.append(mine / bare)
        print(
            f"round {turn + 1}: engine {mine:.1f} tokens/s ({prompt} prompt, {completion} answer), "
            f"llama-batched-bench {bare:.1f}, ratio {mine / bare:.3f}"
        )
    value = sorted(ratios)[len(ratios) // 2]
    report(
        "engine_rate", value, "ratio", ">= 0.9", holds=value >= 0.9,
        against="llama-batched-bench", n=chosen.rounds,
    )  # fmt: skip


if __name__ == "__main__":
    main()
