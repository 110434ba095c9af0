"""The window's pages in Chromium, on a daemon of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.e2e.desktop import interface
from tests.e2e.stage import Stage
from tests.e2e.test_desktop import Browser

CHROMIUM = shutil.which("chromium")
USUAL = {"language": "en", "welcomed": True}
"""Settings of somebody who has seen the first steps."""


@contextmanager
def window(stage: Stage) -> Iterator[Browser]:
    """A browser on the pages; skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    process = interface(stage, "serve")
    assert process.stdout is not None
    served = process.stdout.readline().strip()
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = chromium.new_context(locale="en-GB", reduced_motion="reduce").new_page()
            page.goto(served)
            yield Browser(page, served.split("/?")[0])
            chromium.close()
    finally:
        process.kill()
        process.wait()


def require_accessible(browser: Browser, place: str) -> None:
    """What is on the screen has no violation that axe knows, in both themes, and fits 360 px."""
    from axe_playwright_python.sync_playwright import Axe

    page = browser.page
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 360)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 800})
        found: list[Any] = Axe().run(page).response["violations"]
        told = [(v["id"], [node["target"] for node in v["nodes"]]) for v in found]
        assert not told, (place, scheme, width, told)
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, (place, width)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size({"width": 1280, "height": 800})
