"""Durable audit records a second, and how long one takes, beside plain SQLite on the same disk.

Each side acknowledges a record only when it is on the disk: ``AuditLog.append`` (encrypted,
chained, signed) and an ``INSERT`` with its own commit in WAL mode with ``synchronous=FULL``.
Rounds of the two alternate, at equal numbers of threads.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.audit.world import Memory

from benchmarks.setup import report
from hivekeep.audit import AuditEvent, AuditLog, DataRef, ModelRef, verify
from hivekeep.secrets import KeyStore

THREADS = (1, 8, 32)


def event(number: int) -> AuditEvent:
    """A record like that of a model call."""
    return AuditEvent(
        f"agent-{number % 300}", "model.call", subject="qwen2.5-coder-1.5b", outcome="stop",
        user="user", job="r20261125-0001", agent=f"agent-{number % 300}",
        data=(DataRef("prompt", f"{number:064x}"), DataRef("answer", f"{number + 1:064x}")),
        model=ModelRef("qwen2.5-coder-1.5b", "c" * 64, {"temperature": 0, "seed": 7}),
        detail={"usage": {"prompt_tokens": 650, "cached_tokens": 480, "completion_tokens": 70}},
    )  # fmt: skip


class Sqlite:
    """Plain SQLite: one table, one commit a record, a connection for each thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE audit (id INTEGER PRIMARY KEY, body TEXT)")

    def append(self, one: AuditEvent) -> None:
        """Insert and commit."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=120)
            connection.execute("PRAGMA synchronous=FULL")
            self._local.connection = connection
        body = json.dumps(asdict(one), separators=(",", ":"))
        connection.execute("INSERT INTO audit (body) VALUES (?)", (body,))


def measure(append: Callable[[AuditEvent], object], threads: int, seconds: float) -> list[float]:
    """Seconds that each record took, from ``threads`` threads for so long."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    def work(first: int) -> None:
        mine, number = [], first
        while (began := time.perf_counter()) < end:
            append(event(number))
            mine.append(time.perf_counter() - began)
            number += threads
        taken.extend(mine)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return taken


def main() -> None:
    """Measure, compare and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure")
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="audit-", dir=options.folder))
    keys = KeyStore(Memory())
    ratios, total = [], 0
    try:
        log, plain = AuditLog(place / "log", keys), Sqlite(place / "plain.db")
        print("| threads | | records/s | p50 ms | p99 ms | ratio |\n|---|---|---|---|---|---|")
        for threads in THREADS:
            took: dict[str, list[float]] = {"audit log": [], "SQLite": []}
            for _ in range(options.rounds):
                took["audit log"] += measure(log.append, threads, options.seconds)
                took["SQLite"] += measure(plain.append, threads, options.seconds)
            spent = options.seconds * options.rounds
            rates = {name: len(times) / spent for name, times in took.items()}
            ratios.append(rates["audit log"] / rates["SQLite"])
            for name, times in took.items():
                cut = statistics.quantiles(times, n=100)
                shown = f"{ratios[-1]:.2f}" if name == "audit log" else ""
                print(f"| {threads} | {name} | {rates[name]:.0f} | {cut[49] * 1000:.2f} "
                      f"| {cut[98] * 1000:.2f} | {shown} |")  # fmt: skip
            total += sum(map(len, took.values()))
        log.close()
        problems = verify(place / "log", keys).problems
        print(f"the log verifies: {not problems}")
        report(
            "audit_append", min(ratios), "x", ">= 1 at every number of threads",
            holds=min(ratios) >= 1 and not problems,
            against="SQLite, WAL, synchronous=FULL, one commit a record, same disk", n=total,
        )  # fmt: skip
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
