"""Memory of the engine with 1, 16 and 300 live agents: what waits must not cost.

Each agent has a prompt of about 100 words.  The worker's resident memory is sampled while all are
alive; the same number of slots is open in all three cases.
"""

from __future__ import annotations

import anyio

from benchmarks.engine_setup import SMALL, InstalledFiles, ask, engine, machine_line, options, rss
from benchmarks.setup import report
from hivekeep.domain.inference import FinishEvent
from hivekeep.engine.memory import Shape, model_facts, predict


async def peak(model: str, agents: int) -> tuple[int, int]:
    """The most memory of the worker and of this process while ``agents`` are alive."""
    most_worker = most_here = 0
    async with engine(8, 1024) as local:
        await local.complete(ask(9999, model, 4, 1))
        async with anyio.create_task_group() as tasks:

            async def sample() -> None:
                nonlocal most_worker, most_here
                while True:
                    most_worker = max(most_worker, rss(local.worker_pids()))
                    most_here = max(most_here, rss([]))
                    await anyio.sleep(0.1)

            tasks.start_soon(sample)
            requests = [ask(n, model, 100, 4) for n in range(agents)]
            ended = [e async for e in local.generate(requests) if isinstance(e, FinishEvent)]
            assert len(ended) == agents
            tasks.cancel_scope.cancel()
    return most_worker, most_here


def main() -> None:
    """Print the three cases; the value is how much more 300 take than 16."""
    chosen = options("see module", model=SMALL, many=300)
    print(f"{chosen.model}, {machine_line()}")
    found = {}
    for agents in (1, 16, chosen.many):
        found[agents], here = anyio.run(peak, chosen.model, agents)
        print(f"{agents} agents: worker {found[agents] / 1e6:.0f} MB, caller {here / 1e6:.0f} MB")
    facts = model_facts(InstalledFiles().resolve(chosen.model))
    print(f"predicted before loading: {predict(facts, Shape(8, 1024)).total / 1e6:.0f} MB")
    value = found[chosen.many] / found[16]
    report(
        "engine_memory", value, "ratio", "<= 1.05", holds=value <= 1.05, against="16 agents",
        n=chosen.many,
    )  # fmt: skip


if __name__ == "__main__":
    main()
