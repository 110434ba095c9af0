"""Every key of the schema is read by something: a rule that nobody applies is a false promise."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from hivekeep.domain.actions import ActionKind
from hivekeep.policy.deciding import DECIDERS
from hivekeep.policy.keys import keys

ROOT = Path(__file__).resolve().parents[2] / "service" / "hivekeep"
# What defines the keys or describes them does not apply them.
DESCRIBING = ("policy/sections", "policy/generated", "policy/keys.py", "policy/schema.py")


def assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What is assigned to what, also several things at once."""
    if not isinstance(node, ast.Assign):
        return
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value


@cache
def readers() -> tuple[tuple[str, frozenset[str], frozenset[tuple[str, str]]], ...]:
    """Of each module: its texts, and which attribute is read of which."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(DESCRIBING):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant))
        texts = {text for text in constants if isinstance(text, str)}
        # 'rules = policy.settings.runs' lets 'rules.max_agents' be a reading of 'runs.max_agents'.
        named: dict[str, set[str]] = {}
        for target, value in (pair for node in ast.walk(tree) for pair in assigned(node)):
            if isinstance(target, ast.Name) and isinstance(value, ast.Attribute):
                named.setdefault(target.id, set()).add(value.attr)
        read = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                read.add((node.value.attr, node.attr))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                read |= {(section, node.attr) for section in named.get(node.value.id, ())}
        found.append((name, frozenset(texts), frozenset(read)))
    return tuple(found)


@pytest.mark.parametrize("key", keys(), ids=lambda key: key.id)
def test_a_key_has_a_reader(key: object) -> None:
    section, name = key.section, key.name  # type: ignore[attr-defined]
    who = [
        module
        for module, texts, read in readers()
        if f"{section}.{name}" in texts or (section, name) in read
    ]
    assert who, f"nothing applies {section}.{name}"


def test_the_search_finds_no_reader_of_what_nobody_reads() -> None:
    every = {pair for _, _, read in readers() for pair in read}
    assert ("runs", "max_colours") not in every
    assert ("runs", "max_agents") in every


def test_every_kind_of_action_is_decided() -> None:
    assert set(DECIDERS) == set(ActionKind)
