"""A free request in the window: asked, planned by a real model, changed, and carried out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.stage import Stage, started
from tests.e2e.test_desktop import Browser
from tests.e2e.window import USUAL, require_accessible

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(900)]
SMALL = "smollm2-135m-instruct-q4_1"
REQUEST = "Which number has the invoice?"
TABLE = """tasks:
- id: read
  goal: Read the total.
  each_document: true
  outputs:
  - {name: total, type: amount, description: the total}
- id: largest
  goal: Put the largest first.
  work: table
  after: [read]
  where:
  - {field: total, is: at_least, value: '10'}
  figures:
  - {take: sum, field: total}
  sort: -total
  most: 3
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Iterator[Stage]:
    with started(tmp_path_factory.mktemp("asking"), interface=USUAL) as chosen:
        yield chosen


def with_small_model(route: Any) -> None:
    """The window asks the usual model; machinery needs only the smallest."""
    body = {**json.loads(route.request.post_data), "model": SMALL}
    route.continue_(post_data=json.dumps(body))


def ask(browser: Browser, *paths: str) -> None:
    """Type a request and files into the page and have a plan made."""
    page = browser.page
    browser.open("index.html#ask")
    page.get_by_label("Your request").fill(REQUEST)
    for path in paths:
        page.get_by_label("Or the path of a file or folder").fill(path)
        page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Make a plan").click()


def run_of(browser: Browser) -> str:
    return str(browser.page.url).split("#")[1].split("/")[1]


def test_a_request_is_planned_changed_and_carried_out(
    browser: Browser, stage: Stage, samples: Path
) -> None:
    browser.complaints.clear()
    page = browser.page
    page.route("**/v1/ask", with_small_model)
    browser.open("index.html#ask")
    require_accessible(browser, "ask")
    ask(browser, str(samples / "invoices" / "rechnung-2026-0417.pdf"))
    page.get_by_role("heading", name="Making a plan").wait_for()
    page.get_by_role("heading", name="Is this what you want?").wait_for()
    run = run_of(browser)
    browser.wait(".note.good", "can be carried out")
    require_accessible(browser, "plan")
    detail = stage.client.get(f"/v1/runs/{run}")
    assert (detail["paused_for"], detail["plan"]["accepted"]) == ("plan", False)
    assert page.get_by_label("What is to be done").count() == len(detail["plan"]["tasks"])

    carry = page.get_by_role("button", name="Carry it out")
    goal = page.get_by_label("What is to be done").first
    goal.fill("")
    browser.wait(".note.bad", "has no goal")
    assert carry.is_disabled()
    goal.fill("Read the number of the invoice.")
    first = page.locator("fieldset.task").first
    first.get_by_role("button", name="Add a value").click()
    browser.wait(".note.bad", "has no name")
    name = first.get_by_label("Name", exact=True).last
    name.fill(first.get_by_label("Name", exact=True).first.input_value())
    browser.wait(".note.bad", "twice")
    name.fill("year")
    browser.wait(".note.good", "can be carried out")

    page.get_by_role("button", name="As text").click()
    text = page.get_by_label("The plan (YAML)")
    assert "Read the number of the invoice." in text.input_value()
    assert "name: year" in text.input_value()
    proposed = text.input_value()
    text.fill(f"{proposed}surprise: 1\n")
    browser.wait(".note.bad", "there is no key surprise")
    text.fill(f"{proposed}- [")
    browser.wait(".note.bad", "cannot be understood")
    page.get_by_role("button", name="As a form").click()
    assert text.is_visible()  # what is wrong is not thrown away

    # What the form does not change of a table goes through it unharmed.
    text.fill(TABLE)
    browser.wait(".note.good", "can be carried out")
    page.get_by_role("button", name="As a form").click()
    table = page.locator("fieldset.task").nth(1)
    table.get_by_text("total at least 10").wait_for()
    assert "sum total" in table.inner_text()
    assert table.get_by_text("Tools", exact=True).count() == 0
    require_accessible(browser, "table")
    table.get_by_label("What is to be done").fill("The largest ones.")
    first.get_by_label("Short name").fill("totals")
    page.get_by_role("button", name="As text").click()
    text.wait_for()
    changed = yaml.safe_load(text.input_value())["tasks"]
    as_written = yaml.safe_load(TABLE)["tasks"]
    as_written[0]["id"] = "totals"
    as_written[1] |= {"goal": "The largest ones.", "after": ["totals"]}
    assert changed == as_written

    browser.wait(".note.good", "can be carried out")
    carry.click()
    browser.wait("h2", "Answer")
    answer = page.locator("section", has=page.get_by_role("heading", name="Answer", exact=True))
    assert "8075.10" in answer.locator("dl").inner_text()
    assert "rechnung-2026-0417.pdf" in answer.get_by_role("table").inner_text()
    assert answer.get_by_role("link", name="How it was found").is_visible()
    require_accessible(browser, "answer")
    detail = stage.client.get(f"/v1/runs/{run}")
    assert detail["state"] == "finished"
    assert [task["goal"] for task in detail["plan"]["tasks"]] == [
        "Read the total.", "The largest ones."
    ]  # fmt: skip
    # A plan that cannot be understood was sent on purpose; nothing else is complained about.
    assert [text for text in browser.complaints if "422" not in text] == []


def test_a_plan_waits_is_found_again_and_can_be_dropped(
    browser: Browser, stage: Stage, samples: Path
) -> None:
    page = browser.page
    page.route("**/v1/ask", with_small_model)
    ask(browser, str(samples / "invoices" / "rechnung-2026-0417.pdf"))
    # The same was asked before: the plan may be there at once.
    page.wait_for_url("**#ask/*")
    run = run_of(browser)
    browser.open(f"index.html#ask/{run}")
    page.get_by_role("heading", name="Is this what you want?").wait_for()
    browser.open("index.html#home")
    page.locator(f".run-link[href='#ask/{run}']", has_text="plan waits").click()
    page.get_by_role("heading", name="Is this what you want?").wait_for()
    page.get_by_role("button", name="Drop it").click()
    page.get_by_label("Your request").wait_for()
    dropped = stage.client.get(f"/v1/runs/{run}")
    assert dropped["state"] == "cancelled"
    assert [agent["role"] for agent in dropped["agents"]] == ["planner"]


def test_what_cannot_be_asked_is_refused_in_plain_words(browser: Browser) -> None:
    ask(browser, "/no/such/folder")
    alert = browser.page.get_by_role("alert")
    alert.get_by_text("There is no file or folder '/no/such/folder'.").wait_for()
    assert "nothing was started" in alert.inner_text()
    # What was typed is still there.
    assert browser.page.get_by_label("Your request").input_value() == REQUEST


def test_a_chosen_file_is_handed_over(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "note <b>.txt"
    file.write_text("Invoice A-1")
    browser.open("index.html#ask")
    browser.page.locator("input[type=file]").set_input_files(str(file))
    browser.wait(".files code", "note <b>.txt")
    browser.page.get_by_role("button", name="Leave out").first.click()
    assert browser.page.locator(".files li").count() == 0
