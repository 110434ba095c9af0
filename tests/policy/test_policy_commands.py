"""``hivekeep policy`` as an administrator uses it, from writing a policy to delivering it."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.policy.files import Desk
from typer.testing import CliRunner

from hivekeep.cli.main import app
from hivekeep.domain.errors import HivekeepError, PolicyInvalidError, UsageError
from hivekeep.policy import load_policy
from hivekeep.policy.detached import file_signers

Command = Callable[..., Any]


@pytest.fixture
def hivekeep(tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in ``tmp_path`` on the made-up machine; the JSON it prints."""
    monkeypatch.chdir(tmp_path)
    for module in ("policy", "policy_files", "policy_bundles"):
        monkeypatch.setattr(f"hivekeep.cli.{module}.policy_sources", lambda _profile: desk.sources)

    def run(*arguments: str, status: int = 0) -> Any:
        command = ["--profile", str(tmp_path / "profile"), "policy", *arguments, "--json"]
        done = CliRunner().invoke(app, command)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            assert isinstance(done.exception, HivekeepError), done.exception
            raise done.exception
        assert done.exit_code == status, done.output
        return json.loads(done.output)

    return run


def test_show_says_who_says_so_and_what_is_in_force(hivekeep: Command, desk: Desk) -> None:
    machine = desk.managed({"runs": {"max_documents": 10}})
    desk.user({"runs": {"max_documents": 20}})
    rows = [row for row in hivekeep("show") if row["key"] == "runs.max_documents"]
    assert [(row["level"], row["source"], row["value"], row["in_force"]) for row in rows] == [
        ("mandatory", str(machine), 10, 10),
        ("user", "user settings", 20, 10),
    ]
    assert {row["key"] for row in hivekeep("show", "--set")} == {"runs.max_documents"}


def test_show_refuses_what_cannot_be_understood(hivekeep: Command, desk: Desk) -> None:
    desk.managed("{")
    with pytest.raises(PolicyInvalidError, match="nothing is allowed"):
        hivekeep("show")


def test_explain_follows_links_and_names_the_rule(
    hivekeep: Command, desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    desk.managed({"files": {"denied_folders": [str(tmp_path.resolve() / "secret")]}})
    found = hivekeep("explain", "read_file", f"path={tmp_path}/link/a.pdf")
    assert (found["effect"], found["rule"]) == ("deny", "files.denied_folders[0]")
    assert found["key"][0]["level"] == "mandatory"
    asked = hivekeep("explain", "clipboard", "verb=read")
    assert asked["effect"] == "ask"
    assert asked["approval"]["timeout_seconds"] == 86400
    for wrong in (["fly"], ["read_file", "path"], ["read_file", "nonsense=1"]):
        with pytest.raises(UsageError):
            hivekeep("explain", *wrong)


def test_validate_and_diff(hivekeep: Command, tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text('{"runs": {"max_documents": 10}}')
    second.write_text('{"runs": {"max_documents": 20}}')
    assert hivekeep("validate", str(first)) == [
        {"file": str(first), "keys": ["runs.max_documents"]}
    ]
    with pytest.raises(PolicyInvalidError, match="permits more"):
        hivekeep("validate", str(first), str(second))
    assert hivekeep("diff", str(first), str(second)) == [
        {"key": "runs.max_documents", "before": 10, "after": 20, "direction": "looser"}
    ]
    (change,) = hivekeep("diff", "current", str(first))
    assert (change["before"], change["direction"]) == (10_000, "tighter")


def test_cases_decide_over_the_exit_status(hivekeep: Command, desk: Desk, tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text("cases: [{name: a, action: {kind: watch_folder, path: /a}, expect: allow}]")
    assert hivekeep("test", str(cases))[0]["passed"]
    closed = tmp_path / "closed.json"
    closed.write_text('{"watch": {"allowed": false}}')
    (outcome,) = hivekeep("test", str(cases), "--policy", str(closed), status=4)
    assert (outcome["effect"], outcome["rule"]) == ("deny", "watch.allowed")


def test_generate_and_check(hivekeep: Command, tmp_path: Path) -> None:
    into = str(tmp_path / "tree")
    assert len(hivekeep("generate", "--into", into, "--check", status=1)["not_up_to_date"]) > 5
    assert len(hivekeep("generate", "--into", into)["written"]) > 5
    assert hivekeep("generate", "--into", into, "--check")["not_up_to_date"] == []


def test_from_a_key_to_a_policy_in_force(hivekeep: Command, desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("horse\n")
    made = hivekeep("keygen", "-o", "key.pem", "--passphrase-file", "passphrase")
    assert Path("key.pem").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="exists"):
        hivekeep("keygen", "-o", "key.pem")
    (tmp_path / "policy.json").write_text('{"$schema": "x", "watch": {"allowed": false}}')
    options = ["--mandatory", "policy.json", "--contact", "me", "--expires", "10"]
    hivekeep("bundle", "-o", "policy.bundle", "--version", "1", *options)
    with pytest.raises(PolicyInvalidError, match="not signed"):
        hivekeep("verify", "policy.bundle", "--pin", made["public"])
    signing = ["--key", "key.pem", "--passphrase-file", "passphrase"]
    with pytest.raises(UsageError, match="private key"):
        hivekeep("sign", "policy.bundle", "--key", "key.pem")
    assert hivekeep("sign", "policy.bundle", *signing)["key"] == made["id"]
    verified = hivekeep("verify", "policy.bundle", "--pin", made["public"])
    assert verified["signers"] == [made["id"]]
    assert verified["keys"]["mandatory"] == ["support.contact", "watch.allowed"]
    with pytest.raises(PolicyInvalidError, match="no key that counts"):
        hivekeep("verify", "policy.bundle")

    keys = desk.root / "keys"
    keys.mkdir(mode=0o755)
    (keys / "1.pem").write_bytes((tmp_path / made["public"]).read_bytes())
    # tmp_path is the desk's root, so the bundle lies where the machine looks for it.
    assert not load_policy(desk.sources).settings.watch.allowed
    with pytest.raises(UsageError, match="no day"):
        hivekeep("bundle", "-o", "x", "--version", "1", "--expires", "soon")


def test_new_keys_by_rotation(hivekeep: Command) -> None:
    old, new = hivekeep("keygen", "-o", "old.pem"), hivekeep("keygen", "-o", "new.pem")
    rotate = ["--key", "old.pem", "--sequence", "1", "-o", "1.rotation"]
    assert hivekeep("rotate", new["public"], *rotate)["keys"] == [new["id"]]
    hivekeep("bundle", "-o", "b", "--version", "2", "--rotation", "1.rotation")
    hivekeep("sign", "b", "--key", "new.pem")
    assert hivekeep("verify", "b", "--pin", old["public"])["signers"] == [new["id"]]
    with pytest.raises(UsageError, match="cannot be used"):
        hivekeep("rotate", "new.pem", *rotate)


def test_a_recipe_is_signed_beside_itself(hivekeep: Command, tmp_path: Path) -> None:
    made = hivekeep("keygen", "-o", "key.pem")
    recipe = tmp_path / "leases.yaml"

    def signers() -> tuple[str, ...]:
        return file_signers(recipe, sha256(recipe.read_bytes()).hexdigest())

    recipe.write_text("name: leases\n")
    assert signers() == ()
    assert hivekeep("sign", str(recipe), "--key", "key.pem")["signature"] == f"{recipe}.sig"
    assert signers() == (made["id"],)
    recipe.write_text("name: other\n")
    assert signers() == ()
    Path(f"{recipe}.sig").write_text("{")
    assert signers() == ()
