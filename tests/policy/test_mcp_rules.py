"""Which MCP servers may start, with which network, and what they may see."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hivekeep.domain.actions import Action, ActionKind, Decision, Effect
from hivekeep.policy.layers import Level, parse_text
from hivekeep.policy.policy import policy_of


def decide(rules: dict[str, Any], **action: str) -> Decision:
    text = json.dumps({"tools": {"mcp_servers": ["notes"]}, **rules}).encode()
    policy = policy_of([parse_text(text, Level.MANDATORY, "test")])
    return policy.decide(Action(ActionKind.MCP_START, **action))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "action", "effect", "rule"),
    [
        ({}, {"server": "notes"}, Effect.ALLOW, "tools.mcp_servers[0]"),
        ({}, {"server": "other"}, Effect.DENY, "tools.mcp_servers"),
        ({"denied": ["notes"]}, {"server": "notes"}, Effect.DENY, "tools.denied[0]"),
        ({}, {"server": "notes", "verb": "network"}, Effect.DENY, "tools.mcp_network"),
        (
            {"mcp_network": ["notes"]},
            {"server": "notes", "verb": "network"},
            Effect.ALLOW,
            "tools.mcp_servers[0]",
        ),
    ],
)
def test_starting_one(
    more: dict[str, Any], action: dict[str, str], effect: Effect, rule: str
) -> None:
    decision = decide({"tools": {"mcp_servers": ["notes"], **more}}, **action)
    assert (decision.effect, decision.rule) == (effect, rule)


@pytest.mark.parametrize(
    ("files", "path", "allowed"),
    [
        ({}, "/home/me/notes", True),
        ({"denied_folders": ["/home/me/notes/private"]}, "/home/me/notes", False),
        ({"denied_folders": ["/home/me/notes/private"]}, "/home/me/notes/open", True),
        ({"denied_folders": ["/home/me"]}, "/home/me/notes", False),
        ({"denied_folders": ["C:\\Data\\Private"]}, "c:\\data", False),
        ({"allowed_folders": ["/home/me/notes"]}, "/home/me", False),
        ({"allowed_folders": ["/home/me"]}, "/home/me/notes", True),
        ({"allowed_types": [".pdf"]}, "/home/me/notes", False),
        ({"denied_types": [".msg"]}, "/home/me/notes", False),
        ({}, "notes", False),
        ({}, "/home/../etc", False),
    ],
)
def test_what_one_may_see(files: dict[str, Any], path: str, allowed: bool) -> None:
    assert decide({"files": files}, server="notes", path=path).allowed is allowed
