"""A real daemon is sent what fits its API's own description and what does not; recipes too.

Prints how much was sent and what was wrong.  Run: ``make bench NAME=fuzz_api``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from hypothesis import given, settings
from tests.daemon.api_fuzz import client_of, fuzz
from tests.e2e.stage import Stage
from tests.recipes.test_recipe_properties import VALUES, YAML_PIECES, judge, sound

from benchmarks.setup import report


def recipes(examples: int) -> tuple[int, list[str]]:
    """Recipe files tried, and what was neither a recipe nor an error that names a line."""
    import yaml
    from hypothesis import strategies as st

    tried, wrong = 0, []
    texts = st.lists(YAML_PIECES, max_size=25).map("".join).map(str.encode)
    values = VALUES.map(lambda value: yaml.safe_dump(value, allow_unicode=True).encode())

    @settings(max_examples=examples, deadline=None, database=None, derandomize=True)
    @given(st.binary(max_size=200) | texts | values)
    def try_one(raw: bytes) -> None:
        nonlocal tried
        tried += 1
        verdict = judge(raw)
        if not sound(verdict):
            wrong.append(f"{raw!r}: {verdict}")

    try_one()
    return tried, wrong


def main() -> None:
    """Fuzz and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=40, help="requests to each operation")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        stage.start()
        try:
            with client_of(str(stage.profile.socket)) as client:
                findings = fuzz(client, options.examples)
                alive = client.get("/v1/status").is_success
            tracebacks = stage.log().count("Traceback")
        finally:
            stage.close()
    print(f"{findings.sent} requests in {time.monotonic() - began:.0f} s")
    print(f"answers: {dict(sorted(findings.statuses.items()))}")
    for place, complaint in findings.wrong.items():
        print(f"wrong: {place}: {complaint}")
    tried, wrong = recipes(options.examples * 50)
    print(f"{tried} recipe files, {len(wrong)} wrong")
    for line in wrong[:10]:
        print(f"  {line}")
    bad = len(findings.wrong) + len(wrong) + tracebacks + (not alive)
    report(
        "fuzz_api", bad, "faults", "0", holds=bad == 0, n=findings.sent + tried,
        against="every answer is a result or an error that says what to do",
    )  # fmt: skip


if __name__ == "__main__":
    main()
