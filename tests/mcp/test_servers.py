"""The file of servers: what is kept where, and what a change that fails leaves."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

import pytest

from hivekeep.domain.errors import ConfigError, NotFoundError, SecretsError, StorageError
from hivekeep.tools.mcp import Server, ServerFile, ToolPin


class Secrets(dict[str, bytes]):
    """Secrets in memory."""

    broken = False

    def put(self, name: str, value: bytes) -> None:
        if self.broken:
            raise SecretsError("The OS keyring cannot be used now.")
        self[name] = value

    def delete(self, name: str) -> None:
        self.pop(name, None)


PIN = ToolPin(name="add", description="Adds.", arguments={"type": "object"})
NOTES = Server(
    name="notes", command=("/usr/bin/notes", "--root", "/n"), read=("/n",), tools=(PIN,),
    environment={"TOKEN": "secret-token", "MODE": "plain"},
)  # fmt: skip


def test_a_server_comes_back_whole_and_its_secrets_are_in_no_file(tmp_path: Path) -> None:
    secrets, path = Secrets(), tmp_path / "mcp.json"
    ServerFile(path, secrets).put(NOTES)
    assert ServerFile(path, secrets).servers == (NOTES,)
    text = path.read_text()
    assert "secret-token" not in text
    assert json.loads(text)["servers"][0]["variables"] == ["MODE", "TOKEN"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "secret-token" not in repr(NOTES)


def test_a_forgotten_server_leaves_no_secret(tmp_path: Path) -> None:
    secrets = Secrets()
    file = ServerFile(tmp_path / "mcp.json", secrets)
    file.put(NOTES)
    file.put(NOTES.model_copy(update={"name": "others", "environment": {}}))
    assert file.remove("notes") == NOTES
    assert not secrets
    assert [server.name for server in ServerFile(tmp_path / "mcp.json", secrets).servers] == [
        "others"
    ]
    with pytest.raises(NotFoundError):
        file.remove("notes")


def test_a_lost_secret_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secrets = Secrets()
    ServerFile(tmp_path / "mcp.json", secrets).put(NOTES)
    secrets["mcp.notes"] = b'{"MODE": "plain", "LD_PRELOAD": "/tmp/evil.so"}'
    with caplog.at_level(logging.WARNING):
        (server,) = ServerFile(tmp_path / "mcp.json", secrets).servers
    assert server.environment == {"MODE": "plain"}
    assert "without TOKEN" in caplog.text


def test_what_cannot_be_kept_changes_nothing(tmp_path: Path) -> None:
    secrets, path = Secrets(), tmp_path / "mcp.json"
    file = ServerFile(path, secrets)
    file.put(NOTES)
    before = path.read_bytes()
    secrets.broken = True
    with pytest.raises(SecretsError):
        file.put(NOTES.model_copy(update={"command": ("/usr/bin/other",)}))
    assert path.read_bytes() == before
    assert file.get("notes") == NOTES
    blocked = ServerFile(tmp_path / "gone" / "mcp.json", Secrets())
    with pytest.raises(StorageError):
        blocked.put(NOTES)
    assert blocked.servers == ()


@pytest.mark.parametrize("text", ["", "[]", '{"servers": [{"name": "x"}]}', '{"other": 1}'])
def test_a_file_that_cannot_be_understood_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="cannot be understood"):
        ServerFile(path, Secrets())
