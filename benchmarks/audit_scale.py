"""How size, verification, search, proof and start of the audit log grow with its records.

Times are of the processor, because these are bound by it and other work on the machine then matters
less.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.audit.world import Memory

from benchmarks.audit_append import event
from benchmarks.setup import report
from hivekeep.audit import AuditLog, Query, search, verify
from hivekeep.audit.proving import certificate_chain, prove
from hivekeep.audit.reading import owner_reader
from hivekeep.secrets import KeyStore
from hivekeep_verify import check_log, check_proof

_BATCH = 500


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds it took, and what it gave."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def size_of(folder: Path, pattern: str) -> int:
    """Bytes of the files that match."""
    return sum(path.stat().st_size for path in folder.glob(pattern))


def grow(folder: Path, keys: KeyStore, first: int, last: int) -> tuple[float, float]:
    """Append records in groups, as a busy swarm does; returns the seconds of it and of indexing."""
    began = time.process_time()
    log = AuditLog(folder, keys)
    for start in range(first, last, _BATCH):
        log.append_many([event(number) for number in range(start, min(start + _BATCH, last))])
    appended = time.process_time() - began
    indexed, _ = timed(log.index_sealed)
    log.close()
    return appended, indexed


def look(folder: Path, keys: KeyStore, count: int) -> dict[str, float]:
    """Everything that is measured of a log of ``count`` records."""
    reader = owner_reader(keys)
    said: dict[str, float] = {}
    said["bytes a record"] = size_of(folder, "segment-*.log") / count
    said["index bytes a record"] = size_of(folder, "derived/*.index") / count
    said["verify s, public keys"], public = timed(lambda: check_log(folder))
    said["verify s, with content"], full = timed(lambda: verify(folder, keys))
    if public.problems or full.problems or full.events != count:
        raise SystemExit(f"the log does not verify: {full.problems[:1]}")
    wanted = f"{count // 2:064x}"
    one = Query({"data": wanted})
    said["search one value s"], found = timed(lambda: search(folder, reader, one))
    if len(found) != 2:
        raise SystemExit(f"found {len(found)} records instead of 2")
    both = Query({"agent": "agent-7", "outcome": "stop"})
    newest = timed(lambda: search(folder, reader, both, limit=100))
    said["search newest 100 of two values s"] = newest[0]
    said["first proof s"], _ = timed(lambda: prove(folder, count // 3, reader))
    said["next proof s"], bundle = timed(lambda: prove(folder, count // 2, reader))
    check_proof(bundle, [certificate_chain(folder)[1]])
    said["open s"], log = timed(lambda: AuditLog(folder, keys))
    log.close()
    return said


def main() -> None:
    """Grow a log and measure it at each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure")
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="audit-", dir=options.folder))
    keys = KeyStore(Memory())
    rate, before = 0.0, 0
    try:
        for size in options.sizes:
            appended, indexed = grow(place / "log", keys, before, size)
            print(f"\n{size} records")
            each = (appended + indexed) / (size - before) * 1e6
            print(f"  {'append and index, us a record':36} {each:.4g}", flush=True)
            said = look(place / "log", keys, size)
            for name, value in said.items():
                print(f"  {name:36} {value:.4g}")
            rate, before = size / said["verify s, with content"], size
        report(
            "audit_scale", rate, "records/s verified with content", "reported", holds=True,
            against=f"itself at {options.sizes} records", n=before,
        )  # fmt: skip
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
