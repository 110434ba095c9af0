"""Every reader of policy under a fuzzer that is guided by coverage, for a given time.

Policy files, property lists, signed bundles and files of test cases are each given damaged inputs.
Each must end in a policy or in the one documented error; a bundle must never say anything that was
not signed.  Atheris drives a process for each target, because it does not return.  Prints what was
tried and ends with one line of JSON.  Run: ``make bench-env`` once, then ``make bench
NAME=fuzz_policy``.
"""

from __future__ import annotations

import argparse
import json
import plistlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from hivekeep.domain.errors import PolicyInvalidError, UsageError
from hivekeep.policy.asking import action_of, parse_cases
from hivekeep.policy.bundle import (
    Bundle,
    BundlePayload,
    Remembered,
    build_bundle,
    parse_bundle,
    verify_bundle,
)
from hivekeep.policy.generated.example import MANAGED
from hivekeep.policy.layers import Level, parse_text
from hivekeep.policy.policy import policy_of
from hivekeep.policy.preferences import parse_preferences
from hivekeep.policy.signing import key_id, new_key

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SAMPLES = Path(__file__).resolve().parents[1] / "policies" / "samples"
KEY = new_key()
PAYLOAD = BundlePayload(name="x", version=3, expires=NOW + timedelta(days=1), mandatory=MANAGED)
BUNDLE = Bundle(build_bundle(PAYLOAD).signed_by(KEY)).text().encode()


# The readers have to be imported under the instrumentation, so each process begins with it.
CHILD = """
import sys
import atheris
with atheris.instrument_imports(include=["hivekeep.policy", "plistlib"]):
    from benchmarks import fuzz_policy
fuzz_policy.fuzz(sys.argv[1], int(sys.argv[2]))
"""


def policy_file(raw: bytes) -> None:
    """A JSON file."""
    policy_of([parse_text(raw, Level.MANDATORY, "fuzz")])


def property_list(raw: bytes) -> None:
    """A macOS property list, in either form."""
    policy_of(parse_preferences(raw, "fuzz"))


def bundle(raw: bytes) -> None:
    """A signed bundle; what is taken must be what was signed."""
    pinned = (key_id(KEY.public_key()),)
    verify_bundle(raw, source="fuzz", pinned=pinned, remembered=Remembered(), now=NOW)
    if parse_bundle(raw).envelope.payload != parse_bundle(BUNDLE).envelope.payload:
        raise AssertionError("a bundle was taken that nobody signed")


def cases(raw: bytes) -> None:
    """A file of test cases."""
    for case in parse_cases(raw.decode("utf-8", "replace"), "fuzz").cases:
        action_of(case.action)


TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "policy_file": (policy_file, [path.read_bytes() for path in SAMPLES.glob("*.json")]),
    "property_list": (
        property_list,
        [plistlib.dumps(MANAGED), plistlib.dumps(MANAGED, fmt=plistlib.FMT_BINARY)],
    ),
    "bundle": (bundle, [BUNDLE]),
    "cases": (cases, [path.read_bytes() for path in SAMPLES.glob("*.cases.yaml")]),
}


def fuzz(name: str, seconds: int) -> None:
    """Drive one target in this process; never returns."""
    import atheris

    target, seeds = TARGETS[name]

    def one(raw: bytes) -> None:
        try:
            target(raw)
        except (PolicyInvalidError, UsageError):
            return

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=20000", "-print_final_stats=1"]
        options.append(f"-artifact_prefix={tempfile.gettempdir()}/hivekeep-fuzz-{name}-")
        atheris.Setup([sys.argv[0], *options, corpus], one)
        atheris.Fuzz()


def main() -> None:
    """Fuzz each target and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    options = parser.parse_args()
    if find_spec("atheris") is None:
        raise SystemExit("Atheris is not installed: run 'make bench-env' first.")
    tried, failed = {}, []
    for name in TARGETS:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, name, str(options.seconds)],
            capture_output=True, text=True, check=False, errors="replace",
        )  # fmt: skip
        found = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
        tried[name] = int(found.group(1)) if found else 0
        print(f"  {name:14} {tried[name]:>10,} inputs, exit status {done.returncode}")
        if done.returncode != 0 or not found:
            failed.append(name)
            print(done.stdout[-3000:])
    print(
        json.dumps(
            {
                "name": "fuzz_policy",
                "value": len(failed),
                "unit": "targets with a finding",
                "goal": 0,
                "holds": not failed,
                "against": {f"{name}, inputs": count for name, count in tried.items()},
                "n": sum(tried.values()),
            }
        )
    )


if __name__ == "__main__":
    main()
