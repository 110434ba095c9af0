"""The desktop interface for real: a browser, a panel, a window on a virtual screen, a daemon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.panel import Panel
from tests.e2e.stage import Stage, wait_for
from tests.e2e.test_approvals import ask, pending

CHROMIUM = shutil.which("chromium")
SCREEN = all(shutil.which(name) for name in ("Xvfb", "openbox", "xdotool", "import"))
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    chosen = Stage(tmp_path_factory.mktemp("desktop"))
    chosen.profile.create()
    policy = {"approvals": {"required_from": "low"}}
    chosen.profile.policy.write_text(json.dumps(policy), encoding="utf-8")
    (chosen.profile.root / "ui.json").write_text(json.dumps({"popup": False, "language": "en"}))
    chosen.start()
    yield chosen
    chosen.close()


def interface(
    stage: Stage, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """A process of the interface."""
    command = [
        sys.executable, "-m", "hivekeep_ui", *arguments, "--socket", str(stage.profile.socket),
        "--profile", str(stage.profile.root),
    ]  # fmt: skip
    whole = {**os.environ, "LANG": "C.UTF-8", **(env or {})}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=whole)


class Browser:
    """Chromium on the pages, with what it complained about."""

    def __init__(self, page: Any, origin: str) -> None:
        self.page, self.origin = page, origin
        self.complaints: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type != "log" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.set_default_timeout(120_000)

    def open(self, place: str) -> None:
        """Show a page from anew and wait until it is complete."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.origin}/{place}")
        self.page.wait_for_selector("h1, [role=alert]")

    def wait(self, selector: str, text: str | None = None) -> None:
        """Wait until something is there, with a text in it."""
        # Not by an expression: the pages' policy forbids to evaluate strings, to tests as well.
        self.page.locator(selector, has_text=text).first.wait_for()


@pytest.fixture(scope="module")
def served(stage: Stage) -> Iterator[str]:
    process = interface(stage, "serve")
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def browser(served: str) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = chromium.new_context(locale="en-GB").new_page()
        page.goto(served)
        yield Browser(page, served.split("/?")[0])
        chromium.close()


VIEWS = ["welcome", "home", "runs", "approvals", "folders", "recipes", "recipes/invoices",
         "models", "policy", "audit", "settings", "run/none", "ask", "schedules"]  # fmt: skip


