"""What happens to the log under a running daemon: followed live, on a full disk, begun anew."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stage import PASSPHRASE, Stage, wait_for

from hivekeep.audit.files import segment_path
from hivekeep.domain.errors import HivekeepError
from hivekeep.secrets.passphrase import CREDENTIAL

pytestmark = pytest.mark.e2e


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    chosen = Stage(tmp_path)
    chosen.profile.create()
    yield chosen
    chosen.close()


def test_tail_prints_each_new_record_and_ends_with_the_interrupt(stage: Stage) -> None:
    stage.start()
    command = [
        sys.executable, "-m", "hivekeep.cli.main", "--profile", str(stage.profile.root),
        "audit", "tail", "--limit", "1", "--json",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=stage._environment()
    )
    got: list[dict[str, Any]] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            got.append(json.loads(line))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        wait_for(lambda: got, 60, "tail prints nothing")
        for days in ("4000", "5000"):
            stage.cli("audit", "keys", "shred", "--days", days, "--yes")
        wait_for(lambda: len(got) >= 3, 60, "tail does not follow")
    finally:
        process.send_signal(2)
        process.wait(timeout=30)
        reader.join()
    assert process.stderr is not None
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.stdout is not None
    process.stdout.close()
    assert "Traceback" not in said
    followed = [item for item in got if item["action"] == "audit.shred"]
    assert [item["detail"]["days"] for item in followed] == [4000, 5000]
    numbers = [item["sequence"] for item in got]
    assert numbers == sorted(set(numbers))


def test_a_changed_log_is_begun_anew_and_the_old_one_kept(stage: Stage) -> None:
    stage.start()
    assert stage.command("audit", "anchor", "--begin-anew", "--yes").returncode != 0
    assert stage.cli("audit", "verify")["ok"]
    stage.stop()
    path = segment_path(stage.profile.audit, 1)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with suppress(AssertionError):
        stage.start()
    assert "changed from outside" in stage.log()
    assert "--begin-anew" in stage.log()
    assert "Traceback" not in stage.log()
    stage.close()
    with pytest.MonkeyPatch.context() as patch:
        (stage.profile.root.parent / CREDENTIAL).write_text(PASSPHRASE)
        patch.setenv("CREDENTIALS_DIRECTORY", str(stage.profile.root.parent))
        aside = Path(stage.cli("audit", "anchor", "--begin-anew", "--yes")["set_aside"])
    assert segment_path(aside, 1).read_bytes() == bytes(raw)
    stage.start()
    report = stage.cli("audit", "verify")
    assert (report["ok"], report["problems"]) == (True, [])
    shown = stage.cli("audit", "show")
    assert shown[0]["action"] == "daemon.start"
    first = json.loads(stage.command("audit", "prove", "0").stdout)
    assert json.loads(b64decode(first["content"]))["continues"]["set_aside"] == aside.name


@pytest.fixture
def small_log(stage: Stage) -> Iterator[Path]:
    """The log's folder on a disk of its own of 2 MB."""
    place = stage.profile.audit
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount")
    yield place
    stage.close()
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def findings(stage: Stage) -> dict[str, dict[str, str]]:
    return {item["subject"]: item for item in stage.cli("doctor", status=None)}


def act_until_refused(stage: Stage) -> None:
    """Use up the room that the segment has ahead; until then every action is recorded."""
    while True:
        before = stage.client.get("/v1/status")["audit"]["records"]
        stage.client.post("/v1/audit/shred", {"days": 5_000})
        assert stage.client.get("/v1/status")["audit"]["records"] > before


def test_nothing_is_done_while_the_log_has_no_room(stage: Stage, small_log: Path) -> None:
    stage.start()
    assert findings(stage)["audit log"]["state"] == "ok"
    watched = stage.profile.root.parent / "watched"
    watched.mkdir()
    filler = small_log / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    with pytest.raises(HivekeepError, match="cannot be written") as refused:
        act_until_refused(stage)
    assert "No space left" in refused.value.why
    state = stage.cli("daemon", "status")["audit"]
    assert (state["state"], "No space left" in state["why"]) == ("blocked", True)
    # An action of another kind is refused, too, and leaves nothing behind.
    assert stage.cli("watch", "add", str(watched), "invoices", status=None)["error"]
    assert stage.cli("watch", "list") == []
    assert "Nothing is done" in stage.command("daemon", "status").stdout
    seen = findings(stage)["audit log"]
    assert (seen["state"], "No space left" in seen["text"]) == ("problem", True)
    checked = stage.cli("audit", "verify")
    assert checked["ok"]
    assert any("accepts no records" in remark for remark in checked["remarks"])
    filler.unlink()
    stage.cli("watch", "add", str(watched), "invoices")
    assert stage.cli("daemon", "status")["audit"]["state"] == "ok"
    assert findings(stage)["audit log"]["state"] == "ok"
    checked = stage.cli("audit", "verify")
    assert (checked["ok"], checked["remarks"]) == (True, [])
    stage.stop()
    # Read-only at the start: the daemon says so instead of running without a log.
    subprocess.run(["mount", "-o", "remount,ro", str(small_log)], check=True)
    with suppress(AssertionError):
        stage.start()
    assert "Read-only file system" in stage.log()
    assert "Traceback" not in stage.log()
    assert findings(stage)["audit log"]["state"] == "problem"
    stage.close()
    subprocess.run(["mount", "-o", "remount,rw", str(small_log)], check=True)
    stage.start()
    assert stage.cli("audit", "verify")["ok"]
