"""What a policy answers to each kind of action."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.policy.files import Desk

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.errors import PolicyDeniedError
from hivekeep.policy import Policy

SORTING = {
    "file_actions": {"allow_copy": True, "allow_move": True, "target_folders": ["/sorted"]},
    "labels": {"untrusted_actions": ["copy_file"]},
}


def read(path: str, size: int = 0) -> Action:
    return Action(ActionKind.READ_FILE, path=path, size=size)


def rule(policy: Policy, action: Action, **options: Any) -> tuple[bool, str]:
    decision = policy.decide(action, **options)
    assert decision.reason
    assert decision.source
    return decision.allowed, decision.rule


def test_by_default_reading_and_running_are_allowed_and_nothing_leaves(desk: Desk) -> None:
    policy = desk.load()
    allowed = {
        kind
        for kind in ActionKind
        if policy.decide(
            Action(kind, path="/a/b.pdf", target="/c/b.pdf", host="example.com", count=3)
        ).allowed
    }
    assert allowed == {
        ActionKind.READ_FILE,
        ActionKind.WRITE_FILE,
        ActionKind.WATCH_FOLDER,
        ActionKind.START_RUN,
        ActionKind.USE_RECIPE,
        ActionKind.USE_MODEL,
    }


def test_folders_are_compared_by_component(desk: Desk) -> None:
    desk.user({"files": {"allowed_folders": ["/a/b"], "denied_folders": ["/x", "/a/b/private"]}})
    policy = desk.load()
    assert rule(policy, read("/a/b/c.pdf")) == (True, "files.allowed_folders[0]")
    assert rule(policy, read("/a/bc/c.pdf")) == (False, "files.allowed_folders")
    assert rule(policy, read("/a/b/private/c.pdf")) == (False, "files.denied_folders[1]")
    assert rule(policy, read("/a/b/private")) == (False, "files.denied_folders[1]")
    assert rule(policy, read("/a/b/privateer/c.pdf")) == (True, "files.allowed_folders[0]")
    assert policy.decide(read("/a/b/private/c.pdf")).source == "user settings"


@pytest.mark.parametrize(
    "path", ["/a/b/../c.pdf", "a/b/c.pdf", "", "/a/b/./c.pdf", "/a/b/c\0.pdf", "~/c.pdf"]
)
def test_a_path_that_is_not_resolved_is_in_no_folder(desk: Desk, path: str) -> None:
    desk.user({"files": {"allowed_folders": ["/"]}})
    policy = desk.load()
    assert policy.decide(read("/a/b/c.pdf")).allowed
    for kind in (ActionKind.READ_FILE, ActionKind.WRITE_FILE, ActionKind.WATCH_FOLDER):
        assert not policy.decide(Action(kind, path=path)).allowed


def test_an_empty_list_allows_nothing(desk: Desk) -> None:
    desk.user({"files": {"allowed_folders": []}, "models": {"allowed": []}})
    policy = desk.load()
    assert not policy.decide(read("/a.pdf")).allowed
    assert not policy.decide(Action(ActionKind.USE_MODEL, model="m")).allowed


def test_a_denied_folder_is_denied_through_its_symlink_target(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (tmp_path / "link").symlink_to(secret)
    desk.user({"files": {"denied_folders": [str(tmp_path / "link")]}})
    policy = desk.load()
    assert not policy.decide(read(f"{secret.resolve()}/a.pdf")).allowed
    assert not policy.decide(read(f"{tmp_path}/link/a.pdf")).allowed


def test_a_folder_may_begin_with_the_home_folder(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    desk.user({"files": {"allowed_folders": ["~/Documents"]}})
    policy = desk.load()
    assert policy.decide(read("/home/ada/Documents/a.pdf")).allowed
    assert not policy.decide(read("/home/bob/Documents/a.pdf")).allowed


def test_file_types_by_suffix_and_media_type(desk: Desk) -> None:
    desk.user({"files": {"allowed_types": [".PDF", "image/*"], "denied_types": ["image/tiff"]}})
    policy = desk.load()
    assert policy.decide(read("/a/x.Pdf")).allowed
    assert policy.decide(read("/a/x.png")).allowed
    assert rule(policy, read("/a/x.TIF")) == (False, "files.denied_types[0]")
    assert rule(policy, read("/a/x.docx")) == (False, "files.allowed_types")
    assert rule(policy, read("/a.pdf/noname")) == (False, "files.allowed_types")
    assert rule(policy, read("/a/x.pdf.exe")) == (False, "files.allowed_types")


def test_sizes_and_counts(desk: Desk) -> None:
    desk.user({"files": {"max_size": 100}, "runs": {"max_documents": 2}})
    policy = desk.load()
    assert policy.decide(read("/a", 100)).allowed
    assert rule(policy, read("/a", 101)) == (False, "files.max_size")
    assert policy.decide(Action(ActionKind.START_RUN, count=2)).allowed
    assert rule(policy, Action(ActionKind.START_RUN, count=3)) == (False, "runs.max_documents")


def test_output_folders(desk: Desk) -> None:
    desk.user({"files": {"output_folders": ["/out"], "denied_folders": ["/out/no"]}})
    policy = desk.load()

    def write(path: str) -> tuple[bool, str]:
        return rule(policy, Action(ActionKind.WRITE_FILE, path=path))

    assert write("/out") == (True, "files.output_folders[0]")
    assert write("/out/no/deep") == (False, "files.denied_folders[0]")
    assert write("/elsewhere") == (False, "files.output_folders")


def test_recipes_and_models(desk: Desk) -> None:
    desk.user(
        {
            "recipes": {"allowed": ["invoices"], "user_recipes": False},
            "models": {"allowed": ["m"], "allowed_sha256": ["a" * 64]},
        }
    )
    policy = desk.load()
    use = ActionKind.USE_RECIPE
    assert policy.decide(Action(use, recipe="invoices")).allowed
    assert rule(policy, Action(use, recipe="other")) == (False, "recipes.allowed")
    assert rule(policy, Action(use, recipe="invoices", user_recipe=True)) == (
        False, "recipes.user_recipes",
    )  # fmt: skip
    model = ActionKind.USE_MODEL
    assert policy.decide(Action(model, model="m", model_sha256="a" * 64)).allowed
    assert rule(policy, Action(model, model="m", model_sha256="b" * 64)) == (
        False, "models.allowed_sha256",
    )  # fmt: skip
    assert rule(policy, Action(model, model="n", model_sha256="a" * 64)) == (
        False, "models.allowed",
    )  # fmt: skip


def test_hosts(desk: Desk) -> None:
    desk.user({"network": {"allowed_hosts": ["LLM.example.com", "*.corp.example", "10.0.0.7"]}})
    policy = desk.load()

    def connects(host: str) -> bool:
        return policy.decide(Action(ActionKind.CONNECT, host=host)).allowed

    assert connects("llm.example.com")
    assert connects("llm.example.com.")
    assert connects("a.b.corp.example")
    assert connects("10.0.0.7")
    for host in ("corp.example", "evilcorp.example", "llm.example.com.evil.org", "", "10.0.0.77"):
        assert not connects(host)


@pytest.mark.parametrize(
    ("choice", "unasked", "agreed"),
    [("deny", False, False), ("ask", False, True), ("allow", True, True)],
)
def test_model_downloads(desk: Desk, choice: str, unasked: bool, agreed: bool) -> None:
    desk.user({"network": {"model_downloads": choice}, "models": {"allowed": ["m"]}})
    policy = desk.load()
    action = Action(ActionKind.DOWNLOAD_MODEL, host="pypi.org", model="m")
    assert rule(policy, action) == (unasked, "network.model_downloads")
    assert rule(policy, action, confirmed=True) == (agreed, "network.model_downloads")
    other = Action(ActionKind.DOWNLOAD_MODEL, host="pypi.org", model="n")
    assert rule(policy, other, confirmed=True) == (False, "models.allowed")
    assert policy.settings.network.model_downloads == choice


def test_copies_and_moves_need_a_grant_a_target_and_a_readable_source(desk: Desk) -> None:
    def copy(path: str, target: str, kind: ActionKind = ActionKind.COPY_FILE) -> Action:
        return Action(kind, path=path, target=target)

    desk.user({**SORTING, "files": {"denied_folders": ["/no", "/sorted/no"]}})
    policy = desk.load()
    assert rule(policy, copy("/in/a.pdf", "/sorted/x/a.pdf")) == (
        True, "file_actions.target_folders[0]",
    )  # fmt: skip
    assert rule(policy, copy("/in/a.pdf", "/sortedx/a.pdf")) == (
        False, "file_actions.target_folders",
    )  # fmt: skip
    assert rule(policy, copy("/in/a.pdf", "/sorted/../etc/a.pdf"))[0] is False
    assert rule(policy, copy("/no/a.pdf", "/sorted/a.pdf")) == (False, "files.denied_folders[0]")
    assert rule(policy, copy("/in/a.pdf", "/sorted/no/a.pdf")) == (
        False, "files.denied_folders[1]",
    )  # fmt: skip
    desk.user({"file_actions": {"allow_copy": True, "target_folders": ["/sorted"]}})
    moving = copy("/in/a.pdf", "/sorted/a.pdf", ActionKind.MOVE_FILE)
    assert rule(desk.load(), moving) == (False, "file_actions.allow_move")


def test_what_a_document_says_needs_a_grant_of_its_own(desk: Desk) -> None:
    desk.user(SORTING)
    policy = desk.load()
    action = Action(
        ActionKind.COPY_FILE, path="/in/a.pdf", target="/sorted/a.pdf", label=Label.UNTRUSTED
    )
    assert policy.decide(action).allowed
    move = Action(
        ActionKind.MOVE_FILE, path="/in/a.pdf", target="/sorted/a.pdf", label=Label.UNTRUSTED
    )
    assert rule(policy, move) == (False, "labels.untrusted_actions")


def test_every_kind_of_action_is_denied_to_untrusted_data_by_default(desk: Desk) -> None:
    policy = desk.load()
    for kind in ActionKind:
        action = Action(kind, path="/a", target="/b", label=Label.UNTRUSTED)
        assert rule(policy, action) == (False, "labels.untrusted_actions")


def test_require_names_the_rule(desk: Desk) -> None:
    desk.user({"watch": {"allowed": False}})
    policy = desk.load()
    with pytest.raises(PolicyDeniedError) as caught:
        policy.require(Action(ActionKind.WATCH_FOLDER, path="/a"))
    assert caught.value.rule == "watch.allowed"
    assert "user settings" in caught.value.why
    assert policy.require(read("/a")).allowed
