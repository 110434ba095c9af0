"""Folder rules for Windows' paths, decided from text alone on whatever system this runs."""

from __future__ import annotations

import json
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hivekeep.domain.actions import Action, ActionKind, Decision, Effect
from hivekeep.domain.errors import PolicyInvalidError
from hivekeep.files import name_problem
from hivekeep.policy.layers import Level, parse_text
from hivekeep.policy.paths import components, within
from hivekeep.policy.policy import Policy, policy_of
from hivekeep.policy.types import suffix_of


def policy(**files: object) -> Policy:
    text = json.dumps({"files": files}).encode()
    return policy_of([parse_text(text, Level.MANDATORY, "test")])


def read(of: Policy, path: str) -> Decision:
    return of.decide(Action(ActionKind.READ_FILE, path=path))


SALES = ["C:\\Data\\Sales", "\\\\files\\team"]


@pytest.mark.parametrize(
    "path",
    [
        "C:\\Data\\Sales\\a.pdf",
        "c:\\data\\SALES\\a.pdf",
        "C:/Data/Sales/a.pdf",
        "\\\\?\\C:\\Data\\Sales\\a.pdf",
        "C:\\Data\\\\Sales\\a.pdf",
        "\\\\FILES\\Team\\2026\\a.pdf",
        "\\\\?\\UNC\\files\\team\\a.pdf",
        "\\\\?\\unc\\files\\team\\a.pdf",
    ],
)
def test_one_place_in_many_spellings(path: str) -> None:
    assert read(policy(allowed_folders=SALES), path).effect is Effect.ALLOW
    denied = read(policy(denied_folders=SALES), path)
    assert (denied.effect, denied.rule[:20]) == (Effect.DENY, "files.denied_folders")


@pytest.mark.parametrize(
    "path",
    [
        "C:Data\\Sales\\a.pdf",
        "\\Data\\Sales\\a.pdf",
        "Data\\a.pdf",
        "C:\\Data\\Sales\\..\\..\\secret.pdf",
        "C:\\Data\\.\\a.pdf",
        "C:\\Data\\Sales\\a.pdf.",
        "C:\\Data\\Sales \\a.pdf",
        "C:\\Data\\Sales\\a.pdf:hidden",
        "C:\\Data\\Sales\\a.pdf::$DATA",
        "C:\\Data\\Sales:s:$INDEX_ALLOCATION\\a.pdf",
        "C:\\Data\\Sales\\NUL",
        "C:\\Data\\Sales\\con.pdf",
        "C:\\Data\\Sales\\COM1.txt",
        "C:\\DATA~1\\Sales\\a.pdf",
        "C:\\Data\\Sal?s\\a.pdf",
        "C:\\Data\\Sales\\a\0.pdf",
        "\\\\.\\C:\\Data\\Sales\\a.pdf",
        "\\\\.\\PhysicalDrive0",
        "\\??\\C:\\Data\\Sales\\a.pdf",
        "\\\\?\\GLOBALROOT\\Device\\HarddiskVolume1\\a.pdf",
        "\\\\?\\Volume{b75e2c83-0000-0000-0000-602f00000000}\\a.pdf",
        "\\\\?\\C:/Data/Sales/a.pdf",
        "\\\\?\\\\\\files\\team\\a.pdf",
        "\\\\localhost\\c$\\Data\\a.pdf",
        "\\\\127.0.0.1\\team\\a.pdf",
        "\\\\files\\C$\\a.pdf",
        "\\\\files@SSL@443\\DavWWWRoot\\a.pdf",
        "\\\\files",
        "\\\\files\\",
        "1:\\a.pdf",
    ],
)
def test_what_is_no_path_permits_nothing(path: str) -> None:
    for chosen in (policy(), policy(allowed_folders=SALES), policy(denied_folders=SALES)):
        assert read(chosen, path).effect is Effect.DENY


