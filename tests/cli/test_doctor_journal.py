"""``hivekeep doctor`` on a damaged journal, as its owner meets it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stage import Stage, passphrase_fd, started
from tests.swarm.scripted import request

from hivekeep.journal import Journal, NewEvent, encode, journal_key
from hivekeep.secrets import KeyStore, Passphrase, open_key_store
from hivekeep.swarm.events import Kind

pytestmark = pytest.mark.e2e


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with started(tmp_path) as chosen:
        yield chosen


def keys(stage: Stage) -> KeyStore:
    return open_key_store(
        stage.profile.root,
        profile_id=stage.profile.id,
        passphrase=Passphrase(passphrase_fd()),
        backend="file",
    )


def doctor(stage: Stage, *arguments: str) -> dict[str, dict[str, Any]]:
    found = stage.cli("doctor", *arguments, status=None, unlock=True)
    if isinstance(found, dict):
        return found
    return {finding["subject"]: finding for finding in found}


def test_a_damaged_journal_is_named_repaired_and_used_again(stage: Stage, tmp_path: Path) -> None:
    assert doctor(stage)["journal"]["state"] == "ok"
    assert doctor(stage, "--repair")["error"]["code"] == "daemon"
    stage.stop()
    path = stage.profile.journal
    key = journal_key(keys(stage), path)
    with Journal(path, key=key, clock=time.time) as journal:
        created = {"request": encode(request(tmp_path, ["a.txt"]))}
        for run in ("first", "second"):
            journal.append_now([NewEvent(run, Kind.RUN_CREATED, created)])
        journal.append_now([NewEvent("first", Kind.RUN_STARTED, {})])
        journal.append_now([NewEvent("second", Kind.RUN_FINISHED, {"deliverables": []})])
        fill = {"key": "x", "kind": "read", "result": {"text": "y" * 3000}, "seconds": 1.0}
        for _ in range(30):
            journal.append_now([NewEvent("first", Kind.STEP_DONE, fill)])
    damaged = bytearray(path.read_bytes())
    # A page in the file's second half holds only what was written last.
    place = len(damaged) * 3 // 4 // 4096 * 4096 + 99
    damaged[place] ^= 1
    path.write_bytes(damaged)

    found = doctor(stage, "--repair")
    assert "were saved" in found["repair"]["text"]
    assert "first" in found["repair"]["next_step"]
    assert "second" not in found["repair"]["next_step"]
    (kept,) = stage.profile.root.glob("journal.db.damaged-*")
    assert kept.read_bytes() == bytes(damaged)
    stage.start()
    states = {run["id"]: run for run in stage.client.get("/v1/runs")["runs"]}
    assert states["second"]["state"] == "finished"
    # The run that lost a step waits for its owner instead of going on by itself.
    assert states["first"]["state"] == "failed"
    assert "runs resume first" in states["first"]["error"]["next"]
    assert stage.client.post("/v1/journal/check") == {"problems": []}
    actions = [record["action"] for record in stage.client.get("/v1/audit")["records"]]
    assert "journal.repair" in actions


def test_the_daemon_refuses_a_damaged_journal_and_says_what_to_do(stage: Stage) -> None:
    stage.stop()
    damaged = bytearray(stage.profile.journal.read_bytes())
    damaged[0:4096] = bytes(4096)
    stage.profile.journal.write_bytes(damaged)
    with pytest.raises(AssertionError, match="doctor --repair"):
        stage.start()
    assert doctor(stage, "--repair")["repair"]["state"] == "ok"
    stage.start()
    assert stage.client.post("/v1/journal/check") == {"problems": []}
