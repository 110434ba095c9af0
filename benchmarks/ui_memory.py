"""Memory of the tray and of the popup, as the kernel divides it among processes (PSS).

Pages that several processes share are counted in proportion, so that the sum over Chromium's
processes counts nothing twice; the tray's resident size (RSS) is given beside it.
"""

from __future__ import annotations

import time

import psutil

from benchmarks.desktop_stage import desktop
from benchmarks.setup import report

_MB = 1e6


def main() -> None:
    """Measure and print."""
    with desktop() as screen:
        time.sleep(5)
        tray = psutil.Process(screen.tray.pid)
        rss, pss = tray.memory_info().rss / _MB, tray.memory_full_info().pss / _MB
        print(f"tray: RSS {rss:.1f} MB, PSS {pss:.1f} MB")
        screen.ask()
        time.sleep(3)
        window = screen.window()
        assert window is not None
        family = [window, *window.children(recursive=True)]
        popup = sum(process.memory_full_info().pss for process in family) / _MB
        print(f"popup: PSS {popup:.1f} MB over {len(family)} processes")
        screen.end_window()
        print(f"after the popup: tray RSS {tray.memory_info().rss / _MB:.1f} MB, popup 0 MB")
    report(
        "ui_memory", rss, "MB", "<= 60 tray", holds=rss <= 60, against=f"popup {popup:.0f} MB",
        n=1,
    )  # fmt: skip


if __name__ == "__main__":
    main()