@pytest.mark.parametrize(
    "path", ["C:\\Data\\Salesman\\a.pdf", "D:\\Data\\Sales\\a.pdf", "\\\\files\\teams\\a.pdf",
             "\\\\files2\\team\\a.pdf", "/Data/Sales/a.pdf"],
)  # fmt: skip
def test_neighbours_are_not_inside(path: str) -> None:
    assert read(policy(allowed_folders=SALES), path).effect is Effect.DENY
    assert read(policy(denied_folders=SALES), path).effect is Effect.ALLOW


def test_letters_that_share_a_capital_are_denied_together_and_allowed_apart() -> None:
    for one, other in (("ı", "i"), ("ς", "σ"), ("ſ", "s")):
        path = f"C:\\{other}\\a.pdf"
        assert read(policy(denied_folders=[f"C:\\{one}"]), path).effect is Effect.DENY
        assert read(policy(allowed_folders=[f"C:\\{one}"]), path).effect is Effect.DENY
        assert read(policy(allowed_folders=[f"C:\\{one}"]), f"C:\\{one}\\a.pdf").allowed


def test_a_type_is_that_of_the_last_name() -> None:
    assert suffix_of("C:\\a.b\\c") == ""
    assert suffix_of("C:\\a\\C.PDF") == ".pdf"
    assert suffix_of("/a\\b.c/d.txt") == ".txt"


@pytest.mark.parametrize(
    "folder", ["C:Data", "C:\\Data\\..", "C:\\con", "\\\\.\\pipe", "\\\\files", "C:\\a:b", "Data"]
)
def test_a_rule_that_means_nothing_is_a_mistake(folder: str) -> None:
    with pytest.raises(PolicyInvalidError):
        policy(denied_folders=[folder])


def test_a_later_file_narrows_by_the_same_comparison() -> None:
    def layer(folder: str, name: str) -> object:
        text = json.dumps({"files": {"allowed_folders": [folder]}}).encode()
        return parse_text(text, Level.MANDATORY, name)

    both = policy_of([layer("C:\\Data", "1"), layer("c:/DATA/sales", "2")])  # type: ignore[list-item]
    assert read(both, "C:\\Data\\Sales\\a.pdf").allowed
    assert not read(both, "C:\\Data\\a.pdf").allowed
    with pytest.raises(PolicyInvalidError):
        policy_of([layer("C:\\Data\\Sales", "1"), layer("C:\\Data", "2")])  # type: ignore[list-item]


names = st.text(
    st.characters(codec="utf-8", exclude_characters='/\\:<>"|?*\0'), min_size=1, max_size=8
).filter(lambda name: name_problem(name) is None)
roots = st.sampled_from(["C:\\", "d:\\", "\\\\server\\share\\", "\\\\?\\C:\\"])
paths = st.builds(lambda root, parts: root + "\\".join(parts), roots, st.lists(names, max_size=5))


@given(paths)
def test_spelling_does_not_matter(path: str) -> None:
    parts = components(path)
    assert parts is not None
    ascii_swapped = "".join(c.swapcase() if c.isascii() else c for c in path)
    assert components(ascii_swapped) == parts
    if not path.startswith("\\\\"):
        assert components(path.replace("\\", "/")) == parts
    assert components(str(PureWindowsPath(path.removeprefix("\\\\?\\")))) == parts
    again = "\\".join(parts) if len(parts) > 1 else f"{parts[0]}\\"
    assert components(again) == parts


@given(paths, paths)
def test_inside_is_what_windows_says(outer: str, inner: str) -> None:
    plain_outer, plain_inner = (
        PureWindowsPath(path.removeprefix("\\\\?\\")) for path in (outer, inner)
    )
    if within(outer, inner):
        assert plain_inner.is_relative_to(plain_outer) or not (outer + inner).isascii()
    if plain_inner.is_relative_to(plain_outer) and (outer + inner).isascii():
        assert within(outer, inner)


@given(st.text(max_size=40))
def test_any_text_is_a_path_or_none(text: str) -> None:
    parts = components("C:\\" + text)
    if parts is not None:
        assert ".." not in parts
        assert not any(set(part) & set("\\/:") for part in parts[1:])
