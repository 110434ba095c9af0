"""Kills a process that writes the audit log at random instants, and looks what is left.

Two threads append, segments are small and the signing key evolves every few records, so that
kills also hit the change of segments and keys.  After each kill the log is opened, added to,
verified, and every acknowledged record is looked for.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.audit.test_audit_log import WRITER, opened_keys

from benchmarks.setup import report
from hivekeep.audit import AuditEvent, AuditLog, records, verify


def one(place: Path, generator: random.Random) -> tuple[int, int, int]:
    """Kill one writer; acknowledged records, those that are lost, and problems."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(place)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    delay = generator.uniform(0.0, 0.6)
    killer = threading.Timer(delay, os.kill, (process.pid, signal.SIGKILL))
    killer.start()
    lines = [first, *process.stdout.readlines()]
    process.wait()
    killer.join()
    keys = opened_keys(place)
    log = AuditLog.open(place / "audit", keys)
    log.append(AuditEvent("benchmark", "after"))
    log.close()
    problems = verify(place / "audit", keys).problems
    kept = {r.sequence: (r.actor, r.subject) for r in records(place / "audit", keys)}
    said = [line.split() for line in lines if line.endswith("\n")]
    lost = sum(kept.get(int(number)) != (name, text) for number, name, text in said)
    return len(said), lost, len(problems)


def main() -> None:
    """Kill, look and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    generator = random.Random(options.seed)
    acknowledged = lost = problems = 0
    for kill in range(options.kills):
        # A log lives through ten kills, so that what one left is what the next one meets.
        if kill % 10 == 0:
            place = Path(tempfile.mkdtemp(prefix="audit-kill-"))
        said, gone, wrong = one(place, generator)
        acknowledged, lost, problems = acknowledged + said, lost + gone, problems + wrong
        print(f"\r{kill + 1} kills, {acknowledged} acknowledged, {lost} lost, {problems} problems",
              end="", flush=True)  # fmt: skip
    print()
    report(
        "audit_kill", lost + problems, "records lost or logs damaged", "0",
        holds=lost + problems == 0, against="every acknowledged record", n=options.kills,
    )  # fmt: skip


if __name__ == "__main__":
    main()
