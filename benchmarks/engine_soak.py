"""A day's work in miniature: 5,000 requests, many cancelled at random instants.

Afterwards no slot may be lost, nothing may wait, no worker may have been replaced, and the worker's
memory may not have grown since it was warm.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import Any

import anyio

from benchmarks.engine_setup import SMALL, ask, engine, machine_line, options, rss
from benchmarks.setup import report
from hivekeep.domain.inference import FinishEvent, TokenEvent
from hivekeep.engine.local import LocalEngine

_SLOTS = 8
_SCHEMA: dict[str, Any] = {"enum": ["yes", "no", None]}


async def one(
    local: LocalEngine, number: int, model: str, chance: random.Random, counts: dict[str, int]
) -> None:
    """A request that ends, or is given up before it begins, in the middle, or after a while."""
    answer = chance.choice([1, 2, 4, 8, 60])
    wanted = replace(
        ask(number % 40, model, chance.choice([5, 20, 80]), answer, run=f"r{number % 3}"),
        id=f"s{number}",
        schema=_SCHEMA if chance.random() < 0.3 else None,
        priority=chance.choice([1, 10, 10, 10]),
    )
    fate = chance.random()
    events = local.generate([wanted])
    if fate < 0.15:
        with anyio.move_on_after(chance.random() * 2):
            async for event in events:
                counts["finished"] += isinstance(event, FinishEvent)
    else:
        async for event in events:
            counts["finished"] += isinstance(event, FinishEvent)
            if fate < 0.3 and isinstance(event, TokenEvent):
                break
    counts["ended"] += 1
    await events.aclose()  # type: ignore[attr-defined]


async def soak(model: str, requests: int) -> tuple[float, dict[str, int], bool, int]:
    """Memory growth, counts, whether every slot still works, and replaced workers."""
    counts = {"ended": 0, "finished": 0}
    chance, warm = random.Random(7), 0
    async with engine(_SLOTS, 512) as local:
        limit = anyio.CapacityLimiter(64)
        async with anyio.create_task_group() as tasks:

            async def work(number: int) -> None:
                async with limit:
                    await one(local, number, model, chance, counts)

            for number in range(requests):
                tasks.start_soon(work, number)
            while counts["ended"] < requests:
                await anyio.sleep(1)
                if not warm and counts["ended"] >= requests // 10:
                    warm = rss(local.worker_pids())
        after = rss(local.worker_pids())
        most = 0
        async for _ in local.generate([ask(n, model, 5, 60) for n in range(_SLOTS)]):
            most = max(most, local.status().active)
        status = local.status()
        whole = most == _SLOTS and status.waiting == 0
        return after / warm, counts, whole, status.restarts


def main() -> None:
    """Run it and print what is left."""
    chosen = options("see module", model=SMALL, requests=5000)
    print(f"{chosen.model}, {chosen.requests} requests, {machine_line()}")
    begun = time.perf_counter()
    growth, counts, whole, restarts = anyio.run(soak, chosen.model, chosen.requests)
    print(
        f"{counts['ended']} ended, {counts['finished']} of them answered, in "
        f"{time.perf_counter() - begun:.0f} s; every slot works: {whole}; workers replaced: "
        f"{restarts}; memory after over memory at a tenth: {growth:.3f}"
    )
    holds = whole and restarts == 0 and growth <= 1.05
    report(
        "engine_soak", growth, "memory ratio", "<= 1.05, no slot lost", holds=holds,
        against="itself at a tenth of the requests", n=chosen.requests,
    )  # fmt: skip


if __name__ == "__main__":
    main()
