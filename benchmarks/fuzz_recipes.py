"""Recipes, and what a server says of its tools, under a fuzzer that is guided by coverage.

A recipe file is a plan or an error that names a line; a tool's JSON Schema is a type whose own
schema can be written, or a refusal.  Prints what was tried and ends with one line of JSON.  Run:
``make bench-env`` once, then ``make bench NAME=fuzz_recipes``.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.fuzzing import Targets, report_all
from hivekeep.domain.errors import RecipeError, ToolError
from hivekeep.recipes import builtin_recipes, load_recipe, new_recipe_text
from hivekeep.tools.mcp.schema import arguments_of

FOLDER = Path(tempfile.gettempdir()) / "hivekeep-fuzz-recipes"


def recipe(raw: bytes) -> None:
    """A recipe file: a plan, or an error that says in which line."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / "fuzz.yaml"
    path.write_bytes(raw)
    try:
        load_recipe(path).compile()
    except RecipeError as error:
        if "line " not in error.why:
            raise AssertionError(f"no line is named: {error}") from error


def schema(raw: bytes) -> None:
    """The schema of a tool's arguments."""
    try:
        stated = json.loads(raw)
    except (ValueError, RecursionError):
        return
    if isinstance(stated, dict):
        json.dumps(arguments_of("do", stated).model_json_schema())


TARGETS: Targets = {
    "recipe": (
        recipe,
        [*(one.path.read_bytes() for one in builtin_recipes().values()),
         new_recipe_text("mine", "Mine").encode()],
    ),
    "schema": (
        schema,
        [b'{"properties": {"a": {"type": "string", "maxLength": 3}, "b": {"anyOf": [{"type": '
         b'"array", "items": {"enum": ["x"]}}, {"type": "null"}]}}, "required": ["a"]}'],
    ),
}  # fmt: skip
EXPECTED = (RecipeError, ToolError)


if __name__ == "__main__":
    report_all("fuzz_recipes", TARGETS, ["hivekeep.recipes", "hivekeep.tools.mcp"], __doc__)
