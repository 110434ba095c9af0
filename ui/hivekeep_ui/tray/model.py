"""What the tray shows, computed from the daemon's overview.

Responsible for icon, tooltip, menu and what deserves a notification, as plain data; it draws and
sends nothing, so that every state can be tested without a screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hivekeep_ui.tray.icons import Look
from hivekeep_ui.tray.words import words

PAUSES = ((900, "pause.15m"), (3600, "pause.1h"), (4 * 3600, "pause.4h"), (86_400, "pause.1d"))
UNREACHABLE: dict[str, Any] = {
    "state": "problem", "approvals": 0, "newest_approval": "", "paused_until": None,
    "problems": [{"code": "daemon", "text": ""}], "runs": [], "recent": [],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the menu. ``action`` is a verb with arguments; a line with ``items`` opens them."""

    text: str
    action: tuple[str, ...] = ()
    items: tuple[Entry, ...] = ()
    enabled: bool = True
    default: bool = False
    separator: bool = False


Buttons = tuple[tuple[tuple[str, ...], str], ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A desktop notification with its buttons, each a verb with arguments."""

    title: str
    text: str
    buttons: Buttons = ()
    urgent: bool = False


SEPARATOR = Entry("", separator=True)


def look_of(overview: Mapping[str, Any]) -> Look:
    """The icon's look."""
    documents = sum(run["documents"] for run in overview["runs"])
    done = sum(run["done"] for run in overview["runs"])
    return Look(overview["state"], done / documents if documents else 0.0, overview["approvals"])


def tooltip_of(overview: Mapping[str, Any], language: str) -> str:
    """One line that says what the icon means."""
    say = words(language)
    match overview["state"]:
        case "problem":
            codes = {problem["code"] for problem in overview["problems"]}
            text = say("tip.daemon") if "daemon" in codes else say("tip.problem")
        case "waiting":
            text = say("tip.waiting", count=overview["approvals"])
        case "paused":
            until = datetime.fromtimestamp(overview["paused_until"]).strftime("%H:%M")  # noqa: DTZ006
            text = say("tip.paused", time=until)
        case "working":
            runs = overview["runs"]
            done, total = sum(r["done"] for r in runs), sum(r["documents"] for r in runs)
            text = say("tip.working", done=done, total=total)
        case _:
            text = say("tip.idle")
    return f"Hivekeep: {text}"


def menu_of(
    overview: Mapping[str, Any], watches: Sequence[Mapping[str, Any]], language: str
) -> tuple[Entry, ...]:
    """The whole menu, without the entries that policy hides."""
    say = words(language)
    rules = overview.get("desktop") or {}
    hidden = set(rules.get("hidden", ()))
    if rules.get("clipboard") == "deny":
        hidden.add("clipboard")
    run_now = tuple(
        Entry(_short(watch["folder"]), ("run_watch", watch["id"])) for watch in watches
    ) or (Entry(say("menu.no_folders"), enabled=False),)
    recent = tuple(_recent(run, say) for run in overview["recent"]) or (
        Entry(say("menu.no_results"), enabled=False),
    )
    pauses = tuple(Entry(say(key), ("pause", str(seconds))) for seconds, key in PAUSES)
    pausing = Entry(say("menu.resume"), ("pause", "0"))
    if overview["paused_until"] is None:
        pausing = Entry(say("menu.pause"), items=pauses)
    waiting = overview["approvals"]
    entries = (
        ("approvals", Entry(say("menu.approvals", count=waiting), ("popup",), enabled=waiting > 0)),
        ("", SEPARATOR),
        ("ask", Entry(say("menu.ask"), ("dashboard", "ask"))),
        ("files", Entry(say("menu.files"), ("files",))),
        ("clipboard", Entry(say("menu.clipboard"), ("clipboard",))),
        ("screenshot", Entry(say("menu.screenshot"), ("screenshot",))),
        ("drop_folder", Entry(say("menu.drop_folder"), ("drop_folder",))),
        ("run_now", Entry(say("menu.run_now"), items=run_now)),
        ("", SEPARATOR),
        ("recent", Entry(say("menu.recent"), items=recent)),
        ("pause", pausing),
        ("", SEPARATOR),
        ("dashboard", Entry(say("menu.dashboard"), ("dashboard", "home"), default=True)),
        ("policy", Entry(say("menu.policy"), ("dashboard", "policy"))),
        ("settings", Entry(say("menu.settings"), ("dashboard", "settings"))),
        ("", SEPARATOR),
        ("quit", Entry(say("menu.quit"), ("quit",))),
    )
    return _without_empty_groups([entry for name, entry in entries if name not in hidden])


def notices_of(
    before: Mapping[str, Any], after: Mapping[str, Any], language: str
) -> tuple[Notice, ...]:
    """What changed so that a person should hear of it, as far as policy lets it be told."""
    say = words(language)
    allowed = (after.get("desktop") or {}).get("notifications", "full")
    if allowed == "off":
        return ()
    private = allowed == "private"
    found: list[Notice] = []
    if after["approvals"] > before["approvals"] and after["newest_approval"]:
        asked: Buttons = ((("popup", after["newest_approval"]), say("notice.show")),
                   (("deny", after["newest_approval"]), say("notice.deny")))  # fmt: skip
        text = say("notice.waiting", count=after["approvals"])
        found.append(Notice(say("notice.approval"), text, asked, urgent=True))
    known = {run["id"] for run in before["recent"]}
    for run in after["recent"]:
        if run["id"] not in known and run["id"] in {one["id"] for one in before["runs"]}:
            buttons: Buttons = ((("dashboard", f"run/{run['id']}"), say("notice.show")),)
            if run["deliverables"] and not private:
                open_it = ("open", run["id"], run["deliverables"][0]["path"])
                buttons = (*buttons, (open_it, say("notice.open")))
            text = say("notice.documents", count=run["documents"])
            title = say("notice.run") if private else run["title"]
            found.append(Notice(say("notice.finished", title=title), text, buttons))
    old = {problem["code"] for problem in before["problems"]}
    for problem in after["problems"]:
        if problem["code"] not in old and problem["code"] != "daemon":
            look: Buttons = ((("dashboard", "policy"), say("notice.show")),)
            told = say("tip.problem") if private else problem["text"]
            found.append(Notice(say("notice.problem"), told, look, urgent=True))
    return tuple(found)


def _without_empty_groups(entries: list[Entry]) -> tuple[Entry, ...]:
    """``entries`` without separators that separate nothing."""
    kept: list[Entry] = []
    for entry in entries:
        if not entry.separator or (kept and not kept[-1].separator):
            kept.append(entry)
    return tuple(kept)


def _recent(run: Mapping[str, Any], say: Any) -> Entry:
    items: list[Entry] = [
        Entry(say("menu.open", name=item["name"]), ("open", run["id"], item["path"]))
        for item in run["deliverables"]
    ]
    if run["deliverables"]:
        first = run["deliverables"][0]["path"]
        items.append(Entry(say("menu.folder"), ("open_folder", run["id"], first)))
    items.append(Entry(say("menu.look"), ("dashboard", f"run/{run['id']}")))
    return Entry(_short(run["title"]), items=tuple(items))


def _short(text: str) -> str:
    """A name from outside, on one line of bounded length; underscores are no mnemonics."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= 48 else f"{line[:23]}…{line[-24:]}"
