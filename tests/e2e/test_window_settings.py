"""The settings page: what is chosen there is kept, and a recipe that cannot be used is said so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stage import Stage, started, wait_for
from tests.e2e.test_desktop import Browser
from tests.e2e.window import USUAL, require_accessible

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
BROKEN = "name: broken\ntitle: Broken\nfields: 3\n"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("settings")
    # No document may be processed here: what matters is what is started, and that nothing is.
    policy = {"runs": {"max_documents": 0}}
    chosen = {**USUAL, "recipe": "broken"}
    with started(folder, policy=policy, interface=chosen, recipes={"broken": BROKEN}) as running:
        yield running


def kept(stage: Stage) -> dict[str, object]:
    settings: dict[str, object] = json.loads((stage.profile.root / "ui.json").read_text())
    return settings


def test_a_recipe_that_cannot_be_used_is_not_replaced_unseen(
    browser: Browser, stage: Stage, tmp_path: Path
) -> None:
    browser.complaints.clear()
    page = browser.page
    note = tmp_path / "note.txt"
    note.write_text("Invoice A-1")
    browser.open("index.html#home")
    recipe = page.get_by_label("Recipe", exact=True)
    recipe.get_by_text("broken: cannot be used").wait_for(state="attached")
    page.locator("input[type=file]").set_input_files(note)
    page.get_by_text("Choose a recipe first. Nothing was started.").first.wait_for()
    assert recipe.evaluate("element => element === document.activeElement")
    assert stage.client.get("/v1/runs")["runs"] == []
    require_accessible(browser, "home without a recipe")
    assert browser.complaints == []


def test_what_is_chosen_is_kept(browser: Browser, stage: Stage, tmp_path: Path) -> None:
    browser.complaints.clear()
    page = browser.page
    browser.open("index.html#settings")
    page.get_by_label("Recipe for files without another").select_option("receipts")
    wait_for(lambda: kept(stage)["recipe"] == "receipts", 60, "the recipe is not kept")
    folder = page.get_by_label("Drop folder")
    folder.fill(str(tmp_path / "Drop"))
    folder.blur()
    wait_for(lambda: kept(stage)["drop_folder"] == str(tmp_path / "Drop"), 60, "nor the folder")
    require_accessible(browser, "settings")
    browser.open("index.html#home")
    assert page.get_by_label("Recipe", exact=True).input_value() == "receipts"
    assert browser.complaints == []
