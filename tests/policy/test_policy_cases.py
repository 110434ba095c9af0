"""Files of test cases, the ready samples, and comparing policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hivekeep.domain.actions import Effect, Label
from hivekeep.domain.errors import UsageError
from hivekeep.policy.asking import action_of, judge, parse_cases
from hivekeep.policy.comparing import Direction, compare
from hivekeep.policy.layers import Level, parse_data, parse_text
from hivekeep.policy.policy import Policy, policy_of

SAMPLES = Path(__file__).resolve().parents[2] / "policies" / "samples"


def policy(data: dict[str, Any]) -> Policy:
    return policy_of([parse_data(data, Level.MANDATORY, "test")])


@pytest.mark.parametrize("name", ["finance", "legal", "research-lab", "home"])
def test_a_ready_sample_does_what_its_cases_say(name: str) -> None:
    found = parse_cases((SAMPLES / f"{name}.cases.yaml").read_text(encoding="utf-8"), name)
    layers = [
        parse_text((SAMPLES / file).read_bytes(), Level.MANDATORY, file) for file in found.policies
    ]
    outcomes = judge(policy_of(layers), found.cases)
    assert [o.case.name for o in outcomes if not o.passed] == []
    assert {o.decision.effect for o in outcomes} >= {Effect.ALLOW, Effect.DENY}
    assert len(outcomes) >= 10


def test_a_case_fails_on_another_answer_and_on_another_rule() -> None:
    text = """
cases:
- {name: a, action: {kind: watch_folder, path: /a}, expect: allow}
- {name: b, action: {kind: watch_folder, path: /a}, expect: deny, rule: files}
- {name: c, action: {kind: watch_folder, path: /a}, expect: deny, rule: watch.allowed}
"""
    outcomes = judge(policy({"watch": {"allowed": False}}), parse_cases(text, "x").cases)
    assert [outcome.passed for outcome in outcomes] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cases: []", "cases"),
        ("", "file"),
        ("cases: [{name: x, action: {kind: notify}, expect: perhaps}]", "expect"),
        ("cases: [{name: x, action: {kind: notify}, expect: deny, more: 1}]", "more"),
        ("cases:\n- {name: x\n- y", "Line 3"),
        ("- a", "file"),
        ("&a [*a]", "file"),
    ],
)
def test_cases_that_cannot_be_used(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_cases(text, "x.yaml")
    assert why in caught.value.why


def test_actions_from_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    action = action_of(
        {"kind": "run_code", "path": "~/a", "size": "3", "packages": "numpy,pandas",
         "label": "untrusted", "user_recipe": "true"}
    )  # fmt: skip
    assert (action.path, action.size, action.packages) == ("/home/ada/a", 3, ("numpy", "pandas"))
    assert action.label is Label.UNTRUSTED
    assert action.user_recipe
    for wrong in ({"kind": "fly"}, {"kind": "notify", "sise": 1}, {"kind": "notify", "size": "x"}):
        with pytest.raises(UsageError):
            action_of(wrong)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"watch": {"allowed": False}}, Direction.TIGHTER),
        ({"watch": {"allowed": False}}, {}, Direction.LOOSER),
        ({}, {"files": {"max_size": 1}}, Direction.TIGHTER),
        ({"files": {"max_size": 1}}, {"files": {"max_size": 2}}, Direction.LOOSER),
        ({}, {"files": {"allowed_folders": []}}, Direction.TIGHTER),
        (
            {"files": {"allowed_folders": ["/a"]}},
            {"files": {"allowed_folders": ["/a/b", "/a/c"]}},
            Direction.TIGHTER,
        ),
        (
            {"files": {"allowed_folders": ["/a"]}},
            {"files": {"allowed_folders": ["/a/b", "/c"]}},
            Direction.OTHER,
        ),
        (
            {"files": {"denied_folders": ["/a/b"]}},
            {"files": {"denied_folders": ["/a"]}},
            Direction.TIGHTER,
        ),
        (
            {"files": {"denied_folders": ["/a"]}},
            {"files": {"denied_folders": ["/a/b"]}},
            Direction.LOOSER,
        ),
        ({}, {"approvals": {"required_from": "low"}}, Direction.TIGHTER),
        ({}, {"approvals": {"required_from": "never"}}, Direction.LOOSER),
        ({}, {"approvals": {"required_for": ["notify"]}}, Direction.TIGHTER),
        ({}, {"retention": {"audit_days": 30}}, Direction.TIGHTER),
        ({}, {"support": {"contact": "me"}}, Direction.OTHER),
        (
            {"network": {"allowed_hosts": ["*.a.org"]}},
            {"network": {"allowed_hosts": ["x.a.org"]}},
            Direction.TIGHTER,
        ),
        (
            {"network": {"recipients": ["@a.org"]}},
            {"network": {"recipients": ["b@a.org"]}},
            Direction.TIGHTER,
        ),
    ],
)
def test_which_way_a_change_goes(before: Any, after: Any, expected: Direction) -> None:
    (change,) = compare(policy(before).settings, policy(after).settings)
    assert change.direction is expected


def test_equal_policies_have_no_difference() -> None:
    assert compare(policy({}).settings, policy({"watch": {"allowed": True}}).settings) == []
