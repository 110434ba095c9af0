"""The command line as a user or a script meets it, without a model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tests.e2e.stage import Stage, started

from hivekeep.cli.live import remaining
from hivekeep.cli.output import safe

COMMANDS = [
    ["daemon"], ["run"], ["watch", "add"], ["watch", "list"], ["watch", "remove"],
    ["runs", "list"], ["runs", "show"], ["runs", "cancel"], ["runs", "resume"],
    ["runs", "pause"], ["runs", "retry"], ["runs", "rerun"], ["runs", "plan"], ["runs", "resolve"],
    ["runs", "replay"], ["runs", "export"], ["runs", "quarantine"], ["ask"],
    ["models", "list"], ["models", "pull"], ["models", "verify"], ["models", "remove"],
    ["models", "bench"],
    ["models", "remote", "add"], ["models", "remote", "list"], ["models", "remote", "remove"],
    ["models", "remote", "test"],
    ["audit", "show"], ["audit", "search"], ["audit", "tail"], ["audit", "export"],
    ["audit", "verify"], ["audit", "prove"], ["audit", "anchor"], ["audit", "keys", "show"],
    ["audit", "keys", "rotate"], ["audit", "keys", "new-reader"], ["audit", "keys", "shred"],
    ["policy", "show"], ["doctor"], ["demo"],
    ["schedule", "add"], ["schedule", "list"], ["schedule", "remove"],
    ["ui", "tray"], ["ui", "open"], ["ui", "popup"],
    ["approvals", "list"], ["approvals", "show"], ["approvals", "approve"], ["approvals", "deny"],
    ["approvals", "grants"], ["approvals", "revoke"],
    ["recipes", "new"], ["recipes", "validate"], ["recipes", "test"], ["recipes", "list"],
]  # fmt: skip


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with started(tmp_path_factory.mktemp("cli")) as chosen:
        yield chosen


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: list[str], tmp_path: Path) -> None:
    done = Stage(tmp_path).command(*command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout
    assert len(done.stdout.splitlines()) > 6


def test_exit_codes_are_documented(tmp_path: Path) -> None:
    done = Stage(tmp_path).command("--help")
    assert "Exit codes" in done.stdout


@pytest.mark.e2e
class TestWithDaemon:
    def test_errors_say_what_why_and_next_and_have_their_own_status(self, stage: Stage) -> None:
        missing = stage.cli("run", "invoices", "/no/such/file", status=3)["error"]
        assert missing["code"] == "not_found"
        assert missing["next"]
        assert stage.cli("run", "no-such-recipe", "/etc/hostname", status=None)["error"]["what"]
        assert stage.cli("runs", "show", "zzz", status=3)["error"]["code"] == "not_found"
        usage = stage.cli("watch", "add", status=2)["error"]
        assert usage["code"] == "usage"
        assert "--help" in usage["next"]
        for arguments in (["runs", "show", "zzz"], ["run", "invoices", "/no/such"]):
            assert "Traceback" not in stage.command(*arguments).stderr

    def test_a_folder_is_watched_once(self, stage: Stage, tmp_path: Path) -> None:
        folder = tmp_path / "in\nbox \U0001f41d"
        folder.mkdir()
        added = stage.cli("watch", "add", str(folder), "invoices", "--exclude", "*.tmp")
        assert added["exclude"] == ["*.tmp"]
        assert stage.cli("watch", "add", str(folder), "invoices", status=2)["error"]
        (listed,) = stage.cli("watch", "list")
        assert listed["id"] == added["id"]
        assert listed["state"] == "watching"
        assert stage.command("watch", "list").returncode == 0
        stage.cli("watch", "remove", str(folder))
        assert stage.cli("watch", "list") == []

    def test_a_schedule_is_added_listed_and_removed(self, stage: Stage, tmp_path: Path) -> None:
        added = stage.cli("schedule", "add", "0 3 * * mon", "invoices", str(tmp_path))
        (listed,) = stage.cli("schedule", "list")
        assert listed == added
        assert listed["next"] > 0
        assert stage.cli("schedule", "add", "soon", "invoices", "/x", status=2)["error"]
        assert stage.cli("schedule", "remove", added["id"])["id"] == added["id"]
        assert stage.cli("schedule", "list") == []
        assert stage.cli("schedule", "remove", added["id"], status=3)["error"]["next"]

    def test_only_the_owner_can_reach_the_api(self, stage: Stage) -> None:
        assert stage.profile.socket.stat().st_mode & 0o777 == 0o600
        assert stage.profile.root.stat().st_mode & 0o777 == 0o700
        if os.getuid() == 0:
            script = (
                "import os, socket, sys\n"
                "other = socket.socket(socket.AF_UNIX)\n"
                "other.connect(sys.argv[1])\n"
                "other.sendall(b'GET /v1/status HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n')\n"
                "print(len(other.recv(100)))"
            )
            # Connected as root through the closed folder, with another user's identity.
            command = [sys.executable, "-c", "import os\nos.seteuid(65534)\n" + script]
            done = subprocess.run(
                [*command, str(stage.profile.socket)], capture_output=True, text=True, check=False
            )
            assert done.returncode != 0 or done.stdout.strip() == "0"

    def test_no_tcp_port_is_open(self, stage: Stage) -> None:
        import psutil

        process = psutil.Process(stage.pid)
        for one in [process, *process.children(recursive=True)]:
            assert one.net_connections(kind="inet") == []

    def test_a_second_daemon_is_refused(self, stage: Stage) -> None:
        done = stage.command("daemon", "run")
        assert done.returncode == 8
        assert "running already" in done.stderr

    def test_policy_and_status_are_shown(self, stage: Stage) -> None:
        rows = {row["key"]: row for row in stage.cli("policy", "show")}
        assert rows["network.allowed_hosts"]["value"] == []
        assert rows["network.allowed_hosts"]["level"] == "default"
        status = stage.cli("daemon", "status")
        assert status["state"] == "idle"
        assert status["engine"]["state"] == "unloaded"

    def test_policy_denies_with_the_rule_and_the_audit_log_keeps_it(
        self, stage: Stage, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret"
        secret.mkdir()
        stage.profile.policy.write_text(json.dumps({"files": {"denied_folders": [str(secret)]}}))
        denied = stage.cli("watch", "add", str(secret), "invoices", status=4)["error"]
        assert denied["code"] == "policy_denied"
        assert "files.denied_folders[0]" in denied["why"]
        link = tmp_path / "harmless"
        link.symlink_to(secret)
        assert stage.cli("watch", "add", str(link), "invoices", status=4)["error"]
        records = stage.cli("audit", "show")
        assert records[-1]["outcome"] == "denied"
        assert records[-1]["rule"] == "files.denied_folders[0]"
        stage.profile.policy.write_text("{ this is not JSON")
        closed = stage.cli("watch", "add", str(tmp_path), "invoices", status=4)["error"]
        assert closed["what"]
        stage.profile.policy.unlink()
        assert stage.cli("audit", "verify")["ok"]


def test_a_recipe_is_written_validated_and_its_mistakes_found(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    file = tmp_path / "leases.yaml"
    assert stage.cli("recipes", "new", str(file))["file"] == str(file)
    assert stage.cli("recipes", "validate", str(file))["fields"] >= 1
    assert stage.cli("recipes", "new", str(file), status=2)["error"]
    file.write_text(file.read_text() + "\nunknown_key: 1\n")
    error = stage.cli("recipes", "validate", str(file), status=2)["error"]
    assert "line" in error["why"]
    names = {row["name"] for row in stage.cli("recipes", "list")}
    assert {"invoices", "receipts", "contracts", "triage", "summary"} <= names


def test_models_are_listed_and_unknown_ones_refused(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    models = stage.cli("models", "list")
    assert sum(model["default"] for model in models) == 1
    assert all(len(model["sha256"]) == 64 for model in models)
    assert stage.cli("models", "verify", "gpt-17", status=3)["error"]["code"] == "not_found"


@pytest.mark.model
def test_a_changed_model_is_told_from_a_whole_one(
    tmp_path: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    copied = Path(shutil.copy(small_model, folder))
    monkeypatch.setenv("HIVEKEEP_MODELS_DIR", str(folder))
    stage = Stage(tmp_path)
    assert stage.cli("models", "verify", small_model.stem)["ok"]
    with copied.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    assert not stage.cli("models", "verify", small_model.stem, status=6)["ok"]
    assert "is not the file" in stage.command("models", "verify", small_model.stem).stderr


def test_a_stopped_daemon_is_said_to_be_stopped(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    assert stage.cli("daemon", "status", status=8)["error"]["code"] == "daemon"
    assert stage.cli("daemon", "stop", status=8)["error"]["next"]


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_no_file_name_can_control_the_terminal(name: str) -> None:
    console = Console(force_terminal=False, width=10_000)
    with console.capture() as capture:
        console.print(safe(name), end="")
    shown = capture.get()
    assert "\x1b" not in shown
    assert "\n" not in shown


def test_the_time_left_is_told_only_when_there_is_something_to_tell() -> None:
    assert remaining(None) == ""
    assert remaining({"seconds": 60, "low": 60, "high": 60}) == "about 60 s left"
    assert remaining({"seconds": 300, "low": 180, "high": 480}) == "about 5 min left (3 to 8)"
