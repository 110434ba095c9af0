"""``hivekeep audit`` as a user meets it, on a running daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stage import Stage

from hivekeep_verify.cli import main

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    chosen = Stage(tmp_path_factory.mktemp("audit"))
    chosen.profile.create()
    reader = chosen.cli("audit", "keys", "new-reader", str(chosen.profile.root / "admin.pem"))
    share = chosen.profile.root / "share"
    share.mkdir()
    rules = {"audit": {"recipients": [reader["public"]], "witnesses": [f"file://{share}"]}}
    chosen.profile.policy.write_text(json.dumps(rules))
    chosen.start()
    denied = share.parent / "denied"
    denied.mkdir()
    chosen.cli("watch", "add", str(denied), "no-such-recipe", status=None)
    yield chosen
    chosen.close()


def test_records_are_shown_searched_and_exported(stage: Stage, tmp_path: Path) -> None:
    shown = stage.cli("audit", "show")
    assert shown[0]["action"] == "daemon.start"
    found = stage.cli("audit", "search", "action=daemon.start")
    assert [item["sequence"] for item in found] == [shown[0]["sequence"]]
    assert stage.cli("audit", "search", "colour=red", status=2)["error"]["next"]
    file = tmp_path / "log.csv"
    assert stage.cli("audit", "export", "--format", "csv", "-o", str(file), status=4)["error"]
    done = stage.cli("audit", "export", "--format", "csv", "-o", str(file), "--yes")
    assert done["lines"] == len(file.read_text().splitlines()) > 1
    exports = stage.cli("audit", "search", "action=audit.export")
    assert [item["outcome"] for item in exports] == ["denied", "allowed"]


def test_a_record_is_proven_and_the_log_verified_with_public_keys(
    stage: Stage, tmp_path: Path
) -> None:
    key = stage.cli("audit", "keys", "show")["first"]
    file = tmp_path / "proof.json"
    assert stage.command("audit", "prove", "1", "-o", str(file)).returncode == 0
    assert main(["proof", str(file), "--key", key]) == 0
    assert stage.cli("audit", "verify")["problems"] == []
    anchored = stage.cli("audit", "anchor")
    assert anchored["witnesses"][0]["current"] is True
    (kept,) = (stage.profile.root / "share").iterdir()
    assert anchored["checkpoint"] in kept.read_text()
    folder = str(stage.profile.audit)
    assert main(["log", folder, "--key", key, "--witness", str(kept)]) == 0


def test_the_administrator_reads_a_copy_with_the_private_key(stage: Stage) -> None:
    shown = stage.cli(
        "audit", "show", "--folder", str(stage.profile.audit),
        "--private-key", str(stage.profile.root / "admin.pem"),
    )  # fmt: skip
    assert shown[0]["action"] == "daemon.start"


def test_keys_are_rotated_and_old_content_is_kept_as_policy_says(stage: Stage) -> None:
    before = stage.cli("audit", "keys", "show")
    stage.cli("audit", "keys", "rotate", "--owner")
    after = stage.cli("audit", "keys", "show")
    assert after["epoch"] == before["epoch"] + 1
    assert (after["first"], after["readers"]) == (before["first"], before["readers"])
    assert len(after["readers"]) == 2
    assert stage.cli("audit", "keys", "shred", "--days", "1", "--yes") == {"segments": []}
    assert stage.cli("audit", "verify")["ok"]
    status = stage.cli("daemon", "status")
    assert status["audit"]["state"] == "ok"