def test_the_test_port_lets_nobody_in_without_the_token(browser: Browser, served: str) -> None:
    import httpx

    assert httpx.get(f"{browser.origin}/v1/status").status_code == 403
    assert httpx.get(served).status_code == 403  # used up by the browser
    answer = httpx.get(f"{browser.origin}/v1/status", headers={"Host": "evil.example"})
    assert answer.status_code == 421


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible_quiet_and_fits_a_small_screen(
    browser: Browser, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    browser.complaints.clear()
    # Contrast is measured on what is shown, not on a frame of a transition.
    browser.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    widths = (1280, 360) if scheme == "light" else (1280,)
    for place in [*(f"index.html#{view}" for view in VIEWS), "popup.html"]:
        browser.open(place)
        for width in widths:
            browser.page.set_viewport_size({"width": width, "height": 800})
            found = Axe().run(browser.page).response["violations"]
            assert [(v["id"], [n["target"] for n in v["nodes"]]) for v in found] == [], place
            wide = "document.documentElement.scrollWidth > innerWidth"
            assert not browser.page.evaluate(wide), (place, width)
    # A run that does not exist is looked for on purpose.
    assert [text for text in browser.complaints if "404" not in text] == []


def test_hostile_names_stay_text_and_a_hasty_click_answers_nothing(
    browser: Browser, stage: Stage, tmp_path: Path
) -> None:
    browser.complaints.clear()
    asked, item = ask(stage, tmp_path / HOSTILE.replace("/", "∕"))
    browser.open("popup.html")
    title = browser.page.locator("#what")
    assert "<img src=x onerror=" in title.inner_text()
    assert browser.page.locator("#app img, #app script").count() == 0
    assert browser.page.title() != "taken"
    assert item["digest"] in browser.page.locator("main").inner_text()

    browser.page.evaluate("document.querySelector('[data-answer=once]').click()")
    browser.page.reload()
    browser.wait("[data-answer=once]")
    browser.page.evaluate("document.querySelector('[data-answer=once]').click()")
    browser.wait("[data-ready]")
    assert [one["id"] for one in pending(stage)] == [item["id"]]

    browser.page.keyboard.press("Alt+a")
    asked.join(120)
    assert asked.result["folder"] == item["proposal"]["action"]["path"]
    for place in ("index.html#folders", "index.html#audit", "index.html#approvals"):
        browser.open(place)
        browser.wait("main", "onerror")
        assert browser.page.locator("main img, main script").count() == 0
        assert browser.page.title() != "taken"
    assert browser.complaints == []


def test_similar_questions_are_denied_together(
    browser: Browser, stage: Stage, tmp_path: Path
) -> None:
    from tests.e2e.test_approvals import Asked

    asked = []
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        asked.append(Asked(stage, tmp_path / name))
    wait_for(lambda: len(pending(stage)) == 3, 60, "not all were asked")
    browser.open("popup.html")
    browser.page.get_by_label("Answer all 3 of this kind together").check()
    browser.wait("[data-ready]")
    browser.page.get_by_role("button", name="Deny all 3").click()
    for one in asked:
        one.join(120)
        assert one.error is not None
    assert pending(stage) == []


def test_the_swarm_shows_300_agents_and_moves_with_the_keys(browser: Browser) -> None:
    browser.open("index.html#home")
    script = """async () => {
      const { swarm } = await import("/js/swarm.js");
      const chosen = [];
      const cells = swarm((id) => chosen.push(id));
      document.getElementById("main").replaceChildren(cells.grid, cells.legend);
      const agents = Array.from({ length: 300 }, (_, n) => (
        { id: `a${n}`, name: `${n}.pdf`, state: "waiting" }));
      cells.update(agents);
      await new Promise(requestAnimationFrame);
      cells.update(agents.map((agent, n) => ({ ...agent, state: n % 2 ? "done" : "failed" })));
      await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
      const first = cells.grid.querySelector("button");
      first.focus();
      first.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
      document.activeElement.click();
      const buttons = [...cells.grid.querySelectorAll("button")];
      const canvas = cells.grid.querySelector("canvas");
      // The opaque points of a cell: its shape, whatever its colour.
      const shapeOf = (button) => {
        const scale = canvas.width / cells.grid.clientWidth;
        const box = [button.offsetLeft, button.offsetTop, button.offsetWidth, button.offsetWidth];
        const pixels = canvas.getContext("2d").getImageData(...box.map((n) => n * scale)).data;
        return [...pixels].map((n, i) => (i % 4 === 3 && n > 127 ? 1 : 0)).join("");
      };
      const inked = (text) => (text.match(/1/g) ?? []).length;
      const at = (n) => shapeOf(buttons[n]);
      const found = { count: buttons.length, chosen, label: document.activeElement.ariaLabel,
        same: at(1) === at(3) && at(0) === at(2), different: at(0) !== at(1),
        inked: inked(at(0)) > 20 && inked(at(299)) > 20 };
      cells.stop();
      return found;
    }"""
    found = browser.page.evaluate(script)
    assert found == {
        "count": 300, "chosen": ["a1"], "label": "1.pdf: done", "same": True, "different": True,
        "inked": True,
    }  # fmt: skip


@pytest.fixture
def panel() -> Iterator[Panel]:
    if not shutil.which("dbus-daemon"):
        pytest.skip("D-Bus is not installed")
    chosen = Panel()
    yield chosen
    chosen.close()


def test_the_tray_icon_asks_acts_and_tells(panel: Panel, stage: Stage, tmp_path: Path) -> None:
    env = {"DBUS_SESSION_BUS_ADDRESS": panel.address}
    tray = interface(stage, "tray", env=env)
    try:
        item = panel.items.get(timeout=120)

        def says(status: str, words: str) -> Any:
            shown = panel.properties(item)
            return shown if (shown["Status"], words in shown["Title"]) == (status, True) else None

        shown = wait_for(lambda: says("Active", "idle"), 60, "the icon is not idle")
        assert {width for width, _, _ in shown["IconPixmap"]} >= {16, 22, 48, 64}
        assert all(len(data) == 4 * w * h for w, h, data in shown["IconPixmap"])

        asked, question = ask(stage, tmp_path / "tray & <b>")
        shown = wait_for(lambda: says("NeedsAttention", "1 waiting"), 60, "it does not ask")
        assert "Approvals (1)" in panel.menu(item)
        notice = panel.notices.get(timeout=60)
        assert notice["title"] == "Approval needed"
        panel.press(notice, "Deny")
        asked.join(120)
        assert asked.error is not None
        answered = stage.client.get(f"/v1/approvals/{question['id']}")
        assert answered["verdict"]["via"] == "notification"
        wait_for(lambda: says("Active", "idle"), 60, "the icon still asks")

        panel.click(item, "1 hour")
        wait_for(lambda: says("Active", "paused until"), 60, "it is not paused")
        assert stage.client.get("/v1/overview")["paused_until"]
        panel.click(item, "End the pause")
        wait_for(lambda: says("Active", "idle"), 60, "the pause does not end")

        stage.kill()
        wait_for(lambda: says("NeedsAttention", "does not answer"), 60, "nothing is said")
        stage.start()
        wait_for(lambda: says("Active", "idle"), 60, "it does not come back")
        panel.click(item, "Quit")
        assert tray.wait(60) == 0
    finally:
        tray.kill()
        tray.wait()


@pytest.fixture
def screen() -> Iterator[dict[str, str]]:
    if not SCREEN:
        pytest.skip("there is no virtual screen")
    read, write = os.pipe()
    xvfb = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"],
        pass_fds=(write,), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as ready:
        display = {"DISPLAY": f":{ready.readline().strip()}"}
    manager = subprocess.Popen(["openbox"], env={**os.environ, **display})
    yield display
    for process in (manager, xvfb):
        process.kill()
        process.wait()


def xdo(screen: dict[str, str], *arguments: str) -> str:
    """What xdotool says; empty if it finds nothing."""
    done = subprocess.run(
        ["xdotool", *arguments], env={**os.environ, **screen}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.stdout.strip()


def visible(screen: dict[str, str]) -> list[str]:
    """Every window that is on the screen, menus included."""
    return xdo(screen, "search", "--onlyvisible", "--name", ".*").splitlines()


def test_the_real_window_approves_and_denies(
    screen: dict[str, str], stage: Stage, tmp_path: Path
) -> None:
    notes = tmp_path / "shown.jsonl"
    env = {**screen, "HIVEKEEP_UI_SHOWN": str(notes), "QT_QPA_PLATFORM": "xcb"}
    asked, item = ask(stage, tmp_path / "window yes")
    window = interface(stage, "open", "--page", "popup", env=env)
    try:
        shown = wait_for(lambda: notes.exists() and notes.read_text(), 180, "nothing is shown")
        assert json.loads(shown.splitlines()[0])["id"] == item["id"]
        found = wait_for(
            lambda: xdo(screen, "search", "--onlyvisible", "--name", "Hivekeep"), 60, "no window"
        )
        xdo(screen, "windowfocus", "--sync", found.splitlines()[0])

        def press(key: str) -> bool:
            xdo(screen, "key", "--clearmodifiers", key)
            return pending(stage) == []

        wait_for(lambda: press("alt+a"), 60, "the key does not approve")
        asked.join(60)
        assert asked.result["folder"] == str(tmp_path / "window yes")
        assert stage.client.get(f"/v1/approvals/{item['id']}")["verdict"]["via"] == "popup"

        # The same process shows the next question; a second start only hands over the wish.
        refused, second = ask(stage, tmp_path / "window no")
        again = interface(stage, "open", "--page", "popup", env=env)
        assert again.wait(120) == 0
        wait_for(lambda: second["id"] in notes.read_text(), 120, "the second is not shown")
        wait_for(lambda: press("alt+d"), 60, "the key does not deny")
        refused.join(60)
        assert refused.error is not None
    finally:
        window.kill()
        window.wait()


def test_the_icon_is_in_a_real_tray_and_its_menu_acts(
    screen: dict[str, str], stage: Stage, tmp_path: Path
) -> None:
    system = Path("/usr/lib/python3/dist-packages/gi")
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "gi").symlink_to(system)
    probe = "import gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gtk"
    session = Panel(names=())
    env = {
        **screen, "PYTHONPATH": str(packages), "DBUS_SESSION_BUS_ADDRESS": session.address,
        "NO_AT_BRIDGE": "1",
    }  # fmt: skip
    whole = {**os.environ, **env}
    tried = subprocess.run([sys.executable, "-c", probe], env=whole, check=False)
    if tried.returncode or not shutil.which("trayer"):
        pytest.skip("trayer or GTK for this Python is not installed")
    host = subprocess.Popen(
        ["trayer", "--edge", "top", "--align", "right", "--widthtype", "request", "--height", "32",
         "--SetDockType", "true", "--expand", "true"],
        env=whole,
    )  # fmt: skip
    tray = None
    try:
        wait_for(lambda: xdo(screen, "search", "--class", "trayer"), 60, "there is no tray")
        tray = interface(stage, "tray", env=env)
        icon = wait_for(
            lambda: xdo(screen, "search", "--onlyvisible", "--name", "hivekeep"), 120, "no icon"
        )
        windows = len(visible(screen))

        def opened() -> bool:
            xdo(screen, "mousemove", "--window", icon.splitlines()[-1], "8", "8", "click", "3")
            return len(visible(screen)) > windows

        wait_for(opened, 60, "the menu does not open")
        # The menu's last line is Quit; going up from nothing leads to the last.
        xdo(screen, "key", "Up")
        xdo(screen, "key", "Return")
        assert tray.wait(60) == 0
    finally:
        for process in (tray, host):
            if process is not None:
                process.kill()
                process.wait()
        session.close()
