"""What a person does with a finished run: look at the page, put a value right, edit a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stage import Stage, started, wait_for

from hivekeep.cli.client import ReportedError

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(600)]
SMALL = "smollm2-135m-instruct-q4_1"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Iterator[Stage]:
    with started(tmp_path_factory.mktemp("results")) as chosen:
        yield chosen


@pytest.fixture(scope="module")
def run(stage: Stage, samples: Path) -> str:
    body = {
        "recipe": "receipts", "model": SMALL,
        "paths": [str(samples / "invoices" / "rechnung-2026-0417.pdf")],
    }  # fmt: skip
    name: str = stage.client.post("/v1/runs", body)["id"]

    def ended() -> bool:
        return bool(stage.client.get(f"/v1/runs/{name}/progress")["state"] == "finished")

    wait_for(ended, 280, "the run does not end")
    return name


def agent(stage: Stage, run: str) -> dict[str, Any]:
    return stage.client.get(f"/v1/runs/{run}/agents/{run}.0001")


def test_an_agent_shows_its_steps_and_where_its_values_stand(stage: Stage, run: str) -> None:
    shown = agent(stage, run)
    assert (shown["pages"], shown["media_type"]) == (1, "application/pdf")
    assert {"read"} <= {step["key"] for step in shown["steps"] if step["done"]}
    places = [p for v in shown["values"] if "rows" not in v for p in v["evidence"]]
    assert all(0 <= p["box"]["x0"] <= p["box"]["x1"] <= 1 for p in places if p["box"])


def test_its_page_is_a_picture(stage: Stage, run: str) -> None:
    reply = stage.client._http.get(f"/v1/runs/{run}/agents/{run}.0001/pages/1")
    assert reply.headers["content-type"] == "image/png"
    assert reply.content.startswith(b"\x89PNG")
    with pytest.raises(ReportedError):
        stage.client.get(f"/v1/runs/{run}/agents/{run}.0001/pages/7")


def test_a_correction_is_kept_beside_what_was_found(stage: Stage, run: str) -> None:
    before = agent(stage, run)
    field = next(value for value in before["values"] if "rows" not in value)
    path = f"/v1/runs/{run}/agents/{run}.0001/corrections"
    made = stage.client.post(path, {"field": field["name"], "after": "What I see", "note": "p. 1"})
    assert (made["before"], made["after"]) == (field["value"], "What I see")
    with pytest.raises(ReportedError):
        stage.client.post(path, {"field": "no such field", "after": "x"})
    stage.kill()
    stage.start()
    after = agent(stage, run)
    assert after["values"] == before["values"]
    assert after["corrections"] == [made]
    record = stage.cli("audit", "show", "--limit", "30")
    (kept,) = [r for r in record if r["action"] == "value.correct"]
    assert (kept["actor"], kept["detail"]["after"]) == (made["author"], "What I see")


def test_a_recipe_is_validated_and_saved(stage: Stage) -> None:
    text = stage.client.get("/v1/recipes/new", name="leases", title="Leases")["text"]
    assert stage.client.post("/v1/recipes/validate", {"text": text})["ok"]
    wrong = stage.client.post(
        "/v1/recipes/validate", {"text": text.replace("type: date", "type: x")}
    )
    assert not wrong["ok"]
    assert "line" in wrong["problem"]
    with pytest.raises(ReportedError):
        stage.client._call("PUT", "/v1/recipes", json={"text": "name: ["})
    saved = stage.client._call("PUT", "/v1/recipes", json={"text": text})
    assert (saved["name"], saved["builtin"]) == ("leases", False)
    listed = {one["name"]: one for one in stage.client.get("/v1/recipes")["recipes"]}
    assert listed["leases"]["title"] == "Leases"
    assert stage.client.get("/v1/recipes/invoices")["builtin"]
    assert not list(stage.profile.recipes.glob(".draft*"))
