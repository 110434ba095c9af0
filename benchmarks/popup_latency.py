"""Time from an approval being requested to the popup being drawn, cold and warm.

The clock starts before the request that needs the approval is sent to the daemon and stops when the
page has been drawn in the real window (Qt on a virtual screen, software rendering).  Cold means
that no process of the window runs; warm that one does and shows nothing, as in the 90 s after an
answer.
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.desktop_stage import desktop
from benchmarks.setup import report

_HIDES_AFTER = 3.5  # the popup leaves 2.5 s after the last answer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", type=int, default=5)
    parser.add_argument("--warm", type=int, default=15)
    options = parser.parse_args()
    cold, warm = [], []
    with desktop() as screen:
        for _ in range(options.cold):
            screen.end_window()
            cold.append(screen.ask())
            screen.deny()
        for _ in range(options.warm):
            time.sleep(_HIDES_AFTER)
            warm.append(screen.ask())
            screen.deny()
    for name, values in (("cold", cold), ("warm", warm)):
        ordered = " ".join(f"{value:.2f}" for value in sorted(values))
        print(f"{name}: median {statistics.median(values):.3f} s of {ordered}")
    slow, fast = statistics.median(cold), statistics.median(warm)
    report(
        "popup_latency", slow, "s", "<= 1 cold, <= 0.2 warm", holds=slow <= 1 and fast <= 0.2,
        against=f"warm {fast:.3f} s", n=len(cold) + len(warm),
    )  # fmt: skip


if __name__ == "__main__":
    main()
