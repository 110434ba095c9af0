"""Properties that hold for whatever anybody writes into policy files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.files import load

from hivekeep.domain.actions import Action, ActionKind, Label
from hivekeep.domain.errors import PolicyInvalidError

PARTS = st.sampled_from(["a", "ab", "b", "c"])
FOLDERS = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
FOLDER_LISTS = st.lists(FOLDERS, max_size=4)
TYPES = st.sampled_from([".pdf", ".txt", "image/*", "image/png"])


def optional(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


CONTENTS = optional(
    files=optional(
        allowed_folders=FOLDER_LISTS,
        denied_folders=FOLDER_LISTS,
        output_folders=FOLDER_LISTS,
        allowed_types=st.lists(TYPES, max_size=3),
        denied_types=st.lists(TYPES, max_size=2),
        max_size=st.integers(0, 20),
    ),
    runs=optional(max_documents=st.integers(0, 20)),
    recipes=optional(
        allowed=st.lists(st.sampled_from("rs"), max_size=2), user_recipes=st.booleans()
    ),
    models=optional(allowed=st.lists(st.sampled_from("mn"), max_size=2)),
    network=optional(
        allowed_hosts=st.lists(st.sampled_from(["a.org", "*.a.org", "x.a.org"]), max_size=2),
        model_downloads=st.sampled_from(["deny", "ask", "allow"]),
    ),
    file_actions=optional(
        allow_copy=st.booleans(), allow_move=st.booleans(), target_folders=FOLDER_LISTS
    ),
    labels=optional(untrusted_actions=st.lists(st.sampled_from(["copy_file"]), max_size=1)),
    watch=optional(allowed=st.booleans()),
)
FILES = st.builds(lambda folder, name: f"{folder}/{name}", FOLDERS, st.sampled_from(
    ["x.pdf", "x.PNG", "x.txt", "x", "..", "../a/x.pdf"]
))  # fmt: skip
ACTIONS = st.builds(
    Action,
    st.sampled_from(list(ActionKind)),
    path=FILES,
    target=FILES,
    size=st.integers(0, 20),
    count=st.integers(0, 20),
    host=st.sampled_from(["a.org", "x.a.org", "y.x.a.org", "b.org"]),
    model=st.sampled_from("mn"),
    recipe=st.sampled_from("rs"),
    user_recipe=st.booleans(),
    label=st.sampled_from(list(Label)),
)


def inside(path: str, folder: str) -> bool:
    mine, outer = path.strip("/").split("/"), folder.strip("/").split("/")
    return mine[: len(outer)] == outer


@settings(max_examples=80, deadline=None)
@given(content=CONTENTS, actions=st.lists(ACTIONS, min_size=1, max_size=8))
def test_a_denied_folder_is_denied_whatever_else_is_allowed(
    content: dict[str, Any], actions: list[Action]
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        policy = load(Path(scratch), user=content)
    denied = content.get("files", {}).get("denied_folders", [])
    allowed = content.get("files", {}).get("allowed_folders")
    for action in actions:
        decision = policy.decide(action)
        if action.kind is ActionKind.READ_FILE and decision.allowed:
            assert ".." not in action.path.split("/")
            assert not any(inside(action.path, folder) for folder in denied)
            assert allowed is None or any(inside(action.path, folder) for folder in allowed)
        if action.kind in (ActionKind.COPY_FILE, ActionKind.MOVE_FILE) and decision.allowed:
            targets = content["file_actions"]["target_folders"]
            assert any(inside(action.target, folder) for folder in targets)
            assert not any(inside(action.target, folder) for folder in denied)
        if action.kind is ActionKind.WRITE_FILE and decision.allowed:
            assert not any(inside(action.path, folder) for folder in denied)


@settings(max_examples=80, deadline=None)
@given(machine=CONTENTS, own=CONTENTS, actions=st.lists(ACTIONS, min_size=1, max_size=8))
def test_a_user_cannot_undo_a_denial_of_the_machine(
    machine: dict[str, Any], own: dict[str, Any], actions: list[Action]
) -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        alone = load(Path(first), managed=[machine])
        both = load(Path(second), managed=[machine], user=own)
    for action in actions:
        before = alone.decide(action, confirmed=True)
        if not before.allowed and before.source != "default":
            assert not both.decide(action, confirmed=True).allowed


@settings(max_examples=80, deadline=None)
@given(content=CONTENTS, added=CONTENTS, actions=st.lists(ACTIONS, min_size=1, max_size=8))
def test_a_later_mandatory_file_never_widens_what_an_earlier_one_denies(
    content: dict[str, Any], added: dict[str, Any], actions: list[Action]
) -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        alone = load(Path(first), managed=[content])
        try:
            both = load(Path(second), managed=[content, added])
        except PolicyInvalidError:
            return
    for action in actions:
        before = alone.decide(action, confirmed=True)
        if not before.allowed and before.source != "default":
            assert not both.decide(action, confirmed=True).allowed


@settings(max_examples=200, deadline=None)
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
