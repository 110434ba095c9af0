"""Changes a recipe's text without touching what a person has written in it.

Responsible for adding an example; comments, order and layout of the rest stay.  Invariant: the text
that leaves here says what it said before, plus the example, or nothing leaves.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

from hivekeep.domain.errors import RecipeError
from hivekeep.domain.saying import say
from hivekeep.recipes.parsing import ParseError, parse

_KEY = "examples"
_BY_HAND = say(
    "next.by_hand", "Add the example to the recipe file by hand; docs/recipes.md shows how."
)


def example_lines(document: str, values: Mapping[str, Any]) -> str:
    """An example as it stands in a recipe file, as an item of ``examples``."""
    item = {"document": document, "values": dict(values)}
    text: str = yaml.dump(
        [item], Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=1_000_000
    )
    return text


def with_example(text: str, document: str, values: Mapping[str, Any]) -> str:
    """``text`` with one more example, before those that it has.

    :raises RecipeError: if the file is written in a way that it cannot be added to.
    """
    lines = example_lines(document, values)
    changed = _inserted(text, lines)
    before, after = _data(text), _data(changed)
    item = {"document": document, "values": dict(values)}
    expected = {**before, _KEY: [item, *(before.get(_KEY) or [])]}
    if after != expected:
        raise RecipeError(
            say("error.no_example", "The example cannot be added to this recipe file."),
            why="It is written in a way that a program cannot add to safely.",
            next_step=_BY_HAND,
        )
    return changed


def _inserted(text: str, lines: str) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    node = next((value for key, value in pairs if key.value == _KEY), None)
    if node is None:
        return f"{text.rstrip()}\n\n{_KEY}:\n{textwrap.indent(lines, '  ')}"
    if not isinstance(node, yaml.SequenceNode) or node.flow_style or not node.value:
        return text
    whole = text.splitlines(keepends=True)
    at, indent = node.start_mark.line, " " * node.start_mark.column
    whole.insert(at, textwrap.indent(lines, indent))
    return "".join(whole)


def _data(text: str) -> dict[str, Any]:
    try:
        data = parse(text.encode()).data
    except ParseError as error:
        raise RecipeError(
            say("error.no_example", "The example cannot be added to this recipe file."),
            why=f"Line {error.mark.line}: {error.message}.",
            next_step=_BY_HAND,
        ) from error
    return data if isinstance(data, dict) else {}


class _Dumper(yaml.SafeDumper):
    """Writes several lines as they are."""

    def ignore_aliases(self, _data: Any) -> bool:
        """A recipe may hold none."""
        return True


def _as_block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _as_block)
