"""What the daemon costs while nothing happens: memory, wake-ups and packets.

Starts a real daemon in an empty network namespace, with a watched folder and no model loaded, lets
it settle, and counts for a minute.  Beside it runs a bare interpreter that only waits, as the least
that a Python program can cost.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.e2e.stage import Stage
from tests.e2e.test_main_road import own_network

from benchmarks.setup import report

GOAL_BYTES = 80_000_000
GOAL_WAKE_UPS = 1.0


@dataclass(frozen=True)
class Cost:
    """One process tree over a span of time."""

    rss: int
    wake_ups: float
    processor: float


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def wake_ups(pid: int) -> int:
    """How often any thread of the tree has waited and was woken, since it began."""
    total = 0
    for process in tree(pid):
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            for line in (thread / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
    return total


def cost(pid: int, seconds: float) -> Cost:
    """What the tree under ``pid`` costs in ``seconds`` from now."""
    begin, busy = wake_ups(pid), sum(sum(p.cpu_times()[:2]) for p in tree(pid))
    time.sleep(seconds)
    return Cost(
        rss=sum(process.memory_info().rss for process in tree(pid)),
        wake_ups=(wake_ups(pid) - begin) / seconds,
        processor=(sum(sum(p.cpu_times()[:2]) for p in tree(pid)) - busy) / seconds,
    )


def packets(pid: int) -> int:
    """Packets that the network namespace of ``pid`` has sent, or tried to."""
    lines = Path(f"/proc/{pid}/net/snmp").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("Ip:"))
    counters = dict(zip(names[1:], map(int, values[1:]), strict=True))
    return counters["OutRequests"] + counters["OutNoRoutes"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--settle", type=float, default=15.0, help="seconds before counting")
    options = parser.parse_args()
    least = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    with tempfile.TemporaryDirectory(prefix="hivekeep-idle-") as scratch:
        launcher = own_network()
        stage = Stage(Path(scratch), launcher)
        try:
            stage.start()
            (Path(scratch) / "inbox").mkdir()
            stage.cli("watch", "add", str(Path(scratch) / "inbox"), "invoices")
            pid = stage.pid
            time.sleep(options.settle)
            ours, sent = cost(pid, options.seconds), packets(pid)
            bare = cost(least.pid, 1.0)
        finally:
            stage.close()
            least.kill()
    print(f"{'':24}{'RSS MB':>10}{'wake-ups/s':>12}{'processor':>11}")
    for name, row in (("daemon, idle", ours), ("python, waiting", bare)):
        print(f"{name:24}{row.rss / 1e6:10.1f}{row.wake_ups:12.2f}{row.processor:11.2%}")
    where = "an empty network namespace" if launcher else "the machine's own network: not telling"
    print(f"packets sent in {where}: {sent}")
    holds = (
        ours.rss <= GOAL_BYTES and ours.wake_ups <= GOAL_WAKE_UPS and (sent == 0 or not launcher)
    )
    report(
        "idle", ours.rss / 1e6, "MB", "<= 80 MB, <= 1 wake-up/s, 0 packets", holds=holds,
        against=f"bare interpreter {bare.rss / 1e6:.1f} MB; {ours.wake_ups:.2f} wake-ups/s, "
        f"{sent} packets",
        n=int(options.seconds),
    )  # fmt: skip


if __name__ == "__main__":
    main()
