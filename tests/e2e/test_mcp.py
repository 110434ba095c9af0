"""``hivekeep mcp`` against a real daemon and a real server."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.e2e.stage import Stage, started
from tests.mcp.test_hosts import HERE, SHOWN

pytest.importorskip("mcp")
pytestmark = pytest.mark.e2e

READ = [part for path in SHOWN for part in ("--read", path)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    private = tmp_path_factory.mktemp("private")
    policy = {
        "tools": {"mcp_servers": ["sums"]},
        "files": {"denied_folders": [str(private / "inner")]},
    }
    with started(tmp_path_factory.mktemp("mcp"), policy=policy) as chosen:
        yield chosen


def add(stage: Stage, name: str, how: str, *more: str, status: int = 0) -> dict[str, object]:
    command = ("--", sys.executable, str(HERE / "server.py"), how)
    done = stage.command("mcp", "add", name, *READ, *more, "--yes", "--json", *command)
    assert done.returncode == status, done.stdout + done.stderr
    said: dict[str, object] = json.loads(done.stdout)
    return said


def test_a_server_that_policy_does_not_name(stage: Stage) -> None:
    said = add(stage, "others", "well", status=4)
    assert "tools.mcp_servers" in str(said)
    assert stage.cli("mcp", "list") == []


def test_a_network_that_policy_does_not_grant(stage: Stage) -> None:
    assert "tools.mcp_network" in str(add(stage, "sums", "well", "--network", status=4))


def test_a_folder_that_holds_a_denied_one(stage: Stage) -> None:
    rules = json.loads(stage.profile.policy.read_text())
    denied = Path(rules["files"]["denied_folders"][0])
    assert "denied folder" in str(
        add(stage, "sums", "well", "--read", str(denied.parent), status=4)
    )


def test_a_server_is_added_tested_changed_and_removed(stage: Stage) -> None:
    idle = [p.pid for p in psutil.Process(stage.pid).children(recursive=True)]
    added = add(stage, "sums", "well", "--env", "TOKEN=secret-token")
    tools = {tool["name"]: tool["problem"] for tool in added["tools"]}  # type: ignore[attr-defined]
    assert tools["add"] == tools["reach"] == ""
    assert "not plain" in tools["nested"]
    assert "secret-token" not in json.dumps(stage.cli("mcp", "list"))
    assert stat.S_IMODE(stage.profile.mcp.stat().st_mode) == 0o600
    assert stage.cli("mcp", "test", "sums")["changed"] == []
    kept = json.loads(stage.profile.mcp.read_text())
    assert kept["servers"][0]["variables"] == ["TOKEN"]
    assert "secret-token" not in stage.profile.mcp.read_text()
    # Whoever wants to sneak in another description finds that it has to be agreed to anew.
    add(stage, "sums", "changed")
    assert stage.cli("mcp", "test", "sums")["changed"] == []
    assert stage.command("mcp", "remove", "sums").returncode == 0
    assert stage.cli("mcp", "list") == []
    assert stage.cli("mcp", "test", "sums", status=3)["error"]["what"]
    left = {p.pid for p in psutil.Process(stage.pid).children(recursive=True)}
    assert not [p for p in left - set(idle) if "server.py" in " ".join(psutil.Process(p).cmdline())]


def test_errors_say_what_to_do(stage: Stage) -> None:
    said = add(stage, "sums", "stillborn", status=1)
    assert "a library is missing" in str(said)
    done = stage.command("mcp", "add", "Bad Name", "--yes", "--", sys.executable)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
