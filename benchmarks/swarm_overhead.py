"""What a durable step costs: ours, journaled and audited, beside DBOS and LangGraph on SQLite.

    make bench-env && make bench NAME=swarm_overhead

300 agents take 4,000 steps with a model that answers at once. Every side runs in a process of its
own, in turn, for some rounds; the cost is the time of all steps divided by their number, and the
median round counts. Then ours alone grows from 10 to 300 agents and from 100 to 4,000 steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from importlib.metadata import version
from typing import Any

from benchmarks.setup import report


def measure(side: str, agents: int, steps: int) -> dict[str, Any]:
    """One side once, in a process of its own; ``cost`` is in milliseconds a step."""
    command = [sys.executable, "-m", "benchmarks.overhead_sides", side, str(agents), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "cost": found["seconds"] / found["steps"] * 1000}


def compare(sides: list[str], rounds: int, agents: int, steps: int) -> dict[str, float]:
    """The median cost of each side."""
    costs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            costs[side].append(measure(side, agents, steps))
    print(f"\n{agents} agents, {steps} steps, {rounds} rounds, ms a step\n")
    print("| side | median | each round | peak memory, of which for the steps |\n|---|---|---|---|")
    for side, found in costs.items():
        each = " ".join(f"{one['cost']:.2f}" for one in found)
        middle = statistics.median(one["cost"] for one in found)
        print(
            f"| {side} | {middle:.2f} | {each} | {found[-1]['rss']:.0f} MB, "
            f"{found[-1]['grown']:.0f} MB |",
            flush=True,
        )
    return {side: statistics.median(one["cost"] for one in found) for side, found in costs.items()}


def growth(rounds: int) -> None:
    """How our cost changes with agents and with steps."""
    print("\n| agents | steps | ms a step | peak memory |\n|---|---|---|---|")
    for agents, steps in (
        (10, 4000), (30, 4000), (100, 4000), (300, 4000), (100, 100), (300, 400), (300, 1000),
    ):  # fmt: skip
        found = [measure("ours", agents, steps) for _ in range(rounds)]
        middle = statistics.median(one["cost"] for one in found)
        print(f"| {agents} | {steps} | {middle:.2f} | {found[-1]['rss']:.0f} MB |", flush=True)


def main() -> None:
    """Measure and report."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--agents", type=int, default=300)
    options.add_argument("--steps", type=int, default=4000)
    options.add_argument("--no-growth", action="store_true")
    chosen = options.parse_args()
    names = ("dbos", "langgraph", "langgraph-checkpoint-sqlite")
    print("against " + ", ".join(f"{name} {version(name)}" for name in names))
    cost = compare(["ours", "dbos", "langgraph"], chosen.rounds, chosen.agents, chosen.steps)
    whole = [measure("coordinator", chosen.agents, 0) for _ in range(chosen.rounds)]
    print(
        f"\nthe whole coordinator over {chosen.agents} documents, with prompts, checks and a "
        f"workbook: {statistics.median(one['cost'] for one in whole):.2f} ms a step, "
        f"{whole[0]['steps']} steps, peak memory {whole[-1]['rss']:.0f} MB"
    )
    if not chosen.no_growth:
        growth(chosen.rounds)
    ratio = min(cost["dbos"], cost["langgraph"]) / cost["ours"]
    print(
        f"\nDBOS {cost['dbos'] / cost['ours']:.1f} times, LangGraph "
        f"{cost['langgraph'] / cost['ours']:.1f} times the cost of ours"
    )
    report(
        "swarm_overhead", cost["ours"], "ms a step", "<= 1, and 5 times less than either",
        holds=cost["ours"] <= 1 and ratio >= 5, against="DBOS, LangGraph", n=chosen.steps,
    )  # fmt: skip


if __name__ == "__main__":
    main()
