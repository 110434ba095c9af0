"""What a policy answers to each kind of action."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.policy.files import Desk

from hivekeep.domain.actions import Action, ActionKind, Effect, Label, Risk
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
        ActionKind.SCHEDULE_RUN,
        ActionKind.RUN_CODE,
        ActionKind.USE_TOOL,
        ActionKind.NOTIFY,
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


def test_untrusted_data_alone_leads_to_nothing(desk: Desk) -> None:
    lenient = desk.load()
    desk.user({"labels": {"untrusted_otherwise": "deny"}})
    strict = desk.load()
    for kind in ActionKind:
        action = Action(kind, path="/a", target="/b", label=Label.UNTRUSTED)
        trusted = replace(action, label=Label.TRUSTED)
        asked = lenient.decide(action)
        denied = lenient.decide(trusted).effect is Effect.DENY
        assert asked.effect is (Effect.DENY if denied else Effect.ASK)
        assert asked.risk.rank >= lenient.decide(trusted).risk.rank
        assert strict.decide(action, confirmed=True).effect is Effect.DENY


def test_require_names_the_rule(desk: Desk) -> None:
    desk.user({"watch": {"allowed": False}})
    policy = desk.load()
    with pytest.raises(PolicyDeniedError) as caught:
        policy.require(Action(ActionKind.WATCH_FOLDER, path="/a"))
    assert caught.value.rule == "watch.allowed"
    assert "user settings" in caught.value.why
    assert policy.require(read("/a")).allowed


def test_a_risky_action_waits_for_a_person(desk: Desk) -> None:
    desk.user(
        {
            "tools": {"mcp_servers": ["notes"], "commands": ["/usr/bin/git"]},
            "approvals": {
                "required_for": ["start_run"],
                "always_allow_up_to": "medium",
                "timeout_seconds": 60,
                "approvers": ["ada"],
                "critical_approvers": ["@admins"],
            },
            "network": {"recipients": ["@example.com"]},
        }
    )
    policy = desk.load()
    call = policy.decide(Action(ActionKind.MCP_CALL, server="notes", tool="search"))
    assert (call.effect, call.rule, call.risk) == (
        Effect.ASK, "approvals.required_from", Risk.HIGH,
    )  # fmt: skip
    assert not call.allowed
    assert call.approval is not None
    assert call.approval.approvers == ("ada",)
    assert not call.approval.always_allow
    assert call.approval.timeout_seconds == 60
    start = policy.decide(Action(ActionKind.START_RUN, count=1))
    assert (start.effect, start.rule) == (Effect.ASK, "approvals.required_for[0]")
    assert start.approval is not None
    assert start.approval.always_allow
    sending = policy.decide(Action(ActionKind.SEND_DATA, recipient="Bob@Example.com"))
    assert sending.risk is Risk.CRITICAL
    assert sending.approval is not None
    assert sending.approval.approvers == ("@admins",)
    said_yes = policy.decide(
        Action(ActionKind.MCP_CALL, server="notes", tool="search"), confirmed=True
    )
    assert said_yes.allowed
    assert said_yes.approval is None
    other = policy.decide(Action(ActionKind.MCP_CALL, server="other", tool="x"), confirmed=True)
    assert other.effect is Effect.DENY


def test_a_threshold_of_never_asks_for_nothing(desk: Desk) -> None:
    desk.user(
        {
            "tools": {"commands": ["/usr/bin/git"]},
            "approvals": {"required_from": "never", "always_allow_up_to": "never"},
        }
    )
    git = Action(ActionKind.RUN_COMMAND, command="/usr/bin/git")
    policy = desk.load()
    assert rule(policy, git) == (True, "tools.commands[0]")
    assert not policy.decide(replace(git, command="/tmp/git"), confirmed=True).allowed


def do(kind: str, **details: Any) -> Action:
    return Action(ActionKind(kind), **details)


@pytest.mark.parametrize(
    ("action", "expected", "why"),
    [
        (do("browser_visit", site="www.shop.example"), "allow", "browser.allowed_sites[0]"),
        (do("browser_visit", site="shop.example"), "deny", "browser.allowed_sites"),
        (do("browser_visit", site="pay.shop.example."), "deny", "browser.denied_sites[0]"),
        (do("browser_visit", site="evil.shop.example"), "deny", "network.denied_hosts[0]"),
        (do("browser_visit", site="b\u00fccher.shop.example"), "deny", "browser.site"),
        (
            do("browser_act", site="a.shop.example", verb="read"),
            "allow",
            "browser.allowed_actions[0]",
        ),
        (do("browser_act", site="a.shop.example", verb="click"), "ask", "approvals.required_from"),
        (
            do("browser_act", site="a.shop.example", verb="submit"),
            "deny",
            "browser.allowed_actions",
        ),
        (
            do("remote_inference", endpoint="https://LLM.example:443/v1/chat"),
            "allow",
            "network.remote_inference[0]",
        ),
        (
            do("remote_inference", endpoint="http://llm.example/"),
            "deny",
            "network.remote_inference",
        ),
        (
            do("remote_inference", endpoint="https://llm.example@evil.org/"),
            "deny",
            "network.endpoint",
        ),
        (
            do("remote_inference", endpoint="https://llm.example:8443"),
            "deny",
            "network.remote_inference",
        ),
        (do("ray_cluster", host="Ray.example:6379"), "allow", "network.ray_clusters[0]"),
        (do("ray_cluster", host="ray.example:6380"), "deny", "network.ray_clusters"),
        (do("connect", host="evil.shop.example"), "deny", "network.denied_hosts[0]"),
        (do("run_code", packages=("numpy.linalg",)), "allow", "tools.run_code"),
        (do("run_code", packages=("numpy", "socket")), "deny", "tools.python_packages"),
        (do("use_tool", tool="sheet"), "allow", "tools.allowed"),
        (do("use_tool", tool="shell"), "deny", "tools.denied[0]"),
        (do("mcp_call", server="notes", tool="delete"), "deny", "tools.denied[1]"),
        (do("mcp_call", server="notes", tool="search"), "ask", "approvals.required_from"),
        (do("schedule_run"), "allow", "schedules.allowed"),
        (do("schedule_run", local_time="21:59"), "allow", "schedules.allowed"),
        (do("schedule_run", local_time="22:00"), "deny", "schedules.quiet_hours[0]"),
        (do("schedule_run", local_time="05:59"), "deny", "schedules.quiet_hours[0]"),
        (do("schedule_run", local_time="12:30"), "deny", "schedules.quiet_hours[1]"),
        (do("schedule_run", local_time="soon"), "deny", "schedules.quiet_hours"),
        (do("use_market_provider", provider="tencent"), "allow", "market.allowed_providers[0]"),
        (do("use_market_provider", provider="yahoo"), "deny", "market.allowed_providers"),
        (do("delete_file", path="/a/x.pdf"), "ask", "approvals.required_from"),
        (do("delete_file", path="/fixed/x.pdf"), "deny", "files.read_only_folders[0]"),
        (do("read_file", path="/fixed/x.pdf"), "allow", "files.allowed_folders"),
        (do("write_file", path="/fixed/x.pdf"), "deny", "files.read_only_folders[0]"),
        (
            do("move_file", path="/fixed/x.pdf", target="/to/x.pdf"),
            "deny",
            "files.read_only_folders[0]",
        ),
        (
            do("copy_file", path="/fixed/x.pdf", target="/to/x.pdf"),
            "allow",
            "file_actions.target_folders[0]",
        ),
        (do("use_recipe", recipe="r", user_recipe=True), "deny", "recipes.require_signature"),
        (
            do("use_recipe", recipe="r", user_recipe=True, signer="b" * 64),
            "deny",
            "recipes.require_signature",
        ),
        (
            do("use_recipe", recipe="r", user_recipe=True, signer="a" * 64),
            "allow",
            "recipes.allowed",
        ),
        (do("use_recipe", recipe="invoices"), "allow", "recipes.allowed"),
        (do("clipboard", verb="read"), "ask", "desktop.clipboard"),
        (do("notify"), "deny", "desktop.notifications"),
        (do("export_audit"), "deny", "audit.export"),
        (do("install_update"), "deny", "updates.mode"),
        (do("download_model", host="evil.shop.example"), "deny", "network.denied_hosts[0]"),
        (do("download_model", host="pypi.org"), "ask", "network.model_downloads"),
    ],
    ids=str,
)
def test_what_goes_beyond_the_machine(desk: Desk, action: Action, expected: str, why: str) -> None:
    desk.user(
        {
            "files": {"read_only_folders": ["/fixed"]},
            "file_actions": {
                "allow_copy": True, "allow_move": True, "allow_delete": True,
                "target_folders": ["/to"],
            },
            "recipes": {"require_signature": True, "trusted_keys": ["a" * 64]},
            "schedules": {"quiet_hours": ["22:00-06:00", "12:00-13:00"]},
            "network": {
                "denied_hosts": ["evil.shop.example"], "allowed_hosts": ["*.shop.example"],
                "remote_inference": ["https://LLM.example:443/"],
                "ray_clusters": ["ray.example:6379"],
            },
            "browser": {
                "allowed_sites": ["*.shop.example"], "denied_sites": ["pay.shop.example"],
                "allowed_actions": ["read", "click"],
            },
            "tools": {
                "denied": ["shell", "notes/delete"], "mcp_servers": ["notes"],
                "python_packages": ["numpy"],
            },
            "market": {"allowed_providers": ["tencent"]},
            "desktop": {"notifications": "off"},
            "audit": {"export": "deny"},
        }
    )  # fmt: skip
    decision = desk.load().decide(action)
    assert (decision.effect, decision.rule) == (Effect(expected), why)
    assert (decision.approval is not None) == (decision.effect is Effect.ASK)


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        ("bob@example.com", True),
        ("bob@sub.example.com", False),
        ("bob@example.com.evil.org", False),
        ("x@evil.org@example.com", False),
        ("x,y@evil.org\n@example.com", False),
        ("example.com", False),
        ("ada@partner.org", True),
        ("eve@partner.org", False),
        ("", False),
    ],
)
def test_recipients(desk: Desk, recipient: str, expected: bool) -> None:
    desk.user({"network": {"recipients": ["@example.com", "Ada@partner.org"]}})
    action = Action(ActionKind.SEND_DATA, recipient=recipient)
    assert desk.load().decide(action, confirmed=True).allowed is expected
