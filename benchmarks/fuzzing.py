"""Drives readers of foreign bytes with Atheris, one process for each, because it does not return.

Responsible for the driving and for the last line of the report; what is read, and what must hold
of it, is in the module that is fuzzed.  Such a module has ``TARGETS``, a function of bytes and
seeds for each name, and ``EXPECTED``, the errors that are an answer.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

Targets = dict[str, tuple[Callable[[bytes], None], list[bytes]]]

# The readers have to be imported under the instrumentation, so each process begins with it.
_CHILD = """
import sys
import atheris
with atheris.instrument_imports(include={include!r}):
    import benchmarks.{module}
from benchmarks import fuzzing
fuzzing.fuzz("benchmarks.{module}", sys.argv[1], int(sys.argv[2]))
"""


def fuzz(module: str, name: str, seconds: int) -> None:
    """Drive one target in this process; never returns."""
    import atheris

    fuzzed = import_module(module)
    target, seeds = fuzzed.TARGETS[name]

    def one(raw: bytes) -> None:
        try:
            target(raw)
        except fuzzed.EXPECTED:
            return

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=20000", "-print_final_stats=1"]
        options.append(f"-artifact_prefix={tempfile.gettempdir()}/hivekeep-fuzz-{name}-")
        atheris.Setup([sys.argv[0], *options, corpus], one)
        atheris.Fuzz()


def report_all(module: str, targets: Targets, include: Sequence[str], about: str | None) -> None:
    """Fuzz each target of ``benchmarks.<module>`` and print; ``include`` is instrumented."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    options = parser.parse_args()
    if find_spec("atheris") is None:
        raise SystemExit("Atheris is not installed: run 'make bench-env' first.")
    child = _CHILD.format(module=module, include=list(include))
    tried, failed = {}, []
    for name in targets:
        done = subprocess.run(
            [sys.executable, "-c", child, name, str(options.seconds)],
            capture_output=True, text=True, check=False, errors="replace",
        )  # fmt: skip
        found = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
        tried[name] = int(found.group(1)) if found else 0
        print(f"  {name:14} {tried[name]:>10,} inputs, exit status {done.returncode}")
        if done.returncode != 0 or not found:
            failed.append(name)
            print(done.stdout[-3000:])
            print(done.stderr[-1500:])
    print(
        json.dumps(
            {
                "name": module,
                "value": len(failed),
                "unit": "targets with a finding",
                "goal": 0,
                "holds": not failed,
                "against": {f"{name}, inputs": count for name, count in tried.items()},
                "n": sum(tried.values()),
            }
        )
    )
