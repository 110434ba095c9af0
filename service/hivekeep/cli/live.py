"""The live view of a run: one line per sub-agent, counts, tokens and time left.

Responsible for drawing; the data are the daemon's progress views.
"""

from __future__ import annotations

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
    total = len(view["agents"]) or view["documents"]
    parts = [f"{view['title']}: {ended} of {total} sub-agents", counts]
    engine = view.get("engine") or {}
    if rate := engine.get("tokens_per_second") or view.get("tokens_per_second"):
        parts.append(f"{rate:.0f} tokens/s")
    if left := remaining(view.get("left")):
        parts.append(left)
    return Text("   ".join(part for part in parts if part), style="bold")


def remaining(left: dict[str, float] | None) -> str:
    """The estimated time left with its uncertainty, in the unit that suits it."""
    if not left:
        return ""
    unit, name = (60.0, "min") if left["high"] > 120 else (1.0, "s")
    likely, low, high = (left[key] / unit for key in ("seconds", "low", "high"))
    if round(low) == round(high):
        return f"about {likely:.0f} {name} left"
    return f"about {likely:.0f} {name} left ({low:.0f} to {high:.0f})"


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
