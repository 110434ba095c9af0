"""The pages in a real browser with a real daemon: access, accessibility, hostile names, keys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.desktop import interface
from tests.e2e.stage import Stage, started, wait_for
from tests.e2e.test_approvals import ask, pending

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    policy = {"approvals": {"required_from": "low"}}
    settings = {"popup": False, "language": "en"}
    with started(tmp_path_factory.mktemp("desktop"), policy=policy, interface=settings) as chosen:
        yield chosen


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
