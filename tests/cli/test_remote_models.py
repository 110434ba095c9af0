"""Remote models from the command line to a server, through the daemon and its policy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.e2e.stage import Stage, started
from tests.engine.chat_server import Server, answers, running

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    allowed = {"network": {"allowed_hosts": ["127.0.0.1"]}}
    with started(tmp_path_factory.mktemp("remote"), policy=allowed) as chosen:
        yield chosen


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as made:
        yield made


def test_a_remote_model_is_added_tested_and_removed(stage: Stage, server: Server) -> None:
    url = f"http://127.0.0.1:{server.server_port}/v1"
    command = [
        sys.executable, "-m", "hivekeep.cli.main", "--profile", str(stage.profile.root),
        "models", "remote", "add", "big", url, "--model", "kimi", "--key", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, input="sk-secret\n", text=True, capture_output=True, check=True)
    added = json.loads(done.stdout)
    assert added["allowed"] is True
    assert "sk-secret" not in done.stdout + done.stderr
    (listed,) = stage.cli("models", "remote", "list")
    assert (listed["name"], listed["key"]) == ("big", True)
    server.script = [answers('{"colour":"green"}')]
    tested = stage.cli("models", "remote", "test", "big")
    assert tested["answer"] == '{"colour":"green"}'
    assert server.keys == ["Bearer sk-secret"]
    for path in stage.profile.root.rglob("*"):
        if path.is_file() and not path.is_socket():
            assert b"sk-secret" not in path.read_bytes()
    stage.cli("models", "remote", "remove", "big")
    assert stage.cli("models", "remote", "list") == []


def test_a_host_that_policy_does_not_name_is_never_connected_to(
    stage: Stage, server: Server
) -> None:
    url = f"http://localhost:{server.server_port}/v1"
    added = stage.cli("models", "remote", "add", "other", url, "--model", "m")
    assert added["allowed"] is False
    refused = stage.cli("models", "remote", "test", "other", status=6)["error"]
    assert "localhost" in refused["what"]
    stage.cli("models", "remote", "add", "qwen2.5-coder-1.5b-instruct-q4_k_m", url, "--model", "m",
              status=2)  # fmt: skip
    assert server.bodies == []
