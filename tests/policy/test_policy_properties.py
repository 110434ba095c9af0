"""Properties that hold for whatever anybody writes into policies, and whatever is asked of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.policy.files import load
from tests.policy.generated_policies import (
    ACTIONS,
    ANY_TEXT_ACTIONS,
    DECIDING,
    entry_of,
    policies,
    value_of,
)

from hivekeep.domain.actions import Action, ActionKind, Decision, Effect
from hivekeep.domain.errors import PolicyInvalidError
from hivekeep.policy.comparing import Direction, compare
from hivekeep.policy.keys import Key, keys
from hivekeep.policy.layers import Layer, Level, parse_data
from hivekeep.policy.markers import Demand, Deny
from hivekeep.policy.policy import Policy, policy_of

STRICTNESS = list(Effect)
FORBIDDING = tuple(key for key in keys() if isinstance(key.marker, (Deny, Demand)))
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
some_actions = st.lists(ACTIONS, min_size=1, max_size=8)


def layer(content: dict[str, Any], level: Level = Level.MANDATORY) -> Layer:
    return parse_data(content, level, level.value)


def policy(*layers: Layer) -> Policy:
    return policy_of(layers)


def at_least_as_strict(now: Decision, before: Decision) -> bool:
    return STRICTNESS.index(now.effect) >= STRICTNESS.index(before.effect)


def inside(path: str, folder: str) -> bool:
    mine, outer = path.strip("/").split("/"), folder.strip("/").split("/")
    return mine[: len(outer)] == outer


@relaxed
@given(content=policies(), actions=st.lists(ACTIONS | ANY_TEXT_ACTIONS, min_size=1, max_size=8))
def test_every_action_gets_one_complete_answer_and_always_the_same(
    content: dict[str, Any], actions: list[Action]
) -> None:
    first, second = policy(layer(content)), policy(layer(content))
    for action in actions:
        decision = first.decide(action)
        assert decision == first.decide(action) == second.decide(action)
        assert decision.rule
        assert decision.source
        assert decision.reason
        assert (decision.approval is not None) == (decision.effect is Effect.ASK)
        agreed = first.decide(action, confirmed=True)
        assert agreed.allowed == (decision.effect is not Effect.DENY)


@relaxed
@given(content=policies(), actions=some_actions)
def test_a_denied_folder_is_denied_whatever_else_is_allowed(
    content: dict[str, Any], actions: list[Action]
) -> None:
    chosen = policy(layer(content))
    files = content.get("files", {})
    denied, allowed = files.get("denied_folders", []), files.get("allowed_folders")
    for action in actions:
        if not chosen.decide(action, confirmed=True).allowed:
            continue
        if action.kind in (ActionKind.READ_FILE, ActionKind.WATCH_FOLDER):
            assert ".." not in action.path.split("/")
            assert not any(inside(action.path, folder) for folder in denied)
            assert allowed is None or any(inside(action.path, folder) for folder in allowed)
        if action.kind in (ActionKind.COPY_FILE, ActionKind.MOVE_FILE):
            targets = content["file_actions"]["target_folders"]
            assert any(inside(action.target, folder) for folder in targets)
            assert not any(inside(action.target, folder) for folder in denied)
        if action.kind is ActionKind.WRITE_FILE:
            fixed = files.get("read_only_folders", [])
            assert not any(inside(action.path, folder) for folder in [*denied, *fixed])


@relaxed
@given(data=st.data(), content=policies(), actions=some_actions)
def test_adding_a_denial_never_allows_more(
    data: st.DataObject, content: dict[str, Any], actions: list[Action]
) -> None:
    key: Key = data.draw(st.sampled_from(FORBIDDING))
    entry = data.draw(entry_of(key))
    before = policy(layer(content))
    longer = {name: dict(section) for name, section in content.items()}
    longer.setdefault(key.section, {}).setdefault(key.name, [])
    longer[key.section][key.name] = [*longer[key.section][key.name], entry]
    after = policy(layer(longer))
    for action in actions:
        assert at_least_as_strict(after.decide(action), before.decide(action))


@relaxed
@given(machine=policies(), own=policies(), actions=some_actions)
def test_a_user_can_only_narrow_what_the_machine_says(
    machine: dict[str, Any], own: dict[str, Any], actions: list[Action]
) -> None:
    bound = {
        section: {name: value for name, value in names.items() if name in machine[section]}
        for section, names in own.items()
        if section in machine
    }
    alone = policy(layer(machine))
    both = policy(layer(machine), layer(bound, Level.USER))
    for action in actions:
        assert at_least_as_strict(both.decide(action), alone.decide(action))


@relaxed
@given(machine=policies(), own=policies(), actions=some_actions)
def test_a_user_cannot_undo_a_denial_of_the_machine(
    machine: dict[str, Any], own: dict[str, Any], actions: list[Action]
) -> None:
    alone = policy(layer(machine))
    both = policy(layer(machine), layer(own, Level.USER))
    for action in actions:
        before = alone.decide(action, confirmed=True)
        if not before.allowed and before.source != "default":
            assert not both.decide(action, confirmed=True).allowed


@relaxed
@given(machine=policies(), own=policies(), wish=policies(), actions=some_actions)
def test_what_is_recommended_never_counts_against_what_is_mandatory(
    machine: dict[str, Any], own: dict[str, Any], wish: dict[str, Any], actions: list[Action]
) -> None:
    alone = policy(layer(machine))
    layers = [layer(machine), layer(wish, Level.RECOMMENDED), layer(own, Level.USER)]
    both = policy(*layers)
    for action in actions:
        before = alone.decide(action, confirmed=True)
        if not before.allowed and before.source != "default":
            assert not both.decide(action, confirmed=True).allowed


@relaxed
@given(content=policies(), added=policies(), actions=some_actions)
def test_a_later_mandatory_source_never_widens_what_an_earlier_one_states(
    content: dict[str, Any], added: dict[str, Any], actions: list[Action]
) -> None:
    alone = policy(layer(content))
    try:
        both = policy(layer(content), layer(added))
    except PolicyInvalidError:
        assume(False)
    for action in actions:
        before = alone.decide(action, confirmed=True)
        if not before.allowed and before.source != "default":
            assert not both.decide(action, confirmed=True).allowed


@relaxed
@given(data=st.data(), content=policies(), actions=some_actions)
def test_a_change_that_is_called_tighter_permits_nothing_new(
    data: st.DataObject, content: dict[str, Any], actions: list[Action]
) -> None:
    key: Key = data.draw(st.sampled_from(DECIDING))
    changed = {name: dict(section) for name, section in content.items()}
    changed.setdefault(key.section, {})[key.name] = data.draw(value_of(key))
    first, second = policy(layer(content)), policy(layer(changed))
    for change in compare(first.settings, second.settings):
        before, after = first, second
        if change.direction is Direction.LOOSER:
            before, after = second, first
        if change.direction is not Direction.OTHER:
            for action in actions:
                assert at_least_as_strict(after.decide(action), before.decide(action))


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=60) | st.binary(max_size=60).map(lambda b: b.decode("latin-1")))
def test_any_text_is_a_policy_or_one_clear_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            load(Path(scratch), user=text.encode("utf-8", "replace").decode())
        except PolicyInvalidError as error:
            problem = error.why
        else:
            problem = "none"
    assert problem
