"""What a screen reader finds on the screen: run by the system's Python, which has its bindings.

``python3 screen_reader.py`` prints a JSON list of [role, name] in reading order, from the desktop
down; with a name as argument it presses the button that is called so instead.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # type: ignore[import-not-found]  # noqa: E402

_DEEPEST = 40


def nodes(node: Any, depth: int = 0) -> Iterator[Any]:
    """``node`` and everything in it that is still there."""
    yield node
    if depth == _DEEPEST:
        return
    try:
        children = [node.get_child_at_index(i) for i in range(node.get_child_count())]
    except GLib.Error:
        return
    for child in children:
        if child is not None:
            yield from nodes(child, depth + 1)


def described(node: Any) -> list[str]:
    """Its role and its name; empty if it has gone."""
    try:
        return [node.get_role_name(), node.get_name() or ""]
    except GLib.Error:
        return ["", ""]


def main() -> int:
    """Look, or press."""
    Atspi.init()
    found = list(nodes(Atspi.get_desktop(0)))
    if len(sys.argv) == 1:
        print(json.dumps([described(node) for node in found]))
        return 0
    for node in found:
        if described(node) == ["push button", sys.argv[1]]:
            names = [Atspi.Action.get_action_name(node, i) for i in range(node.get_n_actions())]
            # Whoever reads a page has the focus where the reading is.
            done = [node.do_action(names.index(action)) for action in ("Set Focus", "Press")]
            return 0 if all(done) else 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
