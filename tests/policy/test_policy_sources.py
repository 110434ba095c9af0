"""Where policy comes from, how files combine, and what happens to those that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.policy.files import Desk

from hivekeep.domain.actions import Action, ActionKind
from hivekeep.domain.errors import PolicyDeniedError, PolicyInvalidError
from hivekeep.policy import Level, PolicyHolder, PolicySources, load_policy, policy_schema_text
from hivekeep.policy.generated.reference import reference_page
from hivekeep.policy.schema import markers

ROOT = Path(__file__).resolve().parents[2]


def read(path: str) -> Action:
    return Action(ActionKind.READ_FILE, path=path)


def rows_of(desk: Desk, key: str) -> list[tuple[Any, Level, str]]:
    return [(r.value, r.level, r.source) for r in desk.load().rows() if r.key == key]


def test_a_mandatory_value_can_only_be_narrowed_by_the_user(desk: Desk) -> None:
    machine = desk.managed(
        {"runs": {"max_documents": 100}, "files": {"allowed_folders": ["/data"]}}
    )
    desk.user({"runs": {"max_documents": 500}, "files": {"allowed_folders": ["/data/a", "/etc"]}})
    policy = desk.load()
    assert policy.settings.runs.max_documents == 100
    assert policy.settings.files.allowed_folders == ("/data/a",)
    assert policy.decide(read("/data/a/x")).rule == "files.allowed_folders[0]"
    denied = policy.decide(read("/etc/passwd"))
    assert not denied.allowed
    assert str(machine) in denied.source
    assert rows_of(desk, "runs.max_documents") == [
        (100, Level.MANDATORY, str(machine)),
        (500, Level.USER, "user settings"),
    ]


def test_the_user_may_deny_more_and_never_less(desk: Desk) -> None:
    desk.managed({"files": {"denied_folders": ["/secret"]}, "watch": {"allowed": False}})
    desk.user({"files": {"denied_folders": ["/mine"]}, "watch": {"allowed": True}})
    policy = desk.load()
    assert not policy.decide(read("/secret/a")).allowed
    assert not policy.decide(read("/mine/a")).allowed
    assert not policy.decide(Action(ActionKind.WATCH_FOLDER, path="/a")).allowed


def test_a_recommended_value_gives_way_to_the_users(desk: Desk) -> None:
    recommended = desk.recommended({"runs": {"max_documents": 5, "max_agents": 4}})
    desk.user({"runs": {"max_documents": 50}})
    policy = desk.load()
    assert policy.settings.runs.max_documents == 50
    assert policy.settings.runs.max_agents == 4
    assert rows_of(desk, "runs.max_agents") == [(4, Level.RECOMMENDED, str(recommended))]
    assert rows_of(desk, "watch.allowed") == [(True, Level.DEFAULT, "default")]


def test_the_last_recommended_file_counts(desk: Desk) -> None:
    desk.recommended({"runs": {"max_documents": 5}}, "10.json")
    desk.recommended({"runs": {"max_documents": 9}}, "20.json")
    assert desk.load().settings.runs.max_documents == 9


def test_mandatory_files_may_tighten_each_other(desk: Desk) -> None:
    desk.managed({"files": {"allowed_folders": ["/a", "/b"]}}, "10.json")
    desk.managed({"files": {"allowed_folders": ["/a/x"], "denied_folders": ["/a/x/y"]}}, "20.json")
    policy = desk.load()
    assert policy.settings.files.allowed_folders == ("/a/x",)
    assert policy.decide(read("/a/x/y/z")).rule == "files.denied_folders[0]"


@pytest.mark.parametrize(
    ("first", "second", "rule"),
    [
        ({"runs": {"max_documents": 5}}, {"runs": {"max_documents": 6}}, "runs.max_documents"),
        ({"watch": {"allowed": False}}, {"watch": {"allowed": True}}, "watch.allowed"),
        (
            {"files": {"allowed_folders": ["/a"]}},
            {"files": {"allowed_folders": ["/a/b", "/ab"]}},
            "files.allowed_folders[1]",
        ),
        (
            {"network": {"allowed_hosts": ["*.a.org"]}},
            {"network": {"allowed_hosts": ["x.a.org", "a.org"]}},
            "network.allowed_hosts[1]",
        ),
        (
            {"network": {"model_downloads": "ask"}},
            {"network": {"model_downloads": "allow"}},
            "network.model_downloads",
        ),
        (
            {"files": {"allowed_types": ["image/png"]}},
            {"files": {"allowed_types": ["image/*"]}},
            "files.allowed_types[0]",
        ),
    ],
)
def test_a_later_mandatory_file_that_permits_more_is_refused(
    desk: Desk, first: Any, second: Any, rule: str
) -> None:
    desk.managed(first, "10.json")
    later = desk.managed(second, "20.json")
    with pytest.raises(PolicyInvalidError) as caught:
        desk.load()
    assert str(later) in caught.value.what
    assert rule in caught.value.why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"files": {\n  "max_size": "big"}}', "Line 2, files.max_size"),
        ('{"files": {\n\n  "max_sise": 3}}', "Line 3, files.max_sise: there is no such key"),
        ('{\n"files": }', "Line 2, column 10"),
        ('{"files": {"allowed_folders": ["/a",\n "b"]}}', "Line 1, files.allowed_folders[1]"),
        ('{"files": {"denied_folders": ["/a/../b"]}}', "'..'"),
        ('{"files": {"denied_types": ["application/nonsense"]}}', "media type"),
        ('{"network": {"allowed_hosts": ["https://x.org/"]}}', "without port or path"),
        ('{"watch": {"allowed": "yes"}}', "watch.allowed"),
        ('{"watch": {"allowed": true, "allowed": false}}', "twice"),
        ("[]", "an object"),
        ("", "Line 1"),
        ('{"runs":' + "[" * 100_000, "."),
    ],
)
def test_a_file_that_cannot_be_understood_names_the_place(desk: Desk, text: str, why: str) -> None:
    for write in (desk.managed, desk.recommended, desk.user):
        path = write(text)
        with pytest.raises(PolicyInvalidError) as caught:
            desk.load()
        assert str(path) in caught.value.what
        assert why in caught.value.why
        path.unlink()


def test_a_file_that_everybody_may_write_is_not_believed(desk: Desk) -> None:
    path = desk.managed({})
    path.chmod(0o666)
    with pytest.raises(PolicyInvalidError, match="Everybody"):
        desk.load()
    path.chmod(0o644)
    path.parent.chmod(0o777)
    with pytest.raises(PolicyInvalidError, match="Everybody"):
        desk.load()


def test_a_file_that_cannot_be_read_is_not_skipped(desk: Desk) -> None:
    (desk.managed({}).parent / "20.json").symlink_to("/nonexistent/policy.json")
    with pytest.raises(PolicyInvalidError, match=r"20\.json"):
        desk.load()


def test_bytes_that_are_not_text(desk: Desk) -> None:
    desk.managed({}).write_bytes(b'{"\xff": 1}')
    with pytest.raises(PolicyInvalidError):
        desk.load()


def test_other_files_in_the_folders_are_no_policy(desk: Desk) -> None:
    (desk.managed({}).parent / "README").write_text("hello")
    desk.load()


def test_no_sources_at_all_are_the_defaults(tmp_path: Path) -> None:
    policy = load_policy(PolicySources(tmp_path / "no", tmp_path / "nor"))
    assert {row.level for row in policy.rows()} == {Level.DEFAULT}


def test_the_holder_follows_the_files_and_fails_closed(desk: Desk) -> None:
    holder = PolicyHolder(desk.sources)
    assert holder.current().decide(read("/a/x")).allowed
    assert holder.current() is holder.current()
    machine = desk.managed({"files": {"denied_folders": ["/a"]}})
    assert not holder.current().decide(read("/a/x")).allowed
    machine.write_text("{", encoding="utf-8")
    broken = holder.current()
    for kind in ActionKind:
        action = Action(kind, path="/b", target="/b", host="x")
        decision = broken.decide(action, confirmed=True)
        assert not decision.allowed
        assert str(machine) in decision.reason
        with pytest.raises(PolicyDeniedError):
            broken.require(action)
    assert holder.problem is not None
    assert broken.settings.runs.max_documents == 0
    assert [row.level for row in broken.rows()] == [Level.MANDATORY]
    machine.unlink()
    assert holder.problem is None
    assert holder.current().decide(read("/a/x")).allowed
    user = desk.user({"watch": {"allowed": False}})
    assert not holder.current().decide(Action(ActionKind.WATCH_FOLDER, path="/a")).allowed
    user.chmod(0o666)
    assert holder.problem is not None


def test_the_schema_file_is_up_to_date() -> None:
    assert (ROOT / "policies" / "schema.json").read_text(encoding="utf-8") == policy_schema_text()


@pytest.mark.parametrize("path", sorted((ROOT / "policies" / "samples").glob("*.json")), ids=str)
def test_the_samples_load_as_machine_policy(desk: Desk, path: Path) -> None:
    desk.managed(path.read_text(encoding="utf-8"))
    stated = {
        f"{section}.{key}"
        for section, keys in json.loads(path.read_text(encoding="utf-8")).items()
        if section != "$schema"
        for key in keys
    }
    rows = desk.load().rows()
    assert {row.key for row in rows if row.level is Level.MANDATORY} == stated


def test_the_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "policy-reference.md").read_text(encoding="utf-8")
    assert page == reference_page()
    assert all(f"`{key}`" in page for key in markers())
