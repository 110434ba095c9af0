"""A real daemon asks, a person answers by command line or API, and the audit log tells both."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stage import Stage, started, wait_for

from hivekeep.cli.client import DaemonClient, ReportedError
from hivekeep.domain.errors import HivekeepError

pytestmark = pytest.mark.e2e


class Asked(threading.Thread):
    """Something that the daemon does only after a person has answered."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        super().__init__(daemon=True)
        self.result: dict[str, Any] = {}
        self.error: HivekeepError | None = None
        self._client, self._folder = DaemonClient(stage.profile), folder
        self.start()

    def run(self) -> None:
        """Watch a folder."""
        body = {"folder": str(self._folder), "recipe": "invoices"}
        try:
            self.result = self._client.post("/v1/watches", body)
        except HivekeepError as error:  # also the connection that a kill breaks
            self.error = error


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    policy = {"approvals": {"required_from": "low"}}
    with started(tmp_path_factory.mktemp("approvals"), policy=policy) as chosen:
        yield chosen


def pending(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.client.get("/v1/approvals")["approvals"]
    return found


def ask(stage: Stage, folder: Path) -> tuple[Asked, dict[str, Any]]:
    folder.mkdir()
    asked = Asked(stage, folder)
    (item,) = wait_for(lambda: pending(stage), 60, "nothing was asked")
    return asked, item


def test_a_yes_by_command_line_lets_exactly_this_happen(stage: Stage, tmp_path: Path) -> None:
    asked, item = ask(stage, tmp_path / "yes")
    assert item["proposal"]["action"]["path"] == str(tmp_path / "yes")
    assert item["digest"] in item["text"]
    assert stage.cli("approvals", "list")[0]["id"] == item["id"]
    assert "Watch the folder" in stage.command("approvals", "show", item["id"]).stderr
    assert not asked.result
    (done,) = stage.cli("approvals", "approve", item["id"], "--yes", "--note", "seen")
    assert done == {"id": item["id"], "ok": True, "error": None}
    asked.join(60)
    assert asked.result["folder"] == str(tmp_path / "yes")
    records = stage.cli("audit", "show", "--limit", "50")
    question = next(r for r in records if r["action"] == "approval.request")
    answer = next(r for r in records if r["action"] == "approval.answer")
    assert question["approval"] == answer["approval"] == item["text"]
    assert (answer["detail"]["answer"], answer["detail"]["via"]) == ("once", "cli")
    assert answer["outcome"] == "approved"
    assert stage.cli("audit", "verify")["ok"]


def test_a_no_prevents_it_and_says_so(stage: Stage, tmp_path: Path) -> None:
    asked, item = ask(stage, tmp_path / "no")
    stage.cli("approvals", "deny", item["id"])
    asked.join(60)
    assert asked.error is not None
    assert asked.error.exit_status == 4
    assert "no" in asked.error.what
    listed = stage.cli("approvals", "list", "--all")
    assert {one["state"] for one in listed} == {"approved", "denied"}


def test_another_hash_or_a_second_answer_is_refused(stage: Stage, tmp_path: Path) -> None:
    asked, item = ask(stage, tmp_path / "other")
    path = f"/v1/approvals/{item['id']}/answer"
    for digest in ("0" * 64, item["digest"]):
        body = {"answer": "always" if digest == item["digest"] else "once", "digest": digest}
        with pytest.raises(ReportedError) as refused:
            stage.client.post(path, body)
        assert refused.value.as_dict()["code"] == "approval"
    assert pending(stage)
    stage.client.post(path, {"answer": "deny", "digest": item["digest"]})
    with pytest.raises(ReportedError):
        stage.client.post(path, {"answer": "once", "digest": item["digest"]})
    asked.join(60)
    assert stage.cli("approvals", "show", "zzz", status=3)["error"]["code"] == "not_found"


def test_a_killed_daemon_still_asks_after_its_restart(stage: Stage, tmp_path: Path) -> None:
    _, item = ask(stage, tmp_path / "killed")
    stage.kill()
    stage.start()
    (again,) = pending(stage)
    assert (again["id"], again["digest"]) == (item["id"], item["digest"])
    overview = stage.client.get("/v1/overview")
    assert (overview["state"], overview["approvals"]) == ("waiting", 1)
    stage.cli("approvals", "deny", again["id"])
    assert stage.client.get("/v1/overview")["state"] == "idle"


def test_a_pause_is_kept_over_a_restart(stage: Stage) -> None:
    put = stage.client._call
    until = put("PUT", "/v1/pause", json={"seconds": 3600})["paused_until"]
    stage.kill()
    stage.start()
    assert stage.client.get("/v1/overview")["paused_until"] == pytest.approx(until)
    put("PUT", "/v1/pause", json={"seconds": 0})
    assert stage.client.get("/v1/overview")["state"] == "idle"
