"""Watched folders and models in the window: pause one folder, look ahead, measure a model."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stage import Stage, wait_for
from tests.e2e.test_desktop import HOSTILE, Browser
from tests.e2e.window import require_accessible

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
SMALL = "smollm2-135m-instruct-q4_1"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    chosen = Stage(tmp_path_factory.mktemp("folders"))
    # A model folder of its own: what else is installed or half here on this machine is no matter.
    models = tmp_path_factory.mktemp("models")
    for file in chosen.profile.models().glob(f"{SMALL}.gguf*"):
        shutil.copy2(file, models)
    chosen.profile.create()
    # No document may be processed here: what is watched is looked at, and its batches are held.
    policy = {"runs": {"max_documents": 0}}
    chosen.profile.policy.write_text(json.dumps(policy), encoding="utf-8")
    (chosen.profile.root / "ui.json").write_text(json.dumps({"language": "en", "welcomed": True}))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HIVEKEEP_MODELS_DIR", str(models))
        chosen.start()
        yield chosen
        chosen.close()


def state_of(stage: Stage, watch: str) -> str:
    listed = {one["id"]: one["state"] for one in stage.client.get("/v1/watches")["watches"]}
    return str(listed[watch])


def test_one_folder_is_paused_looked_at_and_goes_on(
    browser: Browser, stage: Stage, tmp_path: Path
) -> None:
    browser.complaints.clear()
    inbox, other = tmp_path / "Inbox", tmp_path / "Other"
    inbox.mkdir()
    other.mkdir()
    ids = [
        stage.client.post("/v1/watches", {"folder": str(folder), "recipe": "invoices"})["id"]
        for folder in (inbox, other)
    ]
    browser.open("index.html#folders")
    card = browser.page.locator(f"[data-watch={ids[0]}]")
    card.get_by_role("button", name="Pause").click()
    card.get_by_text("paused", exact=True).wait_for()
    assert (state_of(stage, ids[0]), state_of(stage, ids[1])) == ("paused", "watching")

    hostile = HOSTILE.replace("/", "∕") + ".txt"
    (inbox / hostile).write_text("Invoice A-1")
    (inbox / "notes.tmp").write_text("not this")
    card.get_by_role("button", name="What would be picked up now").click()
    dialog = browser.page.get_by_role("dialog")
    dialog.get_by_text("Would be processed now: 1").wait_for()
    assert "onerror" in dialog.locator("td").first.inner_text()
    assert dialog.locator("img, script").count() == 0
    require_accessible(browser, "outlook")
    dialog.get_by_role("button", name="Close").click()
    assert stage.client.get("/v1/runs")["runs"] == []

    stage.kill()
    stage.start()
    assert state_of(stage, ids[0]) == "paused"
    browser.open("index.html#folders")
    require_accessible(browser, "folders")
    card.get_by_role("button", name="Go on").click()
    wait_for(lambda: "held back" in state_of(stage, ids[0]), 60, "nothing was picked up")
    # The daemon was away for a moment, which the page may say.
    assert not [text for text in browser.complaints if "503" not in text]


def test_the_command_line_pauses_tests_and_resumes(stage: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "By command"
    folder.mkdir()
    stage.cli("watch", "add", str(folder), "invoices")
    paused = stage.cli("watch", "pause", str(folder))
    assert (paused["paused"], paused["state"]) == (True, "paused")
    again = stage.cli("watch", "pause", str(folder), status=2)
    assert "paused already" in again["error"]["what"]
    (folder / "a.txt").write_text("A")
    found = stage.cli("watch", "test", str(folder))
    assert [(Path(f["path"]).name, f["fate"]) for f in found["files"]] == [("a.txt", "new")]
    assert "processed" in stage.command("watch", "test", str(folder)).stdout
    assert stage.cli("watch", "resume", str(folder))["state"] == "watching"
    records = stage.cli("audit", "show", "--limit", "30")
    kept = [r["outcome"] for r in records if r["action"].startswith("watch.")]
    assert sorted(kept[:2]) == ["paused", "resumed"]
    assert stage.cli("watch", "resume", "nothing", status=3)["error"]["code"] == "not_found"


@pytest.mark.model
def test_a_model_is_measured_in_the_window(
    browser: Browser, stage: Stage, small_model: Path
) -> None:
    assert small_model.is_file()
    browser.open("index.html#models")
    card = browser.page.locator(f"[data-model='{SMALL}']")
    card.wait_for()
    assert "of memory" in browser.page.locator("main").inner_text()
    card.get_by_role("button", name=re.compile("Measure")).click()
    card.get_by_role("progressbar").wait_for()
    refused = stage.client._http.post(f"/v1/models/{SMALL}/bench")
    assert refused.status_code == 422
    card.get_by_text("Speed on this machine").wait_for()
    shown = card.inner_text()
    assert re.search(r"Reading\n[\d,]+ tokens/s \(the hardware allows about [\d,]+\)", shown)
    require_accessible(browser, "models")
    listed = {one["name"]: one for one in stage.client.get("/v1/models")["models"]}
    assert listed[SMALL]["bench"]["state"] == "done"
    assert listed[SMALL]["bench"]["limits"]["decode"] > 0


def test_a_download_that_cannot_be_made_says_why(browser: Browser, stage: Stage) -> None:
    listed = stage.client.get("/v1/models")["models"]
    absent = next(one for one in listed if one["state"] == "absent")
    policy = {"runs": {"max_documents": 0}, "network": {"model_downloads": "deny"}}
    stage.profile.policy.write_text(json.dumps(policy), encoding="utf-8")
    browser.open("index.html#models")
    card = browser.page.locator(f"[data-model='{absent['name']}']")
    card.get_by_role("button", name="Download").click()
    browser.page.get_by_role("dialog").get_by_role("button", name="Download").click()
    card.get_by_text("is not allowed").wait_for()
    # What never began is not called incomplete, and can be tried again.
    card.get_by_text("not here", exact=True).wait_for()
    assert card.get_by_role("button", name="Download").is_visible()
