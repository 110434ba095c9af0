"""Time to the first token of an urgent question while 300 agents are at work.

The same questions are asked three times: on an idle engine, urgently while the run is going, and
with the run's own priority while it is going.  The first two are compared; the third shows what
would happen without priorities (with its own run, so that fair shares still help it).
"""

from __future__ import annotations

import time
from dataclasses import replace

import anyio

from benchmarks.engine_setup import SMALL, ask, engine, machine_line, options
from benchmarks.setup import report
from hivekeep.domain.inference import TokenEvent
from hivekeep.engine.local import LocalEngine


async def first_token(local: LocalEngine, number: int, model: str, priority: int) -> float:
    """Seconds until the answer begins."""
    question = replace(ask(number, model, 60, 4, run="person"), priority=priority)
    begun = time.perf_counter()
    events = local.generate([question])
    async for event in events:
        if isinstance(event, TokenEvent):
            break
    await events.aclose()  # type: ignore[attr-defined]
    return time.perf_counter() - begun


async def measure(model: str, questions: int, agents: int) -> dict[str, list[float]]:
    """The three lists of times."""
    found: dict[str, list[float]] = {"idle": [], "urgent": [], "same priority": []}
    async with engine(8, 1024) as local:
        await local.complete(ask(9999, model, 4, 1))
        for number in range(questions):
            found["idle"].append(await first_token(local, 1000 + number, model, 1))
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                # Long enough to be going all the while.
                async for _ in local.generate([ask(n, model, 120, 200) for n in range(agents)]):
                    pass

            tasks.start_soon(run)
            await anyio.sleep(3)
            for number in range(questions):
                found["urgent"].append(await first_token(local, 2000 + number, model, 1))
            for number in range(max(questions // 4, 1)):
                found["same priority"].append(await first_token(local, 3000 + number, model, 10))
            waiting = local.status().waiting
            tasks.cancel_scope.cancel()
    print(f"{waiting} agents of the run were still waiting at the end")
    return found


def p95(times: list[float]) -> float:
    """The time that 95 of 100 stay below."""
    return sorted(times)[min(int(0.95 * len(times)), len(times) - 1)]


def main() -> None:
    """Print all three; the value is urgent over idle."""
    chosen = options("see module", model=SMALL, questions=20, agents=300)
    print(f"{chosen.model}, {chosen.agents} agents, {machine_line()}")
    found = anyio.run(measure, chosen.model, chosen.questions, chosen.agents)
    for name, times in found.items():
        middle = sorted(times)[len(times) // 2]
        print(f"{name}: median {middle:.2f} s, p95 {p95(times):.2f} s, n {len(times)}")
    value = p95(found["urgent"]) / p95(found["idle"])
    report(
        "engine_priority", value, "times idle, p95", "<= 3", holds=value <= 3,
        against="the same question on an idle engine", n=chosen.questions,
    )  # fmt: skip


if __name__ == "__main__":
    main()
