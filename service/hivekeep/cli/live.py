"""The live view of a run: one line per sub-agent, counts, tokens and time left.

Responsible for drawing; the data are the daemon's progress views.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hivekeep.cli.output import safe, table

_STYLE = {
    "waiting": "dim",
    "reading": "cyan",
    "thinking": "yellow",
    "checking": "magenta",
    "acting": "magenta",
    "done": "green",
    "failed": "red",
    "cancelled": "dim",
}
_MARK = {"done": "✓", "failed": "✗", "waiting": "·", "cancelled": "-"}
_ENDED = ("done", "failed", "cancelled")
_MOST_LINES = 30


def show(console: Console, views: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Draw ``views`` until they end and return the last one.

    Without a terminal one line is printed whenever an agent ends.
    """
    if not console.is_terminal:
        return _plain(console, views)
    last: dict[str, Any] = {}
    with Live(console=console, refresh_per_second=8, transient=False) as live:
        for view in views:
            last = view
            live.update(_picture(view))
    return last


def _plain(console: Console, views: Iterator[dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, str] = {}
    last: dict[str, Any] = {}
    for view in views:
        last = view
        for agent in view["agents"]:
            state = agent["state"]
            if told.get(agent["id"]) == state or state == "waiting":
                continue
            told[agent["id"]] = state
            ended = sum(a["state"] in _ENDED for a in view["agents"])
            console.print(
                f"[{ended}/{len(view['agents'])}] {agent['id']} {state:9} "
                f"{safe(agent['name'])}  {safe(agent['outcome'])}",
                markup=False,
            )
    return last


def _picture(view: dict[str, Any]) -> RenderableType:
    agents = view["agents"]
    ended = sum(agent["state"] in _ENDED for agent in agents)
    return Group(
        _headline(view, ended),
        ProgressBar(total=len(agents) or 1, completed=ended, width=60),
        _agents(agents),
    )


def _headline(view: dict[str, Any], ended: int) -> Text:
    counts = "  ".join(f"{name} {count}" for name, count in view["counts"].items())
    parts = [f"{view['title']}: {ended} of {view['documents']} documents", counts]
    engine = view.get("engine") or {}
    if rate := engine.get("tokens_per_second"):
        parts.append(f"{rate:.0f} tokens/s")
    if left := remaining(view, ended, time.time()):
        parts.append(left)
    return Text("   ".join(part for part in parts if part), style="bold")


def remaining(view: dict[str, Any], ended: int, now: float) -> str:
    """The estimated time left; from the pace so far, so it is rough until a few have ended."""
    total, started = view["documents"], view.get("started")
    if not started or ended < 2 or ended >= total:
        return ""
    seconds = (now - started) / ended * (total - ended)
    rough = "about " if ended >= 5 else "very roughly "
    return f"{rough}{seconds / 60:.0f} min left" if seconds > 90 else f"{rough}{seconds:.0f} s left"


def _agents(agents: list[dict[str, Any]]) -> Table:
    picture = table("", "agent", "document", "state", "step", "tokens", "result")
    active = [a for a in agents if a["state"] not in (*_ENDED, "waiting")]
    rest = [a for a in agents if a not in active]
    shown = agents if len(agents) <= _MOST_LINES else (active + rest)[:_MOST_LINES]
    for agent in shown:
        style = _STYLE.get(agent["state"], "")
        usage = agent["usage"]
        picture.add_row(
            Text(_MARK.get(agent["state"], "•"), style=style),
            agent["id"].rsplit(".", 1)[-1],
            safe(agent["name"])[:48],
            Text(agent["state"], style=style),
            agent["step"],
            str(usage["prompt"] + usage["completion"]) if usage["prompt"] else "",
            safe(agent["outcome"]),
        )
    if len(shown) < len(agents):
        picture.add_row("", "", f"… and {len(agents) - len(shown)} more", "", "", "", "")
    return picture
