"""Whatever a recipe file holds, it is a recipe or an error that names a line."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hivekeep.domain.errors import RecipeError
from hivekeep.recipes import Recipe, load_recipe, new_recipe_text

STARTER = new_recipe_text("notes", "Notes")
YAML_PIECES = st.sampled_from(
    ["a", "b: ", "- ", "\n", "  ", "[", "]", "{", "}", ",", ": ", "&x ", "*x", "!!int ", "!t ",
     '"', "'", "|", ">", "?", "#", "%YAML 9.9", "---", "...", "\t", "<<: ", "0x1F", "1e999", "~",
     "2026-99-99", "é", "🚚", "\\", "\0", "\x85", "=", "name: n\n", "fields: ", "title: t\n"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
KEYS = st.sampled_from(
    ["name", "title", "fields", "instructions", "checks", "sums", "terms", "total", "type",
     "columns", "aliases", "choices", "test", "expect", "file_action", "kind", "root", "nonsense"]
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)


def judge(raw: bytes) -> str:
    """``ok``, or the reasons of the error; any other exception is a failure."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_bytes(raw)
        try:
            recipe = load_recipe(path)
        except RecipeError as error:
            return error.why
        assert isinstance(recipe, Recipe)
        recipe.compile()
        return "ok"


def sound(verdict: str) -> bool:
    return verdict == "ok" or (
        re.match(r"recipe\.yaml, line \d+, column \d+: \S", verdict) is not None
        and "\n" not in verdict
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(YAML_PIECES, max_size=25).map("".join))
def test_any_yaml_like_text(text: str) -> None:
    assert sound(judge(text.encode()))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes(raw: bytes) -> None:
    assert sound(judge(raw))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(STARTER) - 1), st.integers(0, 40), st.lists(YAML_PIECES, max_size=4))
def test_a_valid_recipe_with_a_piece_replaced(start: int, length: int, pieces: list[str]) -> None:
    assert sound(judge((STARTER[:start] + "".join(pieces) + STARTER[start + length :]).encode()))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_any_data_in_the_shape_of_a_recipe(data: dict[str, Any]) -> None:
    assert sound(judge(yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "replace")))
