"""Frame time of the live view with 300 agents whose states change ten times a second.

Measured in headless Chromium, which draws without a graphics card here, against an empty page in
the same browser; then with the processor slowed down eightfold, as on a small or busy machine.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks.setup import report

SCRIPT = """async ([count, milliseconds]) => {
  const { swarm } = await import("/js/swarm.js");
  const states = ["waiting", "reading", "thinking", "checking", "done", "failed"];
  const cells = swarm(() => {});
  document.getElementById("main").replaceChildren(cells.grid, cells.legend);
  const agents = Array.from({ length: count }, (_, n) => (
    { id: `a${n}`, name: `${n}.pdf`, state: "waiting" }));
  cells.update(agents);
  const timer = setInterval(() => {
    for (const agent of agents) agent.state = states[Math.floor(Math.random() * states.length)];
    cells.update(agents.map((agent) => ({ ...agent })));
  }, 100);
  const times = [];
  const end = performance.now() + milliseconds;
  let last = performance.now();
  await new Promise((done) => {
    const frame = () => {
      const now = performance.now();
      times.push(now - last);
      last = now;
      now < end ? requestAnimationFrame(frame) : done();
    };
    requestAnimationFrame(frame);
  });
  clearInterval(timer);
  return times.slice(5).sort((a, b) => a - b);
}"""


SLOWER = 8
MILLISECONDS = 6000
KINDS = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration", "TaskDuration")


@dataclass(frozen=True, slots=True)
class Frames:
    """Median and 95th percentile of the time between ``count`` frames, in milliseconds.

    ``busy`` is what the page's thread did for one update, in milliseconds by kind.
    """

    median: float
    p95: float
    count: int
    busy: dict[str, float]

    def __str__(self) -> str:
        """One line."""
        kinds = ", ".join(f"{kind[:-8].lower()} {ms:.1f}" for kind, ms in self.busy.items())
        return (
            f"median {self.median:5.1f} ms, p95 {self.p95:5.1f} ms, {self.count} frames; "
            f"each update: {kinds} ms"
        )


def measure(page: Page, count: int, slower: int = 1) -> Frames:
    """Frames of ``count`` agents with a processor that is so many times slower."""
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable")
    tools.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    before = durations(tools)
    times = page.evaluate(SCRIPT, [count, MILLISECONDS])
    after = durations(tools)
    tools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    tools.detach()
    updates = MILLISECONDS / 100
    busy = {kind: 1000 * (after[kind] - before[kind]) / updates for kind in KINDS}
    return Frames(times[len(times) // 2], times[int(len(times) * 0.95)], len(times), busy)


def durations(tools: CDPSession) -> dict[str, float]:
    """What the page's thread has done so far, in seconds by kind."""
    found = tools.send("Performance.getMetrics")["metrics"]
    return {metric["name"]: metric["value"] for metric in found if metric["name"] in KINDS}


def main() -> None:
    """Measure and print."""
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is not installed"
    with TemporaryDirectory() as name, sync_playwright() as playwright:
        (Path(name) / "ui.json").write_text(json.dumps({"welcomed": True}))
        server = subprocess.Popen(
            [sys.executable, "-m", "hivekeep_ui", "serve", "--socket", f"{name}/none.sock"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert server.stdout is not None
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(server.stdout.readline().strip())
        page.wait_for_selector("#main")
        nothing, full = measure(page, 1), measure(page, 300)
        slow_nothing, slow = measure(page, 1, SLOWER), measure(page, 300, SLOWER)
        browser.close()
        server.kill()
        server.wait()
    print(f"1 agent:                {nothing}")
    print(f"300 agents:             {full}")
    print(f"1 agent, {SLOWER}x slower:     {slow_nothing}")
    print(f"300 agents, {SLOWER}x slower:  {slow}")
    report(
        "swarm_frames", full.p95, "ms", "<= 20 (95th percentile)", holds=full.p95 <= 20,
        against=f"1 agent {nothing.p95:.1f} ms; {SLOWER}x slower {slow.p95:.1f} ms", n=full.count,
    )  # fmt: skip


if __name__ == "__main__":
    main()
