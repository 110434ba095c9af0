"""Kills a process that writes the audit log at random instants, and looks what is left.

Two threads append, segments are small and the signing key evolves every few records, so that
kills also hit the change of segments and keys.  After each kill the log is opened, added to,
verified, and every acknowledged record is looked for.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.setup import report
from hivekeep.audit import AuditEvent, AuditLog, records, verify
from hivekeep.audit import log as log_module
from hivekeep.secrets import KeyStore, Passphrase, keyfile, open_key_store

log_module.SEGMENT_BYTES = 8_000
# The key file is written at each change of keys as always; only its passphrase is cheap to check.
keyfile._LOG_N = 14


def keys_of(place: Path) -> KeyStore:
    """The profile's key file."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"long enough passphrase")
    os.close(write_end)
    return open_key_store(place, profile_id="x", passphrase=Passphrase(read_end), backend="file")


def write(place: Path, out: int) -> None:
    """Append from two threads until killed; say of each record that it is acknowledged."""
    log = AuditLog.open(place / "audit", keys_of(place))

    def work(name: str) -> None:
        for number in range(100_000):
            at = log.append(AuditEvent(name, "act", subject=str(number)))
            os.write(out, f"{at} {name} {number}\n".encode())
            if number % 7 == 3 and name == "a":
                log.evolve()

    for name in "ab":
        threading.Thread(target=work, args=(name,)).start()
    time.sleep(600)


def acknowledged_until_killed(place: Path, after: float) -> list[list[str]]:
    """Fork a writer and kill it some seconds after its first record; what it said."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        write(place, write_end)
        os._exit(1)
    os.close(write_end)
    with os.fdopen(read_end, encoding="ascii") as source:
        first = source.readline()
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        lines = [first, *source.readlines()]
    os.waitpid(child, 0)
    return [line.split() for line in lines if line.endswith("\n")]


def one(place: Path, generator: random.Random) -> tuple[int, int, int]:
    """Kill one writer; acknowledged records, those that are lost, and problems."""
    said = acknowledged_until_killed(place, generator.uniform(0.0, 0.4))
    keys = keys_of(place)
    log = AuditLog.open(place / "audit", keys)
    log.append(AuditEvent("benchmark", "after"))
    log.close()
    problems = verify(place / "audit", keys).problems
    kept = {r.sequence: (r.actor, r.subject) for r in records(place / "audit", keys)}
    lost = sum(kept.get(int(number)) != (name, text) for number, name, text in said)
    return len(said), lost, len(problems)


def main() -> None:
    """Kill, look and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--folder",
        type=Path,
        default=None,
        help="where; a kill spares the page cache",
    )
    options = parser.parse_args()
    generator = random.Random(options.seed)
    acknowledged = lost = problems = 0
    places: list[Path] = []
    for kill in range(options.kills):
        # A log lives through ten kills, so that what one left is what the next one meets.
        if kill % 10 == 0:
            place = Path(tempfile.mkdtemp(prefix="audit-kill-", dir=options.folder))
            places.append(place)
        said, gone, wrong = one(place, generator)
        acknowledged, lost, problems = acknowledged + said, lost + gone, problems + wrong
        print(f"\r{kill + 1} kills, {acknowledged} acknowledged, {lost} lost, {problems} problems",
              end="", flush=True)  # fmt: skip
    print()
    if lost + problems:
        print(f"kept for a look: {', '.join(map(str, places))}")
    else:
        for place in places:
            shutil.rmtree(place)
    report(
        "audit_kill", lost + problems, "records lost or logs damaged", "0",
        holds=lost + problems == 0, against="every acknowledged record", n=options.kills,
    )  # fmt: skip


if __name__ == "__main__":
    main()
