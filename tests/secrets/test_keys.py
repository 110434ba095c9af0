"""Keys at rest: never in plain text, never from another place than before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hivekeep.domain.errors import SecretsError
from hivekeep.secrets import KeyStore, Passphrase, needs_passphrase, open_key_store

PHRASE = b"correct horse battery staple"


def given(text: bytes) -> Passphrase:
    """A passphrase that comes through a pipe."""
    read_end, write_end = os.pipe()
    os.write(write_end, text)
    os.close(write_end)
    return Passphrase(read_end, prompt=False)


def opened(folder: Path, text: bytes = PHRASE) -> KeyStore:
    return open_key_store(folder, profile_id="test", passphrase=given(text), backend="file")


def test_secrets_come_back_and_are_not_readable(tmp_path: Path) -> None:
    store = opened(tmp_path)
    made = store.get_or_create("master")
    store.put("other", b"\x00\xff secret")
    assert len(made) == 32
    again = opened(tmp_path)
    assert again.get("master") == made
    assert again.get_or_create("master") == made
    assert again.get("other") == b"\x00\xff secret"
    again.delete("other")
    assert opened(tmp_path).get("other") is None
    path = tmp_path / "keys.bin"
    assert path.stat().st_mode & 0o777 == 0o600
    for file in tmp_path.iterdir():
        assert made not in file.read_bytes()
        assert PHRASE not in file.read_bytes()


def test_a_wrong_passphrase_and_a_changed_file_are_refused(tmp_path: Path) -> None:
    opened(tmp_path).get_or_create("master")
    with pytest.raises(SecretsError):
        opened(tmp_path, b"another passphrase")
    path = tmp_path / "keys.bin"
    content = path.read_bytes()
    for changed in (content[:-1], content[:40], content[:-1] + bytes([content[-1] ^ 1])):
        path.write_bytes(changed)
        with pytest.raises(SecretsError):
            opened(tmp_path)
    path.write_bytes(content)
    path.chmod(0o644)
    with pytest.raises(SecretsError):
        opened(tmp_path)


def test_a_short_or_missing_passphrase_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match="too short"):
        opened(tmp_path, b"short")
    with pytest.raises(SecretsError, match="daemon start"):
        open_key_store(
            tmp_path, profile_id="test", passphrase=Passphrase(prompt=False), backend="file"
        )
    assert not (tmp_path / "keys.bin").exists()


def test_a_systemd_credential_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "hivekeep-passphrase").write_bytes(PHRASE + b"\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    profile = tmp_path / "profile"
    profile.mkdir()
    store = open_key_store(
        profile, profile_id="test", passphrase=Passphrase(prompt=False), backend="file"
    )
    made = store.get_or_create("master")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert opened(profile).get("master") == made


def test_a_profile_keeps_to_the_place_it_began_with(tmp_path: Path) -> None:
    opened(tmp_path).get_or_create("master")
    assert needs_passphrase(tmp_path, profile_id="test")
    with pytest.raises(SecretsError, match="not the keyring"):
        open_key_store(tmp_path, profile_id="test", passphrase=given(PHRASE), backend="keyring")
    (tmp_path / "keystore.json").write_text(json.dumps({"backend": "keyring"}))
    with pytest.raises(SecretsError, match="not the file"):
        opened(tmp_path)
    (tmp_path / "keystore.json").write_text("nonsense")
    with pytest.raises(SecretsError):
        opened(tmp_path)


def test_without_a_keyring_the_file_is_used_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    store = open_key_store(tmp_path, profile_id="test", passphrase=given(PHRASE))
    assert "no OS keyring" in store.describe()


_SESSION = r"""
import os, sys
from pathlib import Path
from hivekeep.domain.errors import SecretsError
from hivekeep.secrets import Passphrase, open_key_store, needs_passphrase
folder = Path(sys.argv[1])
if sys.argv[2] == "locked":
    try:
        open_key_store(folder, profile_id="e2e", passphrase=Passphrase(prompt=False))
    except SecretsError as error:
        print("refused:", error.what)
    sys.exit()
assert not needs_passphrase(folder, profile_id="e2e")
store = open_key_store(folder, profile_id="e2e", passphrase=Passphrase(prompt=False))
print(store.get_or_create("master").hex(), store.describe())
"""


@pytest.mark.e2e
def test_a_real_keyring_daemon_keeps_the_keys_and_a_locked_one_is_an_error(tmp_path: Path) -> None:
    if not all(map(shutil.which, ("dbus-run-session", "gnome-keyring-daemon"))):
        pytest.skip("dbus or gnome-keyring is not installed")
    home, runtime, profile = tmp_path / "home", tmp_path / "run", tmp_path / "profile"
    for folder in (home, runtime, profile):
        folder.mkdir(mode=0o700)
    environment = {
        "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "PATH": os.environ["PATH"],
        "PYTHON": sys.executable, "SCRIPT": _SESSION, "PROFILE": str(profile),
    }  # fmt: skip
    unlocked = (
        'printf "login password" | gnome-keyring-daemon --unlock --components=secrets >/dev/null; '
        '"$PYTHON" -c "$SCRIPT" "$PROFILE" open'
    )
    locked = (
        "gnome-keyring-daemon --start --components=secrets >/dev/null; "
        '"$PYTHON" -c "$SCRIPT" "$PROFILE" locked'
    )

    def session(command: str) -> str:
        done = subprocess.run(
            ["dbus-run-session", "--", "sh", "-c", command], capture_output=True, text=True,
            env=environment, timeout=120, check=False,
        )  # fmt: skip
        assert done.stdout.strip(), done.stderr
        return done.stdout.strip()

    first = session(unlocked)
    assert "OS keyring" in first
    assert session(unlocked) == first
    assert not (profile / "keys.bin").exists()
    assert session(locked).startswith("refused:")
