"""Frame time of the live view with 300 agents whose states change ten times a second.

Measured in headless Chromium, which draws without a graphics card here, against an empty page in
the same browser.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

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


def measure(page: Page, count: int) -> tuple[float, float, int]:
    """Median and 95th percentile of the time between frames, in milliseconds."""
    times = page.evaluate(SCRIPT, [count, 6000])
    return times[len(times) // 2], times[int(len(times) * 0.95)], len(times)


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
        nothing = measure(page, 1)
        full = measure(page, 300)
        browser.close()
        server.kill()
        server.wait()
    print(f"1 agent:    median {nothing[0]:.1f} ms, p95 {nothing[1]:.1f} ms, {nothing[2]} frames")
    print(f"300 agents: median {full[0]:.1f} ms, p95 {full[1]:.1f} ms, {full[2]} frames")
    report(
        "swarm_frames", full[0], "ms", "<= 17 median", holds=full[0] <= 17,
        against=f"1 agent {nothing[0]:.1f} ms", n=full[2],
    )  # fmt: skip


if __name__ == "__main__":
    main()
